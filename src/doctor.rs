//! What this host and these settings are good for, found out by doing it: the sandbox is rehearsed, and each
//! server is started in it, or reached, and asked who it is and what tools it has. No address is taken.
//!
//! A `trial` is what is done with one server within its `budget`, a `conversation` what is said in it. [`Doctor`]
//! does that for a gateway that is to be, [`Examiner`] for one that serves; `host` is where it runs.

mod budget;
mod conversation;
mod examiner;
mod host;
mod trial;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

pub use self::examiner::{Examiner, NotTried};
pub use self::host::Host;
pub use self::trial::{Health, Step};
pub use crate::backend::{Lack, Report, State};
pub use crate::catalog::Kind;

use self::budget::Budget;
use crate::access::Operator;
use crate::backend::{Starter, Unprepared};
use crate::catalog::{Catalog, Means, Trial};
use crate::lifecycle::Lifecycle;
use crate::settings::{Server, Settings};

/// Looks at one gateway that is to be.
#[derive(Debug)]
pub struct Doctor<'s> {
    settings: &'s Settings,
    starter: Result<Arc<Starter>, Unprepared>,
}

/// What was found out about one server.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Its short name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its command, or its URL without the values of the query.
    pub run: String,
    /// Where its program was found, if it is a command.
    pub program: Option<PathBuf>,
    /// What keeps its sessions from what the command or the settings name.
    pub barrier: Option<String>,
    /// Whether it starts and answers.
    pub health: Health,
}

impl<'s> Doctor<'s> {
    /// Rehearses the sandbox. Must not be called on a runtime.
    pub fn new(settings: &'s Settings) -> Self {
        Self { settings, starter: Starter::new(settings, Lifecycle::default()).map(Arc::new) }
    }

    /// What of the sandbox there is; `None` if it did not come to that.
    pub fn report(&self) -> Option<&Report> {
        match &self.starter {
            Ok(starter) => Some(starter.report()),
            Err(Unprepared::Lacking { report, .. }) => Some(report),
            Err(_) => None,
        }
    }

    /// Why a gateway would not start here.
    pub fn refusal(&self) -> Option<String> {
        match self.starter.as_ref().err()? {
            Unprepared::Lacking { key, value, reasons, .. } => {
                Some(format!("sandbox.{key} = {value:?} asks for all of what is missing: {reasons}"))
            }
            other => Some(other.to_string()),
        }
    }

    /// Whether the servers can live beside each other; each by itself is for [`Self::server`].
    ///
    /// # Errors
    /// With the key and the reason.
    pub fn allowlist(&self) -> Result<(), String> {
        let alone = self.settings.servers.keys().all(|name| self.trial(name).is_ok());
        Catalog::load(self.settings).map(drop).or_else(|e| if alone { Err(e.to_string()) } else { Ok(()) })
    }

    /// Looks at one server, and starts or reaches it if wanted and possible. What was started has ended when this
    /// comes back. Must be called on a runtime of this thread alone.
    pub async fn server(&self, name: &str, starts: bool) -> Finding {
        let server = self.settings.servers.get(name);
        let kind =
            if server.is_some_and(|server| server.url.is_some()) { Kind::Remote } else { Kind::Command };
        let run = server.map(Server::shown).unwrap_or_default();
        let found =
            |health| Finding { name: name.to_owned(), kind, run, program: None, barrier: None, health };
        let trial = match self.trial(name) {
            Ok(trial) => trial,
            Err(reason) => {
                return found(Health::Failed { step: Step::Settings, reason, last_line: None });
            }
        };
        let (Ok(starter), Ok(means)) = (&self.starter, &trial.means) else {
            let obstacle = trial.means.is_err().then(|| trial::obstacle(&trial)).flatten();
            return found(Health::NotStarted(
                obstacle.unwrap_or_else(|| "the gateway would not start".into()),
            ));
        };
        let health = match (trial::obstacle(&trial), kind) {
            (_, Kind::Command) if !starts => Health::NotStarted("it was not to be started".into()),
            (_, Kind::Remote) if !starts => Health::NotStarted("it was not to be reached".into()),
            (Some(obstacle), _) => Health::NotStarted(obstacle),
            (None, _) => {
                let budget = Budget::whole(&self.settings.timeouts);
                trial::run(starter, means, trial.era, &budget).await
            }
        };
        match means {
            Means::Endpoint(_) => found(health),
            Means::Launch(launch) => Finding {
                program: Some(launch.program().clone()),
                barrier: starter.barrier(launch).map(|barrier| barrier.to_string()),
                ..found(health)
            },
        }
    }

    /// As if it were alone, so that a fault of one does not hide the others.
    fn trial(&self, name: &str) -> Result<Trial, String> {
        let server = self.settings.servers.get(name).cloned();
        let only: BTreeMap<_, _> = server.map(|server| (name.to_owned(), server)).into_iter().collect();
        let settings = Settings { servers: only, ..self.settings.clone() };
        let catalog = Catalog::load(&settings).map_err(|unusable| unusable.to_string())?;
        let mut trials = catalog.trials(&Operator::at_the_command_line());
        trials.pop().ok_or_else(|| format!("there is no [servers.{name}]"))
    }
}

impl Finding {
    /// Whether nothing was found to be wrong.
    pub fn is_fine(&self) -> bool {
        self.barrier.is_none() && !matches!(self.health, Health::Failed { .. })
    }
}
