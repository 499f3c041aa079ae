//! What may be started: from a path segment and a [`Permit`] to a [`LaunchPlan`].
//!
//! The allowlist is compared whole. What it maps to was split and resolved when the settings were loaded,
//! so nothing of a request ever becomes part of a command line.
//!
//! `target` is what a path names, `environment` what a client may set. `command` is a server that is started,
//! `launch` what with; `remote` one that is reached over the network, `credential` as whom; `variables` and
//! `pattern` are forms of texts in the settings. `fingerprint` is what tells a backend from others. `container`
//! knows the commands that start one, `recipe` how packages are fetched, `offer` is what clients get to see of a
//! server; `trial` and `clear` are for the operator.

mod clear;
mod command;
mod concealed;
mod container;
mod credential;
mod environment;
mod fingerprint;
mod launch;
mod listing;
mod offer;
mod pattern;
mod recipe;
mod remote;
mod target;
mod trial;
mod variables;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

pub use self::container::{ContainerRun, Engine};
pub use self::credential::{Credential, Grant, NoCredential, Sealed};
pub use self::environment::{BadVariable, Overrides};
pub use self::fingerprint::Fingerprint;
pub use self::launch::Launch;
pub use self::listing::{Kind, Listing};
pub use self::offer::{BadNames, Offer};
pub use self::recipe::Recipe;
pub use self::remote::Endpoint;
pub use self::target::{BadTarget, Target};
pub use self::trial::Trial;

use self::command::Command;
use self::credential::Header;
use self::environment::Policy;
use self::remote::Remote;
use crate::access::Permit;
use crate::ids::{ServerName, TenantId};
use crate::mcp::Era;
use crate::settings::{self, Settings};

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
    /// The command or URL.
    target: String,
    backing: Backing,
    policy: Policy,
    /// `None` until it is found out.
    era: Option<Era>,
    sessions: usize,
    /// How long a request may take, if that is not what all may.
    timeout: Option<Duration>,
    /// What its clients get to see.
    offer: Offer,
}

/// What stands behind a server.
#[derive(Debug)]
enum Backing {
    Command(Arc<Command>),
    Remote(Arc<Remote>),
}

/// By what a session gets its backend.
#[derive(Clone, Debug)]
pub enum Means {
    /// A command is started.
    Launch(Launch),
    /// A remote server is reached.
    Endpoint(Box<Endpoint>),
}

