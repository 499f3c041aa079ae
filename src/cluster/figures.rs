//! How many requests were handed over, and how that went.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts what goes to other nodes and what comes from them.
#[derive(Debug, Default)]
pub struct Figures {
    counts: [[AtomicU64; Handed::ALL.len()]; Way::ALL.len()],
    open: AtomicU64,
    received: AtomicU64,
    gone: AtomicU64,
}

/// How a request gets to another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// This node passes it on.
    Forward,
    /// Fly's proxy brings it there.
    Replay,
}

/// How handing over went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// The other node has it, or will.
    Over,
    /// The other node is gone.
    Gone,
    /// The connection broke before there was an answer.
    Broken,
    /// The connection broke within the answer.
    CutShort,
}

/// A request that another node answers, until this is dropped.
#[derive(Debug)]
pub struct Open(Arc<Figures>);

impl Figures {
    /// Counts one that was handed over.
    pub fn handed(&self, way: Way, how: Handed) {
        self.counts[way as usize][how as usize].fetch_add(1, Relaxed);
    }

    /// Counts one that another node has handed over.
    pub fn received(&self) {
        self.received.fetch_add(1, Relaxed);
    }

    /// Counts one for a session whose node is gone.
    pub fn gone(&self) {
        self.gone.fetch_add(1, Relaxed);
    }

    /// How many there were of each kind.
    pub fn counts(&self) -> impl Iterator<Item = (Way, Handed, u64)> + '_ {
        Way::ALL.into_iter().flat_map(move |way| {
            Handed::ALL
                .into_iter()
                .map(move |how| (way, how, self.counts[way as usize][how as usize].load(Relaxed)))
        })
    }

    /// How many other nodes have handed over, how many of ours are being answered there, and how many were for sessions
    /// whose node is gone.
    pub fn totals(&self) -> (u64, u64, u64) {
        (self.received.load(Relaxed), self.open.load(Relaxed), self.gone.load(Relaxed))
    }

    /// Counts one as being answered by another node.
    pub fn open(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Relaxed);
        Open(self.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

impl Way {
    const ALL: [Self; 2] = [Self::Forward, Self::Replay];

    /// For metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Replay => "replay",
        }
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
