//! What is on its way to a remote server: how much, and whether others wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// All of it.
#[derive(Debug, Default)]
pub(super) struct OnTheWay(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicUsize,
    /// How many there are that nothing may overtake.
    alone: AtomicUsize,
}

/// A part of it, until this is dropped: also where it is called off.
#[derive(Debug)]
pub(super) struct Part {
    counts: Arc<Counts>,
    bytes: usize,
    alone: bool,
}

impl OnTheWay {
    /// So much of a message, which nothing may overtake if it goes `alone`.
    pub(super) fn part(&self, bytes: usize, alone: bool) -> Part {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.0.alone.fetch_add(usize::from(alone), Ordering::Relaxed);
        Part { counts: self.0.clone(), bytes, alone }
    }

    /// Whether another message may go.
    pub(super) fn has_room(&self, max: usize) -> bool {
        self.0.alone.load(Ordering::Relaxed) == 0 && self.0.bytes.load(Ordering::Relaxed) < max
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.counts.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.counts.alone.fetch_sub(usize::from(self.alone), Ordering::Relaxed);
    }
}
