//! What may be started: from a path segment and a [`Permit`] to a [`LaunchPlan`].
//!
//! The allowlist is compared whole. What it maps to was split and resolved when the settings were loaded,
//! so nothing of a request ever becomes part of a command line.

mod container;
mod environment;
mod target;
mod trial;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

pub use self::container::{ContainerRun, Engine};
pub use self::environment::{BadVariable, Overrides};
pub use self::target::{BadTarget, Target};

use sha2::{Digest, Sha256};

use self::environment::Policy;
use crate::access::Permit;
use crate::ids::{ServerName, TenantId};
use crate::mcp::Era;
use crate::settings::{self, ServerEra, Settings};

/// The allowlist, ready to answer.
#[derive(Debug)]
pub struct Catalog {
    /// By short name and by command.
    entries: HashMap<String, Arc<Entry>>,
}

/// One server of the allowlist.
#[derive(Debug)]
struct Entry {
    name: ServerName,
    program: PathBuf,
    argv: Vec<String>,
    environment: BTreeMap<String, String>,
    readable: Vec<PathBuf>,
    writable: Vec<PathBuf>,
    policy: Policy,
    /// Present if the command starts a container.
    container: Option<ContainerRun>,
    /// `None` until it is found out.
    era: Option<Era>,
    sessions: usize,
}

/// Stands for everything that decides what process a plan starts and for whom, and reveals nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// Everything that a backend needs to start: made by [`Catalog`] only, so it is always allowed.
#[derive(Clone, Debug)]
pub struct LaunchPlan {
    server: ServerName,
    tenant: TenantId,
    entry: Arc<Entry>,
    overrides: BTreeMap<String, String>,
}

/// Why a target is refused. One text for what does not exist and what is not for this tenant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not on the allowlist, or not for this tenant.
    #[error(
        "this server is not on the allowlist, or not for this tenant; the path must hold its short name or the exact command, percent-encoded once (`lockgate url \"<command>\"` prints it)"
    )]
    NotAllowed,
    /// An environment variable that may not be set.
    #[error(transparent)]
    Variable(#[from] BadVariable),
}

/// Why the allowlist cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`servers.{server}.{key}` {reason}")]
pub struct Unusable {
    server: String,
    key: &'static str,
    reason: String,
}

// === impl Catalog ===

impl Catalog {
    /// Splits every command once and finds its program.
    ///
    /// # Errors
    /// With the key and the reason, for the first server that cannot be used.
    pub fn load(settings: &Settings) -> Result<Self, Unusable> {
        let mut entries = HashMap::new();
        for (name, server) in &settings.servers {
            let fault = |key, reason| Unusable { server: name.clone(), key, reason };
            let entry = Arc::new(Entry::load(name, server, settings).map_err(|(key, r)| fault(key, r))?);
            for (key, value) in [("name", name), ("run", &server.run)] {
                if let Some(other) = entries.insert(value.clone(), entry.clone())
                    && other.name != entry.name
                {
                    let reason = format!("is also what `servers.{}` is reached by", other.name);
                    return Err(fault(key, reason));
                }
            }
        }
        Ok(Self { entries })
    }

    /// The server that a path names, if this tenant may use it.
    ///
    /// # Errors
    /// [`Refused::NotAllowed`].
    pub fn find(&self, permit: &Permit, target: &Target) -> Result<ServerName, Refused> {
        self.entry(permit, target).map(|entry| entry.name.clone())
    }

    /// What to start for this caller.
    ///
    /// # Errors
    /// If the target is refused, or a variable.
    pub fn plan(
        &self,
        permit: &Permit,
        target: &Target,
        overrides: Overrides,
    ) -> Result<LaunchPlan, Refused> {
        let entry = self.entry(permit, target)?;
        let overrides = entry.policy.filter(overrides)?;
        Ok(LaunchPlan {
            server: entry.name.clone(),
            tenant: permit.tenant().clone(),
            entry: entry.clone(),
            overrides,
        })
    }

    /// What may have containers of ours, each once.
    pub fn engines(&self) -> Vec<Engine> {
        let mut engines: Vec<Engine> = Vec::new();
        for run in self.entries.values().filter_map(|entry| entry.container.as_ref()) {
            if !engines.contains(run.engine()) {
                engines.push(run.engine().clone());
            }
        }
        engines
    }

    fn entry(&self, permit: &Permit, target: &Target) -> Result<&Arc<Entry>, Refused> {
        self.entries
            .get(target.as_str())
            .filter(|entry| permit.may_use(&entry.name))
            .ok_or(Refused::NotAllowed)
    }
}

// === impl Entry ===