/// Everything that a session needs to get its backend, with whom it is for: made by [`Catalog::plan`] only,
/// so it is always allowed.
#[derive(Clone, Debug)]
pub struct LaunchPlan {
    permit: Permit,
    /// The names of those variables that the client has set.
    accepted: Vec<String>,
    entry: Arc<Entry>,
    means: Means,
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
    /// An environment variable that may not be set, or must be.
    #[error(transparent)]
    Variable(#[from] BadVariable),
    /// The remote server would not know who asks.
    #[error(transparent)]
    Credential(#[from] NoCredential),
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
            for (key, value) in [("name", Some(name)), ("run", server.run.as_ref())] {
                let Some(value) = value else { continue };
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

    /// What to start for this caller, or what to reach. `header` is what a header of the
    /// request says: nothing if it is not there, and no text if it cannot be told.
    ///
    /// # Errors
    /// If the target is refused, or a variable, or what the remote server needs is missing.
    pub fn plan(
        &self,
        permit: &Permit,
        target: &Target,
        overrides: Overrides,
        header: impl Fn(&HeaderName) -> Option<Option<String>>,
    ) -> Result<LaunchPlan, Refused> {
        let entry = self.entry(permit, target)?;
        let overrides = entry.policy.filter(overrides, permit.environment())?;
        let accepted = overrides.keys().cloned().collect();
        let mut added = permit.environment().clone();
        added.extend(overrides);
        let offer = self.offers.get(permit.tenant()).map_or(entry.offer.clone(), |own| entry.offer.and(own));
        let means = entry.means(Some(permit.tenant()), added, &header)?;
        Ok(LaunchPlan { permit: permit.clone(), accepted, entry: entry.clone(), means, offer })
    }

    /// How to fetch the packages of each server that wants them ahead, by name.
    pub fn fetches(&self) -> BTreeMap<String, Launch> {
        let wanted = self.commands().filter(|(_, command)| command.recipe.is_some());
        wanted.map(|(name, command)| (name.to_string(), Launch::fetching(name, command))).collect()
    }

    /// What is started before a session wants it, and how many of each.
    pub fn warm(&self) -> Vec<(Launch, usize)> {
        let wanted = self.commands().filter(|(_, command)| command.warm > 0);
        wanted
            .map(|(name, command)| (Launch::serving(name, command, BTreeMap::new()), command.warm))
            .collect()
    }

    /// What may have containers of ours, each once.
    pub fn engines(&self) -> Vec<Engine> {
        let mut engines: Vec<Engine> = Vec::new();
        for run in self.commands().filter_map(|(_, command)| command.container.as_ref()) {
            if !engines.contains(run.engine()) {
                engines.push(run.engine().clone());
            }
        }
        engines
    }

    /// Every command, once.
    fn commands(&self) -> impl Iterator<Item = (&ServerName, &Arc<Command>)> {
        let by_name = self.entries.iter().filter(|(key, entry)| **key == entry.name.as_str());
        by_name.filter_map(|(_, entry)| match &entry.backing {
            Backing::Command(command) => Some((&entry.name, command)),
            Backing::Remote(_) => None,
        })
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
        environment::check(&server.env).map_err(|reason| ("env", reason))?;
        environment::check_names(server.env_allow.iter().flatten())
            .map_err(|reason| ("env_allow", reason))?;
        let policy = |passed| Policy::new(server.env_allow.as_deref(), passed, all.access.blocked_env);
        let (backing, policy) = match (&server.run, &server.url) {
            (None, Some(url)) => {
                let remote = Remote::load(name, url, server, &all.tenants)?;
                let policy = policy(Some(remote.variables())).keeping(&server.env);
                (Backing::Remote(Arc::new(remote)), policy)
            }
            (run, _) => {
                let command = Command::load(run.as_deref().unwrap_or_default(), server)?;
                let passed = command.container.as_ref().map(|run| run.passed().to_vec());
                (Backing::Command(Arc::new(command)), policy(passed))
            }
        };
        Ok(Self {
            name: ServerName::new(name),
            target: server.target().to_owned(),
            backing,
            era: server.era.known(),
            policy,
            sessions: server.sessions.unwrap_or(usize::MAX).min(all.limits.sessions_per_server),
            timeout: server.timeout,
            offer: Offer::chosen(&server.tools, &server.resources, &server.prompts),
        })
    }

    /// For a session of this tenant, with these variables beside the server's.
    fn means(
        &self,
        tenant: Option<&TenantId>,
        added: BTreeMap<String, String>,
        header: &impl Header,
    ) -> Result<Means, Refused> {
        match &self.backing {
            Backing::Command(command) => Ok(Means::Launch(Launch::serving(&self.name, command, added))),
            Backing::Remote(remote) => {
                let endpoint = Endpoint::new(&self.name, remote, tenant, &added, header)?;
                Ok(Means::Endpoint(Box::new(endpoint)))
            }
        }
    }
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

    /// The server that it is for.
    pub fn server(&self) -> &ServerName {
        &self.entry.name
    }

    /// The protocol era that the server speaks; `None` if that is to be found out.
    pub fn era(&self) -> Option<Era> {
        self.entry.era
    }

    /// By what its session gets its backend.
    pub fn means(&self) -> &Means {
        &self.means
    }

    /// How long a request may take, if that is not what all may.
    pub fn timeout(&self) -> Option<Duration> {
        self.entry.timeout
    }

    /// Whether a path that names this target means the server as it was when the plan was made: a reload
    /// may have given the name another command since.
    pub fn is_for(&self, target: &Target) -> bool {
        let Entry { name, target: own, backing, .. } = &*self.entry;
        let by_command = matches!(backing, Backing::Command(_)) && own == target.as_str();
        by_command || name.as_str() == target.as_str()
    }

    /// Sessions that this server may have at once.
    pub fn max_sessions(&self) -> usize {
        self.entry.sessions
    }

    /// What this plan has in common with others that have the very same backend for the same tenant.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self)
    }
}

#[cfg(test)]
mod tests;
