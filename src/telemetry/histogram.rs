//! Durations by size, counted without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The upper bounds of the sizes that are told apart, in microseconds; what takes longer counts beyond the last.
pub(super) const BOUNDS: [u64; 18] = [
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 5_000_000, 30_000_000,
];

/// How many durations of each size there were. One writer at a time.
#[derive(Debug, Default)]
pub struct Histogram {
    pub(super) counts: [AtomicU64; BOUNDS.len() + 1],
    /// All together, in microseconds.
    pub(super) sum: AtomicU64,
}

impl Histogram {
    /// One more.
    pub fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let size = BOUNDS.partition_point(|bound| *bound < micros);
        let count = &self.counts[size];
        count.store(count.load(Relaxed) + 1, Relaxed);
        self.sum.store(self.sum.load(Relaxed).saturating_add(micros), Relaxed);
    }
}
