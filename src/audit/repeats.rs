//! Which refusals are like others that were told just now.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// What was told when, in constant memory: subjects share slots, so among very many a refusal may
/// pass for the repetition of another, but never does a flood become a flood of lines.
pub(super) struct Repeats {
    since: Instant,
    /// Drawn at the start, so that nobody can aim at a slot.
    hashes: RandomState,
    /// The second of the last line, from 1, and how many were like it since.
    slots: [AtomicU64; 1024],
}

/// For how long a refusal is not repeated.
const QUIET: Duration = Duration::from_secs(10);
/// The part of a slot that counts.
const COUNT: u64 = u32::MAX as u64;

impl Repeats {
    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            hashes: RandomState::new(),
            slots: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// How many were like it since the last line, if it is time for another.
    pub(super) fn untold(&self, subject: impl Hash) -> Option<u64> {
        let slot = &self.slots[(self.hashes.hash_one(subject) % self.slots.len() as u64) as usize];
        let now = self.since.elapsed().as_secs() + 1;
        let is_due = |old: u64| old == 0 || now.saturating_sub(old >> 32) >= QUIET.as_secs();
        let next = |old: u64| match old {
            old if is_due(old) => now << 32,
            old if old & COUNT == COUNT => old,
            old => old + 1,
        };
        let old = slot.fetch_update(Relaxed, Relaxed, |old| Some(next(old))).unwrap_or_else(|old| old);
        is_due(old).then_some(old & COUNT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn like_refusals_are_told_once_in_a_while_and_counted() {
        let repeats = Repeats::new();
        assert_eq!(repeats.untold("one"), Some(0));
        for _ in 0..1000 {
            assert_eq!(repeats.untold("one"), None);
        }
        tokio::time::advance(QUIET).await;
        assert_eq!(repeats.untold("one"), Some(1000));
        assert_eq!(repeats.untold("one"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_subjects_is_bounded_too() {
        let repeats = Repeats::new();
        let told = (0..100_000).filter(|subject: &u32| repeats.untold(subject).is_some()).count();
        assert_eq!(told, repeats.slots.len());
    }
}
