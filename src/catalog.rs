//! What may be started: from a path segment and a [`Permit`] to a [`LaunchPlan`].
//!
//! The allowlist is compared whole. What it maps to was split and resolved when the settings were loaded,
//! so nothing of a request ever becomes part of a command line.
//!
//! `target` is what a path names, `environment` what a client may set, `launch` what a backend is started with,
//! `fingerprint` what tells it from others. `container` knows the commands that start one, `recipe` how packages
//! are fetched, `offer` is what clients get to see of a server, `trial` is for the operator.

mod container;
mod environment;
mod fingerprint;
mod launch;
mod offer;
mod pattern;
mod recipe;
mod target;
mod trial;

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

pub use self::container::{ContainerRun, Engine};
pub use self::environment::{BadVariable, Overrides};
pub use self::fingerprint::Fingerprint;
pub use self::launch::Launch;
pub use self::offer::{BadNames, Offer};
pub use self::recipe::Recipe;
pub use self::target::{BadTarget, Target};

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
    /// What each tenant gets of what servers offer.
    offers: HashMap<TenantId, Offer>,
}

/// One server of the allowlist.
#[derive(Debug)]
struct Entry {
    name: ServerName,
    run: String,
    program: PathBuf,
    argv: Vec<String>,
    environment: BTreeMap<String, String>,
    readable: Vec<PathBuf>,
    writable: Vec<PathBuf>,
    policy: Policy,
    /// Present if the command starts a container.
    container: Option<ContainerRun>,
    /// Present if its packages are to be fetched ahead.
    recipe: Option<Recipe>,
    /// `None` until it is found out.
    era: Option<Era>,
    sessions: usize,
    /// Children that are started before a session wants them.
    warm: usize,
    /// Known once it has run.
    needed: OnceLock<Arc<[PathBuf]>>,
    /// What its clients get to see.
    offer: Offer,
}

/// Everything that a backend needs to start for a client, with whom it is for: made by [`Catalog::plan`] only,
/// so it is always allowed.
#[derive(Clone, Debug)]
pub struct LaunchPlan {
    permit: Permit,
    /// The names of those variables that the client has set.
    accepted: Vec<String>,
    launch: Launch,
    offer: Offer,
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
#[error("`{place}.{key}` {reason}")]
pub struct Unusable {
    place: String,
    key: &'static str,
    reason: String,
}

// === impl Catalog ===

impl Catalog {
    /// Splits every command once and finds its program.
    ///
    /// # Errors
    /// With the key and the reason, for the first server that cannot be used, or the first tenant whose
    /// environment cannot.
    pub fn load(settings: &Settings) -> Result<Self, Unusable> {
        let mut entries = HashMap::new();
        for (name, server) in &settings.servers {
            let fault = |key, reason| Unusable { place: format!("servers.{name}"), key, reason };
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
        let mut offers = HashMap::new();
        for (id, tenant) in &settings.tenants {
            let fault = |reason| Unusable { place: format!("tenants.{id}"), key: "env", reason };
            environment::check(&tenant.env).map_err(fault)?;
            let offer = Offer::chosen(&tenant.tools, &tenant.resources, &tenant.prompts);
            offers.insert(TenantId::new(id), offer);
        }
        Ok(Self { entries, offers })
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
        let accepted = overrides.keys().cloned().collect();
        let mut added = permit.environment().clone();
        added.extend(overrides);
        let offer = self.offers.get(permit.tenant()).map_or(entry.offer.clone(), |own| entry.offer.and(own));
        Ok(LaunchPlan { permit: permit.clone(), accepted, launch: Launch::serving(entry, added), offer })
    }

    /// How to fetch the packages of each server that wants them ahead, by name.
    pub fn fetches(&self) -> BTreeMap<String, Launch> {
        let wanted = self.entries.values().filter(|entry| entry.recipe.is_some());
        wanted.map(|entry| (entry.name.to_string(), Launch::fetching(entry))).collect()
    }

    /// What is started before a session wants it, and how many of each.
    pub fn warm(&self) -> Vec<(Launch, usize)> {
        let by_name = self.entries.iter().filter(|(key, entry)| **key == entry.name.as_str());
        let wanted = by_name.filter(|(_, entry)| entry.warm > 0);
        wanted.map(|(_, entry)| (Launch::serving(entry, BTreeMap::new()), entry.warm)).collect()
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
        environment::check(&server.env).map_err(|reason| ("env", reason))?;
        environment::check_names(server.env_allow.iter().flatten())
            .map_err(|reason| ("env_allow", reason))?;
        let program = resolve(&first).map_err(|reason| ("run", reason))?;
        let container = ContainerRun::read(server, &mut argv, &program)?;
        let recipe = server.prefetch.then(|| Recipe::read(server, &argv, &program)).transpose()?;
        Ok(Self {
            name: ServerName::new(name),
            run: server.run.clone(),
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
            recipe,
            sessions: server.sessions.unwrap_or(usize::MAX).min(all.limits.sessions_per_server),
            warm: server.warm,
            needed: OnceLock::new(),
            offer: Offer::chosen(&server.tools, &server.resources, &server.prompts),
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
    /// Who asked.
    pub fn tenant(&self) -> &TenantId {
        self.permit.tenant()
    }

    /// What it was made for.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The names of those variables that the client has set.
    pub fn accepted(&self) -> &[String] {
        &self.accepted
    }

    /// Whether a path that names this target means the server as it was when the plan was made: a reload
    /// may have given the name another command since.
    pub fn is_for(&self, target: &Target) -> bool {
        let Entry { name, run, .. } = self.launch.entry();
        [name.as_str(), run].contains(&target.as_str())
    }

    /// Sessions that this server may have at once.
    pub fn max_sessions(&self) -> usize {
        self.launch.entry().sessions
    }

    /// What this plan has in common with others that start the very same process for the same tenant.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self)
    }
}

impl Deref for LaunchPlan {
    type Target = Launch;

    fn deref(&self) -> &Launch {
        &self.launch
    }
}

#[cfg(test)]
mod tests;
