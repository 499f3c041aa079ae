//! Takes the secrets out of our own environment.
//!
//! `/proc/<pid>/environ` shows what a program was started with, whatever it does to its variables later. So
//! each secret is put in an anonymous file, and this program is started afresh, in the same process, with an
//! environment that has none.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, bail};
use rustix::fs::MemfdFlags;

use crate::access::{self, Secret};
use crate::gateway::node_name;
use crate::settings::Settings;
use crate::store::Store;

/// The secrets that the environment held.
#[derive(Clone, Debug)]
pub(super) struct Secrets {
    /// Of the tenant `default`.
    pub(super) tenant: Option<Secret>,
    /// Of the operator.
    pub(super) admin: Option<Secret>,
    /// Of all nodes.
    pub(super) cluster: Option<Secret>,
    /// Headers for the collector of traces, which say who we are.
    pub(super) collector: Option<Hidden>,
    /// Of the store that nodes share.
    pub(super) store: Option<Hidden>,
}

/// What a variable had that is no bearer secret. Never shown.
#[derive(Clone)]
pub(super) struct Hidden(String);

impl Secrets {
    /// As the gate takes them.
    pub(super) fn given(&self) -> access::Secrets<'_> {
        let Self { tenant, admin, cluster, .. } = self;
        access::Secrets { tenant: tenant.as_ref(), admin: admin.as_ref(), cluster: cluster.as_ref() }
    }

    /// The store of these settings, if there is one.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub(super) fn open_store(&self, settings: &Settings) -> anyhow::Result<Option<Store>> {
        let password = self.store.as_ref().map(Hidden::reveal);
        Store::new(&settings.store, password, node_name(&settings.cluster).as_str())
            .map_err(anyhow::Error::msg)
    }
}

impl Hidden {
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(…)")
    }
}

/// Where one secret is to be found.
struct Source {
    /// Variables that it is taken from.
    names: &'static [&'static str],
    /// Names the descriptor of the anonymous file.
    handed_over: &'static str,
    /// Whether a text can be it.
    check: fn(&str) -> Result<(), &'static str>,
}

/// The second name is the first implementation's.
const TENANT: Source = Source {
    names: &["LOCKGATE_SECRET", "MAXIM_SECRET"],
    handed_over: "LOCKGATE_SECRET_DESCRIPTOR",
    check: is_secret,
};
const ADMIN: Source = Source {
    names: &["LOCKGATE_ADMIN_SECRET"],
    handed_over: "LOCKGATE_ADMIN_SECRET_DESCRIPTOR",
    check: is_secret,
};
const CLUSTER: Source = Source {
    names: &["LOCKGATE_CLUSTER_SECRET"],
    handed_over: "LOCKGATE_CLUSTER_SECRET_DESCRIPTOR",
    check: is_secret,
};
/// The names are OpenTelemetry's. They are read where they are used.
const COLLECTOR: Source = Source {
    names: &["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"],
    handed_over: "LOCKGATE_COLLECTOR_HEADERS_DESCRIPTOR",
    check: |_| Ok(()),
};

const STORE: Source = Source {
    names: &["LOCKGATE_STORE_PASSWORD"],
    handed_over: "LOCKGATE_STORE_PASSWORD_DESCRIPTOR",
    check: |text| {
        if text.is_empty() { Err("is empty; unset it, if the store has no password") } else { Ok(()) }
    },
};

fn is_secret(text: &str) -> Result<(), &'static str> {
    Secret::new(text.to_owned()).map(drop)
}

#[cfg(test)]
pub(super) const NAMES: [&[&str]; 5] =
    [TENANT.names, ADMIN.names, CLUSTER.names, COLLECTOR.names, STORE.names];

/// The secrets from the environment. Comes back only in a process whose environment has none, so it must be
/// called before anything that cannot be done twice.
pub(super) fn take_secrets() -> anyhow::Result<Secrets> {
    let mut bare = Vec::new();
    for source in [TENANT, ADMIN, CLUSTER, COLLECTOR, STORE] {
        if let Some(secret) = source.read()? {
            bare.push((source, secret));
        }
    }
    if !bare.is_empty() {
        return start_afresh(&bare);
    }
    let secret = |source: &Source| -> anyhow::Result<Option<Secret>> {
        let text = source.receive()?.map(Secret::new).transpose();
        text.map_err(|fault| anyhow::anyhow!("the secret that was handed over {fault}"))
    };
    let collector = COLLECTOR.receive()?.map(Hidden);
    let store = STORE.receive()?.map(Hidden);
    let (tenant, admin, cluster) = (secret(&TENANT)?, secret(&ADMIN)?, secret(&CLUSTER)?);
    Ok(Secrets { tenant, admin, cluster, collector, store })
}

impl Source {
    fn read(&self) -> anyhow::Result<Option<String>> {
        let given: Vec<(&str, OsString)> =
            self.names.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))).collect();
        match given.as_slice() {
            [] => Ok(None),
            [(first, one), (second, other)] if one != other => {
                bail!("{first} and {second} are both set, to different secrets; unset one")
            }
            [(name, value), ..] => {
                let text = value.to_str().with_context(|| format!("{name} is not UTF-8"))?;
                (self.check)(text).map_err(|fault| anyhow::anyhow!("{name} {fault}"))?;
                Ok(Some(text.to_owned()))
            }
        }
    }

    fn receive(&self) -> anyhow::Result<Option<String>> {
        let Ok(descriptor) = std::env::var(self.handed_over) else { return Ok(None) };
        let path = format!("/proc/self/fd/{}", descriptor.parse::<u16>().context(self.handed_over)?);
        let mut file = File::options().read(true).write(true).open(path).context(self.handed_over)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        file.set_len(0)?;
        Ok(Some(text))
    }
}

fn start_afresh(secrets: &[(Source, String)]) -> anyhow::Result<Secrets> {
    let mut command = Command::new("/proc/self/exe");
    let mut arguments = std::env::args_os();
    command.arg0(arguments.next().unwrap_or_else(|| "lockgate".into())).args(arguments);
    let mut files = Vec::new();
    for (source, secret) in secrets {
        // Without close-on-exec: it is to survive exactly this exec.
        let mut file = File::from(rustix::fs::memfd_create("secret", MemfdFlags::empty())?);
        file.write_all(secret.as_bytes())?;
        for name in source.names {
            command.env_remove(name);
        }
        command.env(source.handed_over, file.as_raw_fd().to_string());
        files.push(file);
    }
    let error = command.exec();
    Err(error).context("this program cannot be started afresh without its secrets in the environment")
}
