//! How many requests were handed over, and what came of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::lifecycle::Hold;

/// Counts what goes to other nodes and what comes from them.
#[derive(Debug, Default)]
pub struct Figures {
    forwarded: [AtomicU64; Handed::ALL.len()],
    replayed: AtomicU64,
    open: AtomicU64,
    received: AtomicU64,
    gone: AtomicU64,
}

/// What came of passing a request on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// The other node has it, and answers it if its client waits for that.
    Over,
    /// The other node is gone.
    Gone,
    /// The connection broke before there was an answer.
    Broken,
    /// The connection broke within the answer.
    CutShort,
}

/// What was counted of the rest.
#[derive(Clone, Copy, Debug)]
pub struct Totals {
    /// Requests that Fly's proxy was asked to bring to their node.
    pub replayed: u64,
    /// Requests that another node is answering.
    pub open: u64,
    /// Requests that other nodes have handed over.
    pub received: u64,
    /// Requests for sessions whose node is gone.
    pub gone: u64,
}

/// A request that is passed on, until its answer is over: then it counts.
#[derive(Debug)]
pub struct Open {
    figures: Arc<Figures>,
    outcome: Handed,
    _held: Option<Hold>,
}

impl Figures {
    /// One is passed on, for whose answer a shutdown waits if it is `held` up.
    pub(super) fn open(self: &Arc<Self>, held: Option<Hold>) -> Open {
        self.open.fetch_add(1, Relaxed);
        Open { figures: self.clone(), outcome: Handed::Over, _held: held }
    }

    /// Counts one that Fly's proxy is asked to bring to its node.
    pub fn replayed(&self) {
        self.replayed.fetch_add(1, Relaxed);
    }

    /// Counts one that another node has handed over.
    pub fn received(&self) {
        self.received.fetch_add(1, Relaxed);
    }

    /// Counts one for a session whose node is gone.
    pub fn gone(&self) {
        self.gone.fetch_add(1, Relaxed);
    }

    /// How many were passed on, by what came of them.
    pub fn forwarded(&self) -> [(Handed, u64); Handed::ALL.len()] {
        Handed::ALL.map(|how| (how, self.forwarded[how as usize].load(Relaxed)))
    }

    /// What else was counted.
    pub fn totals(&self) -> Totals {
        Totals {
            replayed: self.replayed.load(Relaxed),
            open: self.open.load(Relaxed),
            received: self.received.load(Relaxed),
            gone: self.gone.load(Relaxed),
        }
    }
}

impl Open {
    /// It has come to this.
    pub fn ends(&mut self, outcome: Handed) {
        self.outcome = outcome;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.figures.open.fetch_sub(1, Relaxed);
        self.figures.forwarded[self.outcome as usize].fetch_add(1, Relaxed);
    }
}

impl Handed {
    const ALL: [Self; 4] = [Self::Over, Self::Gone, Self::Broken, Self::CutShort];

    /// For metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Over => "over",
            Self::Gone => "gone",
            Self::Broken => "broken",
            Self::CutShort => "cut_short",
        }
    }
}
