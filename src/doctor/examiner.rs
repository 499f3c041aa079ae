//! Tries servers of a gateway that serves, for its operator: with the sandbox, the slots and the packages that
//! sessions have, and never so often that sessions would have to wait.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::budget::Budget;
use super::trial::{self, Health, Step};
use crate::access::{Allowance, Operator, Trials};
use crate::backend::Starter;
use crate::catalog::{Means, Trial};
use crate::ids::ServerName;
use crate::lifecycle::Lifecycle;
use crate::settings::Timeouts;

/// Tries servers, each once at a time.
#[derive(Debug)]
pub struct Examiner {
    starter: Arc<Starter>,
    lifecycle: Lifecycle,
    trials: Trials,
    underway: Mutex<BTreeSet<ServerName>>,
}

/// Why a server is not tried now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTried {
    /// The gateway is shutting down.
    #[error("the gateway is shutting down; ask the one that takes its place")]
    Draining,
    /// It is being tried.
    #[error("this server is being tried already; wait for that answer, or ask again a little later")]
    Underway,
    /// There were too many trials.
    #[error("servers were tried too often; all of them together may be {} times in a minute", .0.per_minute)]
    TooOften(Allowance),
}

/// That a server is being tried, until this is dropped.
struct Underway<'e> {
    examiner: &'e Examiner,
    server: &'e ServerName,
}

impl Examiner {
    /// With what starts sessions.
    pub fn new(starter: Arc<Starter>, lifecycle: Lifecycle) -> Self {
        Self { starter, lifecycle, trials: Trials::default(), underway: Mutex::default() }
    }

    /// Starts or reaches a server, asks it who it is and what tools it has, and ends it; half a minute at most. What
    /// was started has ended when this comes back, and ends at once when it is cancelled.
    ///
    /// # Errors
    /// If it must not be tried now.
    pub async fn examine(
        &self,
        operator: &Operator,
        trial: &Trial,
        timeouts: &Timeouts,
    ) -> Result<Health, NotTried> {
        if self.lifecycle.is_draining() {
            return Err(NotTried::Draining);
        }
        let means = match (trial::obstacle(trial), &trial.means) {
            (None, Ok(means)) => means,
            (obstacle, _) => return Ok(Health::NotStarted(obstacle.unwrap_or_default())),
        };
        let _underway = self.begin(&trial.server).ok_or(NotTried::Underway)?;
        self.trials.count(operator).map_err(NotTried::TooOften)?;
        let budget = Budget::short(timeouts);
        let health = tokio::select! {
            biased;
            () = self.lifecycle.draining() => return Err(NotTried::Draining),
            health = trial::run(&self.starter, means, trial.era, &budget) => health,
        };
        let health = self.with_barrier(health, means).await;
        let (server, word) = (&trial.server, health.word());
        tracing::info!(%server, outcome = word, "a server was tried, as the operator wants");
        Ok(health)
    }

    fn begin<'e>(&'e self, server: &'e ServerName) -> Option<Underway<'e>> {
        let is_first = self.underway().insert(server.clone());
        // Made only if it is so: its end would be that of the one that runs.
        is_first.then(|| Underway { examiner: self, server })
    }

    /// Says what keeps sessions from the server, if that is why it does not start.
    async fn with_barrier(&self, health: Health, means: &Means) -> Health {
        let (Health::Failed { step: Step::Start, reason, last_line }, Means::Launch(launch)) =
            (&health, means)
        else {
            return health;
        };
        let barriers = self.starter.barriers(vec![launch.clone()]).await;
        let Some((_, barrier)) = barriers.first() else { return health };
        let (reason, last_line) = (format!("{reason}; {barrier}"), last_line.clone());
        Health::Failed { step: Step::Start, reason, last_line }
    }

    fn underway(&self) -> MutexGuard<'_, BTreeSet<ServerName>> {
        self.underway.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.examiner.underway().remove(self.server);
    }
}