impl Entry {
    fn load(name: &str, server: &settings::Server, all: &Settings) -> Result<Self, (&'static str, String)> {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            return Err(("name", "may hold letters, digits and -_. only; it becomes part of a URL".into()));
        }
        let mut argv =
            shell_words::split(&server.run).map_err(|e| ("run", format!("cannot be split: {e}")))?;
        let first = argv.first().ok_or(("run", "is empty".to_owned()))?.clone();
        if argv.iter().any(|word| word.contains('\0')) {
            return Err(("run", "holds a NUL byte".into()));
        }
        if let Some(word) =
            argv.iter().find(|word| ["|", "||", "&&", ";", ">", "<", "&"].contains(&word.as_str()))
        {
            let reason =
                format!("holds {word:?}, but no shell reads it; put the line in a script and name that");
            return Err(("run", reason));
        }
        for (key, names) in [
            ("env", server.env.keys().collect::<Vec<_>>()),
            ("env_allow", server.env_allow.iter().flatten().collect()),
        ] {
            if let Some(bad) = names.into_iter().find(|name| !environment::is_name(name)) {
                return Err((key, format!("holds {bad:?}, but a name must match [A-Z_][A-Z0-9_]{{0,127}}")));
            }
        }
        let program = resolve(&first).map_err(|reason| ("run", reason))?;
        let container = ContainerRun::read(server, &mut argv, &program)?;
        Ok(Self {
            name: ServerName::new(name),
            program,
            argv,
            environment: server.env.clone(),
            readable: server.readable.clone(),
            writable: server.writable.clone(),
            era: match server.era {
                ServerEra::Auto => None,
                ServerEra::Handshake => Some(Era::Handshake),
                ServerEra::Stateless => Some(Era::Stateless),
            },
            policy: Policy::new(
                server.env_allow.as_deref(),
                container.as_ref().map(ContainerRun::passed),
                all.access.blocked_env,
            ),
            container,
            sessions: server.sessions.unwrap_or(usize::MAX).min(all.limits.sessions_per_server),
        })
    }
}

/// The absolute path of a program; `lockgate` is this very binary, wherever it lies and whatever has become
/// of its file.
fn resolve(program: &str) -> Result<PathBuf, String> {
    if program == "lockgate" {
        return Ok("/proc/self/exe".into());
    }
    if program.contains('/') && !program.starts_with('/') {
        return Err(format!("begins with {program:?}; give an absolute path, or a name that is on PATH"));
    }
    which::which(program).map_err(|_| {
        let place = if program.starts_with('/') { "that the gateway may run" } else { "on PATH" };
        format!("begins with {program:?}, which is not an executable {place}; install it, or give its absolute path")
    })
}

// === impl LaunchPlan ===

impl LaunchPlan {
    /// The server to be started.
    pub fn server(&self) -> &ServerName {
        &self.server
    }

    /// Who asked.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Sessions that this server may have at once.
    pub fn max_sessions(&self) -> usize {
        self.entry.sessions
    }

    /// The protocol era that the server speaks; `None` if that is to be found out.
    pub fn era(&self) -> Option<Era> {
        self.entry.era
    }

    /// What this plan has in common with others that start the very same process for the same tenant.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut digest = Sha256::new();
        let mut add = |text: &str| {
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text);
        };
        add(&self.tenant.to_string());
        add(self.server.as_str());
        self.entry.argv.iter().for_each(|word| add(word));
        add("");
        for (name, value) in self.environment() {
            add(name);
            add(value);
        }
        Fingerprint(digest.finalize().into())
    }

    /// The absolute path of the program.
    pub fn program(&self) -> &PathBuf {
        &self.entry.program
    }

    /// The arguments, the program's name first.
    pub fn argv(&self) -> &[String] {
        &self.entry.argv
    }

    /// What it may read beside what every session may.
    pub fn readable(&self) -> &[PathBuf] {
        &self.entry.readable
    }

    /// What it may write to beside its private directory.
    pub fn writable(&self) -> &[PathBuf] {
        &self.entry.writable
    }

    /// Present if the command starts a container, which is no descendant of it: it has to be labelled, and
    /// removed by its label. Such a command needs the daemon's socket, so it runs as the gateway's user.
    pub fn container(&self) -> Option<&ContainerRun> {
        self.entry.container.as_ref()
    }

    /// The child's variables beyond the base: the server's, then the client's.
    pub fn environment(&self) -> impl Iterator<Item = (&String, &String)> {
        let replaced = |name: &String| self.overrides.contains_key(name);
        self.entry.environment.iter().filter(move |(name, _)| !replaced(name)).chain(&self.overrides)
    }
}

#[cfg(test)]
mod tests;
