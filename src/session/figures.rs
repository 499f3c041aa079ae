//! What is counted of one session while it lives, for the operator.
//!
//! Whoever counts holds the session's state anyway, so there is one writer at a time, who needs no
//! read-modify-write; whoever looks takes no lock that a message waits for.

mod sums;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

pub use self::sums::{Queues, Times, Traffic};
pub use crate::telemetry::Distribution;

use crate::mcp::{Era, Frame};
use crate::telemetry::Histogram;

/// What is counted of a session.
#[derive(Debug)]
pub(super) struct Figures {
    opened: Instant,
    calls: Count,
    from_client: Passed,
    from_backend: Passed,
    backend_stalls: Count,
    client_stalls: Count,
    /// From when a call is handed over until its answer is read.
    backend: Histogram,
    /// From when a call's body is there until it is handed over.
    way_in: Histogram,
    /// From when an answer is read until its client takes it, if that waits for it.
    way_out: Histogram,
    now: Now,
    /// The first of its processes; 0 if there is none of ours.
    process: AtomicU32,
}

/// How a session stands.
#[derive(Debug, Default)]
struct Now {
    stage: AtomicU8,
    /// What its backend speaks: its place in [`Era::ALL`], beyond which it is not known.
    era: AtomicUsize,
    open: AtomicUsize,
    to_backend: AtomicUsize,
    to_client: AtomicUsize,
    blocked: AtomicBool,
    full: AtomicBool,
    /// In milliseconds since the session was opened.
    last_message: AtomicU64,
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Its backend does not run yet.
    Starting,
    /// Its backend runs.
    Live,
    /// It takes nothing any more.
    Ending,
}

/// How a session stands, as its state has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) stage: Stage,
    /// Calls that wait for an answer.
    pub(super) open: usize,
    /// Bytes that the backend has not taken, those that the bridge holds back from it included.
    pub(super) to_backend: usize,
    /// Bytes that wait for a reader.
    pub(super) to_client: usize,
    /// The backend does not take what there is.
    pub(super) blocked: bool,
    /// The clients do not.
    pub(super) full: bool,
    pub(super) last_message: Instant,
    pub(super) era: Option<Era>,
}

/// A number that rises. One writer at a time.
#[derive(Debug, Default)]
struct Count(AtomicU64);

/// What has come from one side.
#[derive(Debug, Default)]
struct Passed {
    messages: Count,
    bytes: Count,
}

// === impl Figures ===

impl Figures {
    pub(super) fn new(opened: Instant) -> Self {
        Self {
            opened,
            calls: Count::default(),
            from_client: Passed::default(),
            from_backend: Passed::default(),
            backend_stalls: Count::default(),
            client_stalls: Count::default(),
            backend: Histogram::default(),
            way_in: Histogram::default(),
            way_out: Histogram::default(),
            now: Now { era: AtomicUsize::new(Era::ALL.len()), ..Now::default() },
            process: AtomicU32::new(0),
        }
    }

    /// The backend runs; its first process is this, if it is one of ours.
    pub(super) fn runs(&self, process: Option<u32>) {
        self.process.store(process.unwrap_or(0), Relaxed);
    }

    /// A message of the client, of so many bytes, was taken.
    pub(super) fn client_said(&self, bytes: usize, is_call: bool) {
        self.from_client.count(bytes);
        self.calls.add(is_call.into());
    }

    /// A message of the backend was read.
    pub(super) fn backend_said(&self, frame: &Frame) {
        self.from_backend.count(frame.bytes().len());
    }

    /// So many calls, more than one in a batch, were handed over, so long after they had come.
    pub(super) fn handed_over(&self, after: Duration, calls: usize) {
        (0..calls).for_each(|_| self.way_in.observe(after));
    }

    /// A call was answered, so long after it was handed over.
    pub(super) fn answered(&self, after: Duration) {
        self.backend.observe(after);
    }

    /// An answer was taken, so long after it was read at most.
    pub(super) fn taken(&self, after: Duration) {
        self.way_out.observe(after);
    }

    /// Shows how the session stands from now on.
    pub(super) fn show(&self, standing: Standing) {
        let Standing { stage, open, to_backend, to_client, blocked, full, last_message, era } = standing;
        self.now.stage.store(stage as u8, Relaxed);
        self.now.open.store(open, Relaxed);
        self.now.to_backend.store(to_backend, Relaxed);
        self.now.to_client.store(to_client, Relaxed);
        let said = last_message.saturating_duration_since(self.opened).as_millis();
        self.now.last_message.store(u64::try_from(said).unwrap_or(u64::MAX), Relaxed);
        let place = era.and_then(|era| Era::ALL.iter().position(|known| *known == era));
        self.now.era.store(place.unwrap_or(Era::ALL.len()), Relaxed);
        for (flag, is, stalls) in
            [(&self.now.blocked, blocked, &self.backend_stalls), (&self.now.full, full, &self.client_stalls)]
        {
            if flag.load(Relaxed) != is {
                flag.store(is, Relaxed);
                stalls.add(is.into());
            }
        }
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            calls: self.calls.get(),
            messages_in: self.from_client.messages.get(),
            messages_out: self.from_backend.messages.get(),
            bytes_in: self.from_client.bytes.get(),
            bytes_out: self.from_backend.bytes.get(),
            backend_stalls: self.backend_stalls.get(),
            client_stalls: self.client_stalls.get(),
        }
    }

    pub(super) fn queues(&self) -> Queues {
        Queues {
            open: self.now.open.load(Relaxed),
            to_backend: self.now.to_backend.load(Relaxed),
            to_client: self.now.to_client.load(Relaxed),
        }
    }

    pub(super) fn stage(&self) -> Stage {
        match self.now.stage.load(Relaxed) {
            stage if stage == Stage::Starting as u8 => Stage::Starting,
            stage if stage == Stage::Live as u8 => Stage::Live,
            _ => Stage::Ending,
        }
    }

    pub(super) fn era(&self) -> Option<Era> {
        Era::ALL.get(self.now.era.load(Relaxed)).copied()
    }

    pub(super) fn process(&self) -> Option<u32> {
        Some(self.process.load(Relaxed)).filter(|process| *process != 0)
    }

    /// When the client has last said something.
    pub(super) fn last_message(&self) -> Instant {
        self.opened + Duration::from_millis(self.now.last_message.load(Relaxed))
    }

    /// How long its calls take, added to what others take.
    pub(super) fn add_times(&self, times: &mut Times) {
        times.backend.add(&self.backend);
        times.way_in.add(&self.way_in);
        times.way_out.add(&self.way_out);
    }
}

// === impl Count, Passed ===

impl Count {
    fn add(&self, count: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(count), Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Passed {
    fn count(&self, bytes: usize) {
        self.messages.add(1);
        self.bytes.add(bytes as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_counted_once_for_each_time_that_it_begins() {
        let now = Instant::now();
        let figures = Figures::new(now);
        for blocked in [false, true, true, false, true] {
            figures.show(Standing {
                stage: Stage::Live,
                open: 0,
                to_backend: 0,
                to_client: 0,
                blocked,
                full: false,
                last_message: now,
                era: None,
            });
        }
        let traffic = figures.traffic();
        assert_eq!((traffic.backend_stalls, traffic.client_stalls), (2, 0));
    }
}
