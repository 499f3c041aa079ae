//! Takes the secret out of our own environment.
//!
//! `/proc/<pid>/environ` shows what a program was started with, whatever it does to its variables later. So
//! the secret is put in an anonymous file, and this program is started afresh, in the same process, with an
//! environment that does not have it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, bail};
use rustix::fs::MemfdFlags;

use crate::access::Secret;

/// Names that a secret is taken from; the second is the first implementation's.
const NAMES: [&str; 2] = ["LOCKGATE_SECRET", "MAXIM_SECRET"];
/// Names the descriptor of the anonymous file.
const HANDED_OVER: &str = "LOCKGATE_SECRET_DESCRIPTOR";

/// The secret from the environment, if there is one. Comes back only in a process whose environment has
/// none, so it must be called before anything that cannot be done twice.
pub(super) fn take_secret() -> anyhow::Result<Option<Secret>> {
    if let Ok(descriptor) = std::env::var(HANDED_OVER) {
        return receive(&descriptor).map(Some);
    }
    let given: Vec<(&str, std::ffi::OsString)> =
        NAMES.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))).collect();
    match given.as_slice() {
        [] => Ok(None),
        [(_, one), (_, other)] if one != other => {
            bail!("{} and {} are both set, to different secrets; unset one", NAMES[0], NAMES[1])
        }
        [(name, value), ..] => {
            let text = value.to_str().with_context(|| format!("{name} is not UTF-8"))?;
            let secret = Secret::new(text.to_owned()).map_err(|fault| anyhow::anyhow!("{name} {fault}"))?;
            start_afresh(&secret)
        }
    }
}

fn start_afresh(secret: &Secret) -> anyhow::Result<Option<Secret>> {
    // Without close-on-exec: it is to survive exactly this exec.
    let mut file = File::from(rustix::fs::memfd_create("secret", MemfdFlags::empty())?);
    file.write_all(secret.reveal().as_bytes())?;
    let mut command = Command::new("/proc/self/exe");
    let mut arguments = std::env::args_os();
    command.arg0(arguments.next().unwrap_or_else(|| "lockgate".into())).args(arguments);
    for name in NAMES {
        command.env_remove(name);
    }
    let error = command.env(HANDED_OVER, file.as_raw_fd().to_string()).exec();
    Err(error).context("this program cannot be started afresh without its secret in the environment")
}

fn receive(descriptor: &str) -> anyhow::Result<Secret> {
    let path = format!("/proc/self/fd/{}", descriptor.parse::<u16>().context(HANDED_OVER)?);
    let mut file = File::options().read(true).write(true).open(path).context(HANDED_OVER)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    file.set_len(0)?;
    Secret::new(text).map_err(|fault| anyhow::anyhow!("the secret that was handed over {fault}"))
}
