//! Packages that are fetched once and given to every session of a server, without a byte that two sessions
//! could both write to (security.md T16).
//!
//! A session of its own, the *fetch*, has the package runner fill a cache in an empty home (`fetch`). What it
//! leaves is copied, file by file, into a directory that only we can enter, the *template* (`store`, `take`).
//! Each session of the server is given a copy of that in its home (`give`): directories of its own, and
//! links to files that belong to root, so it can replace them and change nothing. Where sessions have no
//! user of their own, they could change what is linked, so everything is copied. There, too, a session that
//! escapes from its rules could change the template itself, which belongs to its user: that is weaker.

mod copy;
mod fetch;
mod give;
mod store;
mod take;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

pub use self::copy::Amount;
pub use self::fetch::NotFetched;
pub use self::give::Provisions;

use self::store::Store;
use super::aside::STARTS;
use super::unprepared::Unprepared;
use crate::settings::Settings;

/// The templates of this gateway.
#[derive(Debug)]
pub(super) struct Templates {
    place: PathBuf,
    /// Made when a server first wants it.
    store: OnceLock<Arc<Store>>,
    attempts: Mutex<HashMap<String, Attempt>>,
    /// So many fetches at once; they are the heaviest thing that a session can cause.
    turns: Semaphore,
}

/// How far the packages of one recipe are.
#[derive(Debug)]
enum Attempt {
    /// Being fetched, or looked for.
    Running(Outcome),
    /// Kept.
    Done,
    /// Not to be tried again before this time.
    Failed(Instant, Arc<NotFetched>),
}

/// What those who wait hear.
pub(super) type Outcome = watch::Receiver<Option<Result<(), Arc<NotFetched>>>>;

/// What somebody who needs packages is to do.
pub(super) enum Answer {
    /// Take them.
    There,
    /// Wait for somebody else's attempt.
    Wait(Outcome),
    /// Fetch them, and tell the others.
    Fetch(watch::Sender<Option<Result<(), Arc<NotFetched>>>>, Outcome),
    /// Tell the client.
    Failed(Arc<NotFetched>),
}

/// Fetches that run at once.
const FETCHES: usize = 2;
/// From a failure to the next attempt, which a new session then makes.
const PAUSE: Duration = Duration::from_secs(5);

impl Templates {
    pub(super) fn prepare(settings: &Settings) -> Result<Self, Unprepared> {
        let place = settings.sandbox.templates.clone();
        let templates = Self {
            place,
            store: OnceLock::new(),
            attempts: Mutex::default(),
            turns: Semaphore::new(FETCHES),
        };
        if settings.servers.values().any(|server| server.prefetch) {
            let _ = templates.store.set(Arc::new(Store::prepare(&templates.place)?));
        }
        Ok(templates)
    }

    /// Where they are kept. Settings that were read again may be the first to want that.
    async fn store(&self) -> Result<Arc<Store>, NotFetched> {
        if let Some(store) = self.store.get() {
            return Ok(store.clone());
        }
        let place = self.place.clone();
        let made = STARTS.until_done(move || Store::prepare(&place)).await;
        let made = made.ok_or(NotFetched::Lost)?.map_err(NotFetched::Unprepared)?;
        Ok(self.store.get_or_init(|| Arc::new(made)).clone())
    }

    /// What to do for the packages with this key. Whoever asks first fetches.
    pub(super) fn ask(&self, key: &str) -> Answer {
        let mut attempts = self.attempts();
        match attempts.get(key) {
            Some(Attempt::Done) => return Answer::There,
            // Its sender goes without a word only if it has panicked.
            Some(Attempt::Running(outcome)) if outcome.has_changed().is_ok() => {
                return Answer::Wait(outcome.clone());
            }
            Some(Attempt::Failed(again, reason)) if Instant::now() < *again => {
                return Answer::Failed(reason.clone());
            }
            _ => {}
        }
        let (teller, outcome) = watch::channel(None);
        attempts.insert(key.to_owned(), Attempt::Running(outcome.clone()));
        Answer::Fetch(teller, outcome)
    }

    /// How an attempt went.
    pub(super) fn record(&self, key: &str, outcome: &Result<(), Arc<NotFetched>>) {
        let attempt = match outcome {
            Ok(()) => Attempt::Done,
            Err(reason) => Attempt::Failed(Instant::now() + PAUSE, reason.clone()),
        };
        self.attempts().insert(key.to_owned(), attempt);
    }

    /// The packages are not where they were.
    pub(super) fn forget(&self, key: &str) {
        self.attempts().remove(key);
    }

    fn attempts(&self) -> MutexGuard<'_, HashMap<String, Attempt>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
