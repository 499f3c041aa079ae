//! How the store does.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::RedisError;
use serde::Serialize;
use tokio::time::Instant;

use crate::telemetry::Distribution;

/// Who has decided on a request or a session that a limit of all nodes is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This node, of what the store has let it have ahead.
    Held,
    /// The store.
    Store,
    /// This node by itself, because the store is out of reach.
    Alone,
    /// Nobody could, so it was refused.
    Refused,
}

/// What was counted since the start.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Calls by what came of them.
    pub calls: [(&'static str, u64); 4],
    /// How long those took that were answered.
    pub times: Distribution,
    /// Decisions by who made them.
    pub decisions: [(&'static str, u64); 4],
}

/// What there is to be seen of the store.
#[derive(Clone, Debug, Serialize)]
pub struct View {
    /// Its host and port.
    pub at: String,
    /// Whether it answers.
    pub up: bool,
    /// For how long it has not.
    pub away_seconds: Option<u64>,
    /// Nodes that live, this one among them, as it was heard last.
    pub nodes: usize,
}

/// Counts as they rise.
#[derive(Debug)]
pub(super) struct Counts {
    refused: AtomicU64,
    failed: AtomicU64,
    kept_away: AtomicU64,
    decisions: [AtomicU64; 4],
    times: Mutex<Distribution>,
    /// Since when it does not answer; at first since the start.
    away_since: Mutex<Option<Instant>>,
    /// What it has refused of late, so that each is told once.
    complaints: Mutex<Vec<String>>,
}

/// Kinds of refusals that are told between two losses of the connection.
const COMPLAINTS: usize = 8;

impl Default for Counts {
    fn default() -> Self {
        Self {
            refused: AtomicU64::default(),
            failed: AtomicU64::default(),
            kept_away: AtomicU64::default(),
            decisions: Default::default(),
            times: Mutex::default(),
            away_since: Mutex::new(Some(Instant::now())),
            complaints: Mutex::default(),
        }
    }
}

impl Counts {
    pub(super) fn answered(&self, took: Duration) {
        held(&self.times).observe(took);
    }

    /// The store has answered that it will not do it.
    pub(super) fn refused(&self, error: &RedisError) {
        self.refused.fetch_add(1, Relaxed);
        let code = error.code().unwrap_or("no code").to_owned();
        let mut complaints = held(&self.complaints);
        if complaints.len() < COMPLAINTS && !complaints.contains(&code) {
            tracing::warn!(
                code,
                "the store refuses what it is asked; it must be Valkey, or Redis from 6.2 on, that may be written to"
            );
            complaints.push(code);
        }
    }

    /// It has not answered in time, or the connection was lost.
    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    /// It was not asked, because it is out of reach.
    pub(super) fn kept_away(&self) {
        self.kept_away.fetch_add(1, Relaxed);
    }

    pub(super) fn decided(&self, by: Decision) {
        self.decisions[by as usize].fetch_add(1, Relaxed);
    }

    /// From now on it answers, or does not.
    pub(super) fn set_up(&self, up: bool) {
        let mut since = held(&self.away_since);
        if up {
            *since = None;
            held(&self.complaints).clear();
        } else {
            since.get_or_insert_with(Instant::now);
        }
    }

    pub(super) fn away_for(&self) -> Option<Duration> {
        held(&self.away_since).map(|since| since.elapsed())
    }

    pub(super) fn figures(&self) -> Figures {
        let count = |count: &AtomicU64| count.load(Relaxed);
        let times = held(&self.times).clone();
        let [by_held, by_store, alone, refused] = &self.decisions;
        Figures {
            calls: [
                ("answered", times.count()),
                ("refused", count(&self.refused)),
                ("failed", count(&self.failed)),
                ("away", count(&self.kept_away)),
            ],
            times,
            decisions: [
                ("held", count(by_held)),
                ("store", count(by_store)),
                ("alone", count(alone)),
                ("refused", count(refused)),
            ],
        }
    }
}

fn held<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
