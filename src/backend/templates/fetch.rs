//! Fetches packages: a session of nobody's, with a user and a home of its own, all of the network, and
//! nobody who talks to it.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::copy::{Amount, Uncopied};
use super::store::Store;
use super::take::take;
use super::{Answer, PAUSE, Provisions};
use crate::backend::aside::ENDS;
use crate::backend::child::{Process, Remains, Standard};
use crate::backend::{Exit, StartFailed, Starter, Unprepared};
use crate::catalog::Launch;

/// Why packages are not there.
#[derive(Debug, thiserror::Error)]
pub enum NotFetched {
    /// The runner was not started.
    #[error("the command that fetches them was not started: {0}")]
    Start(#[from] StartFailed),
    /// The runner failed, and says why.
    #[error("the command that fetches them {exit}: {words}")]
    Failed {
        /// How it ended.
        exit: Exit,
        /// The last lines on its stderr.
        words: String,
    },
    /// It takes too long.
    #[error("they were not there within {} minutes", PATIENCE.as_secs() / 60)]
    Late,
    /// There is no place to keep them in.
    #[error(transparent)]
    Unprepared(Unprepared),
    /// They cannot be copied to where they are kept.
    #[error("they cannot be kept: {0}")]
    Unkept(#[from] Uncopied),
    /// The gateway ends.
    #[error("the gateway is shutting down")]
    Draining,
    /// Nobody said how it went.
    #[error("fetching them ended without a word")]
    Lost,
}

/// How long a fetch may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// From SIGTERM to SIGKILL, for one that has not ended by then.
const TERM: Duration = Duration::from_secs(1);

impl NotFetched {
    /// What a client may know of it.
    pub fn public(&self) -> String {
        let reason = match self {
            Self::Start(_) => "the command that fetches them could not be started".to_owned(),
            Self::Failed { exit, .. } => format!("the command that fetches them {exit}"),
            Self::Unprepared(_) | Self::Unkept(Uncopied::Host(_)) => {
                "the host could not keep them".to_owned()
            }
            Self::Late | Self::Unkept(_) | Self::Draining | Self::Lost => self.to_string(),
        };
        let pause = PAUSE.as_secs();
        format!(
            "its packages could not be fetched ({reason}); a session opened in {pause} s has them fetched anew"
        )
    }
}

impl Starter {
    /// Sees to it that what the sessions of this plan's server find in their homes is there. Whoever comes
    /// first has it fetched, all others wait for the same; who stops waiting stops nothing.
    ///
    /// # Errors
    /// [`StartFailed::Packages`]; for a moment after a failure it is the same one.
    pub async fn provide(self: &Arc<Self>, plan: &Launch) -> Result<Provisions, StartFailed> {
        let Some(recipe) = plan.recipe() else { return Ok(Provisions::none()) };
        loop {
            let mut outcome = match self.templates.ask(recipe.key()) {
                Answer::There => {
                    if let Some(store) = self.templates.store.get().filter(|store| store.has(recipe.key())) {
                        return Ok(Provisions::of(store.clone(), recipe));
                    }
                    self.templates.forget(recipe.key());
                    continue;
                }
                Answer::Failed(reason) => return Err(StartFailed::Packages(reason)),
                Answer::Wait(outcome) => outcome,
                Answer::Fetch(teller, outcome) => {
                    self.equipment.lifecycle.spawn(self.clone().attempt(plan.fetch(), teller));
                    outcome
                }
            };
            let told = outcome.wait_for(Option::is_some).await.map(|told| told.clone());
            if let Err(reason) = told.ok().flatten().unwrap_or_else(|| Err(Arc::new(NotFetched::Lost))) {
                return Err(StartFailed::Packages(reason));
            }
        }
    }

    /// Fetches, in the background, what is not there. Must be called on a runtime.
    pub fn provide_ahead(self: &Arc<Self>, fetches: impl IntoIterator<Item = Launch>) {
        for plan in fetches {
            if let Some(Answer::Fetch(teller, _)) = plan.fetch_key().map(|key| self.templates.ask(key)) {
                self.equipment.lifecycle.spawn(self.clone().attempt(plan, teller));
            }
        }
    }

    async fn attempt(
        self: Arc<Self>,
        plan: Launch,
        teller: watch::Sender<Option<Result<(), Arc<NotFetched>>>>,
    ) {
        let Some(key) = plan.fetch_key() else { return };
        let fetching = async {
            let known = self.templates.store().await?.has(key);
            if known { Ok(()) } else { self.fetch(&plan).await.map(drop) }
        };
        let outcome = tokio::select! {
            outcome = fetching => outcome,
            () = self.equipment.lifecycle.draining() => Err(NotFetched::Draining),
        };
        if let Err(error) = &outcome {
            tracing::warn!(server = %plan.server(), %error, "packages not fetched");
        }
        let outcome = outcome.map_err(Arc::new);
        self.templates.record(key, &outcome);
        teller.send_replace(Some(outcome));
    }

    /// Fetches the packages of a plan that does so, and replaces those that were kept.
    ///
    /// # Errors
    /// If they cannot be had or not be kept.
    pub async fn fetch(&self, plan: &Launch) -> Result<Amount, NotFetched> {
        let Some(key) = plan.fetch_key() else { return Ok(Amount::default()) };
        let store = self.templates.store().await?;
        let _turn = self.templates.turns.acquire().await;
        let begun = Instant::now();
        tracing::info!(server = %plan.server(), "fetching packages");
        let site = self.homes.site().map_err(StartFailed::from)?;
        let Standard { process, stdin, stdout, .. } =
            Process::start(&self.equipment, plan, site, Provisions::none()).await?;
        drop(stdin);
        let stdout = pipe::Receiver::from_owned_fd(stdout).map_err(StartFailed::from)?;
        let remains = run(plan, process, stdout).await?;
        let key = key.to_owned();
        let kept = ENDS.until_done(move || keep(remains, &store, &key)).await;
        let amount = kept.ok_or(NotFetched::Lost)??;
        let (entries, bytes, seconds) = (amount.entries, amount.bytes, begun.elapsed().as_secs_f32());
        tracing::info!(server = %plan.server(), entries, bytes, seconds, "packages fetched");
        Ok(amount)
    }
}

/// Until the runner has ended, and all that it has started.
async fn run(plan: &Launch, mut process: Process, mut stdout: pipe::Receiver) -> Result<Remains, NotFetched> {
    let in_time = {
        let swallow = async {
            let _ = tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await;
            std::future::pending().await
        };
        let ended = async {
            tokio::select! {
                _ = process.exited() => {}
                () = swallow => {}
            }
        };
        timeout(PATIENCE, ended).await.is_ok()
    };
    process.hear_out().await;
    let words = process.last_lines(|text| plan.conceal(text)).join(" | ");
    match process.end(Duration::ZERO, TERM).await {
        _ if !in_time => Err(NotFetched::Late),
        Some(remains) if remains.exit == Exit::Status(0) => Ok(remains),
        Some(Remains { exit, .. }) => Err(NotFetched::Failed { exit, words }),
        None => Err(NotFetched::Lost),
    }
}

/// Takes over what the runner has left, now that nobody is its user.
fn keep(remains: Remains, store: &Store, key: &str) -> Result<Amount, Uncopied> {
    let Remains { home, confined, .. } = remains;
    let owner = confined.uid().unwrap_or_else(|| rustix::process::getuid().as_raw());
    let draft = store.draft()?;
    let amount = take(home.path(), owner, &draft)?;
    store.publish(draft, key)?;
    // Its directory goes without anybody waiting for it.
    drop((home, confined));
    Ok(amount)
}
