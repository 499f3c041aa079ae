//! What this host and these settings are good for, found out by doing it: the sandbox is rehearsed, and each
//! server is started in it and asked who it is. No address is taken.

mod host;
mod trial;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

pub use self::host::Host;
pub use self::trial::{Health, Step};
pub use crate::backend::{Lack, Report, State};

use crate::access::Operator;
use crate::backend::{Starter, Unprepared};
use crate::catalog::{Catalog, Means, Trial};
use crate::lifecycle::Lifecycle;
use crate::settings::Settings;

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
    /// Its command, or its URL.
    pub run: String,
    /// Where its program was found.
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

    /// Looks at one server, and starts it if wanted and possible. What was started has ended when this comes
    /// back.
    pub async fn server(&self, name: &str, starts: bool) -> Finding {
        let run =
            self.settings.servers.get(name).map(|server| server.target().to_owned()).unwrap_or_default();
        let mut finding = Finding {
            name: name.to_owned(),
            run,
            program: None,
            barrier: None,
            health: Health::NotStarted("it was not to be started".into()),
        };
        let failed = |reason| Health::Failed { step: Step::Settings, reason, last_line: None };
        let (era, means) = match self.trial(name) {
            Ok(Trial { era, means: Ok(means), .. }) => (era, means),
            Ok(Trial { means: Err(lacking), .. }) => {
                finding.health = Health::NotStarted(lacking.to_string());
                return finding;
            }
            Err(reason) => {
                finding.health = failed(reason);
                return finding;
            }
        };
        if let Means::Launch(launch) = &means {
            finding.program = Some(launch.program().clone());
        }
        match &self.starter {
            Ok(starter) => {
                if let Means::Launch(launch) = &means {
                    finding.barrier = starter.barrier(launch).map(|barrier| barrier.to_string());
                }
                if starts {
                    finding.health = trial::run(starter, &means, era, &self.settings.timeouts).await;
                }
            }
            Err(_) => finding.health = Health::NotStarted("the gateway would not start".into()),
        }
        finding
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
