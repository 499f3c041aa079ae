//! What this host and these settings are good for, found out by doing it: the sandbox is rehearsed, and each
//! server is started in it, or reached, and asked who it is. No address is taken.

mod host;
mod overheard;
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
use crate::catalog::{BadVariable, Catalog, Means, NoCredential, Refused, Trial};
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

/// What a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A program that is started.
    Command,
    /// One that is reached over the network.
    Remote,
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
        let Trial { era, means, .. } = match self.trial(name) {
            Ok(trial) => trial,
            Err(reason) => {
                return found(Health::Failed { step: Step::Settings, reason, last_line: None });
            }
        };
        let (Ok(starter), Ok(means)) = (&self.starter, &means) else {
            let lacking = means.err().map(|refused| lacking(&refused));
            return found(Health::NotStarted(
                lacking.unwrap_or_else(|| "the gateway would not start".into()),
            ));
        };
        match means {
            _ if !starts && kind == Kind::Remote => {
                found(Health::NotStarted("it was not to be reached".into()))
            }
            Means::Endpoint(_) => found(match self.only_tenants(name) {
                Some(reason) => Health::NotStarted(reason),
                None => trial::run(starter, means, era, &self.settings.timeouts).await,
            }),
            Means::Launch(launch) => Finding {
                program: Some(launch.program().clone()),
                barrier: starter.barrier(launch).map(|barrier| barrier.to_string()),
                ..found(match starts {
                    true => trial::run(starter, means, era, &self.settings.timeouts).await,
                    false => Health::NotStarted("it was not to be started".into()),
                })
            },
        }
    }

    /// Why a remote server cannot be asked by nobody in particular, if that is so.
    fn only_tenants(&self, name: &str) -> Option<String> {
        self.settings.servers.get(name).filter(|server| server.auth.is_none())?;
        let tenants = self.settings.tenants.iter().filter(|(_, tenant)| tenant.auth.contains_key(name));
        let tenants: Vec<&str> = tenants.map(|(id, _)| id.as_str()).collect();
        let told = || {
            format!(
                "it gets the credentials of tenants only ({}), and is tried as none of them",
                tenants.join(", ")
            )
        };
        (!tenants.is_empty()).then(told)
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

/// What a session of a client would bring.
fn lacking(refused: &Refused) -> String {
    match refused {
        Refused::Variable(BadVariable::Missing(name)) => {
            format!("each session has to bring {name}: a client sends it in the header ENV_{name}")
        }
        Refused::Credential(NoCredential(header)) => {
            format!("each client has to bring a credential of its own, in the header {header}")
        }
        other => other.to_string(),
    }
}

impl Finding {
    /// Whether nothing was found to be wrong.
    pub fn is_fine(&self) -> bool {
        self.barrier.is_none() && !matches!(self.health, Health::Failed { .. })
    }
}
