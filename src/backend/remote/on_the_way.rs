//! What is on its way to a remote server: how much, and whether others wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// All of it.
#[derive(Debug, Default)]
pub(super) struct OnTheWay(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicUsize,
    requests: AtomicUsize,
    /// Answers to what the server has asked.
    answers: AtomicUsize,
    /// How many there are that nothing may overtake.
    alone: AtomicUsize,
}

/// A part of it, until this is dropped: also where it is called off.
#[derive(Debug)]
pub(super) struct Part {
    counts: Arc<Counts>,
    bytes: usize,
    requests: usize,
    answers: usize,
    alone: usize,
}

/// What takes room on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// A place among requests.
    Request,
    /// One among answers: what a server waits for must not wait for what the server is to answer.
    Answer,
    /// Its bytes only.
    Bytes,
}

/// Requests of one session that may be on the way at once, and answers: each may take a connection.
const MAX_AT_ONCE: usize = 64;

impl OnTheWay {
    /// A message of so many bytes.
    pub(super) fn part(&self, bytes: usize, takes: Takes, is_alone: bool) -> Part {
        let (requests, answers) = (usize::from(takes == Takes::Request), usize::from(takes == Takes::Answer));
        let alone = usize::from(is_alone);
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.0.requests.fetch_add(requests, Ordering::Relaxed);
        self.0.answers.fetch_add(answers, Ordering::Relaxed);
        self.0.alone.fetch_add(alone, Ordering::Relaxed);
        Part { counts: self.0.clone(), bytes, requests, answers, alone }
    }

    /// Whether there is something that nothing may overtake.
    pub(super) fn is_reserved(&self) -> bool {
        self.0.alone.load(Ordering::Relaxed) > 0
    }

    /// Whether another request may go, where there may be so many bytes.
    pub(super) fn has_room(&self, max: usize) -> bool {
        self.0.bytes.load(Ordering::Relaxed) < max && self.0.requests.load(Ordering::Relaxed) < MAX_AT_ONCE
    }

    /// Whether another answer may go.
    pub(super) fn has_room_for_answers(&self) -> bool {
        self.0.answers.load(Ordering::Relaxed) < MAX_AT_ONCE
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.counts.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.counts.requests.fetch_sub(self.requests, Ordering::Relaxed);
        self.counts.answers.fetch_sub(self.answers, Ordering::Relaxed);
        self.counts.alone.fetch_sub(self.alone, Ordering::Relaxed);
    }
}
