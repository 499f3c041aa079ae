//! What one node knows of a bucket that all nodes take from, and what it holds of it ahead.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// The node's share of one bucket.
#[derive(Debug, Default)]
pub(super) struct Share(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Requests that may pass without asking.
    held: u32,
    /// When that is no longer so.
    held_until: Option<Instant>,
    /// What the bucket had left when the store was asked last.
    left: u32,
    /// Nothing is to be had before.
    empty_until: Option<Instant>,
    /// When a request was let pass last.
    passed: Option<Instant>,
    /// Fetches more to hold. Only one does, so that no more than one fetch is ever held.
    refill: Option<AbortOnDropHandle<()>>,
}

/// What the store has granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) granted: u32,
    /// What the bucket has left.
    pub(super) left: u32,
    /// Until it has something again: zero if something is left.
    pub(super) wait: Duration,
}

/// How long what is held may be used: what a node holds that is asked no more is lost to the others for no longer.
pub(super) const HELD_FOR: Duration = Duration::from_secs(10);
/// The part of a minute's requests that all nodes together may hold: by so much a tenant may exceed its rate.
const PERCENT_HELD: u64 = 4;

/// How much of a rate each of these nodes may hold ahead: half of what may come at once is left to whoever asks next.
pub(super) fn ahead(per_minute: u32, burst: u32, nodes: usize) -> u32 {
    let all = (u64::from(per_minute) * PERCENT_HELD / 100).min(u64::from(burst) / 2);
    u32::try_from(all / (nodes as u64).max(1)).unwrap_or(u32::MAX)
}

impl Share {
    /// Decides on a request by what is known here: how many may follow it, or how long to wait. `None` if the store is
    /// to be asked.
    pub(super) fn decide(&self, now: Instant) -> Option<Result<u32, Duration>> {
        let mut known = self.known();
        if known.held > 0 && known.held_until.is_some_and(|until| now < until) {
            known.held -= 1;
            known.passed = Some(now);
            return Some(Ok(known.left.saturating_add(known.held)));
        }
        known.held = 0;
        let wait = known.empty_until?.checked_duration_since(now).filter(|wait| !wait.is_zero());
        wait.map(Err)
    }

    /// Takes in what the store has said to one request.
    pub(super) fn answered(&self, grant: Grant, now: Instant) {
        let mut known = self.known();
        known.take_in(grant, now);
    }

    /// Has `refill` run if it is worth it: nothing is held, nobody fetches, and one request has followed another.
    pub(super) fn refill(&self, now: Instant, refill: impl FnOnce() -> AbortOnDropHandle<()>) {
        let mut known = self.known();
        let before = known.passed.replace(now);
        let is_busy = before.is_some_and(|before| now < before + HELD_FOR);
        let is_being_done = known.refill.as_ref().is_some_and(|task| !task.is_finished());
        if known.held == 0 && is_busy && !is_being_done {
            known.refill = Some(refill());
        }
    }

    /// Holds what was granted to nobody yet. It was asked for at `asked`.
    pub(super) fn hold(&self, grant: Grant, asked: Instant) {
        let mut known = self.known();
        known.take_in(grant, asked);
        known.held = grant.granted;
        known.held_until = Some(asked + HELD_FOR);
    }

    /// Resolves once nothing is being fetched.
    #[cfg(test)]
    pub(super) async fn fetched(&self) {
        let refill = self.known().refill.take();
        if let Some(refill) = refill {
            refill.await.unwrap();
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn take_in(&mut self, grant: Grant, now: Instant) {
        self.left = grant.left;
        self.empty_until = (!grant.wait.is_zero()).then(|| now + grant.wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(granted: u32, left: u32, wait: u64) -> Grant {
        Grant { granted, left, wait: Duration::from_millis(wait) }
    }

    #[test]
    fn all_nodes_together_hold_four_percent_of_a_minute() {
        let of = |per_minute, nodes| ahead(per_minute, u32::MAX, nodes);
        assert_eq!([of(100, 1), of(100, 3), of(100, 5), of(24, 1)], [4, 1, 0, 0]);
        assert_eq!(of(u32::MAX, 0), 171_798_691);
        assert_eq!(
            [ahead(1800, 20, 1), ahead(1800, 20, 3), ahead(100, 1, 1)],
            [10, 3, 0],
            "nor most of a burst"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_passes_for_ten_seconds_and_is_then_lost() {
        let (share, asked) = (Share::default(), Instant::now());
        share.hold(grant(3, 7, 0), asked);
        assert_eq!(share.decide(asked), Some(Ok(9)), "what is left is what all have, and what is held");
        tokio::time::advance(HELD_FOR - Duration::from_millis(1)).await;
        assert_eq!(share.decide(Instant::now()), Some(Ok(8)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(share.decide(Instant::now()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_remembered_until_its_wait_is_over() {
        let (share, now) = (Share::default(), Instant::now());
        share.answered(grant(0, 0, 500), now);
        tokio::time::advance(Duration::from_millis(200)).await;
        assert_eq!(share.decide(Instant::now()), Some(Err(Duration::from_millis(300))));
        tokio::time::advance(Duration::from_millis(300)).await;
        assert_eq!(share.decide(Instant::now()), None);
        share.hold(grant(1, 0, 600), now);
        assert_eq!(share.decide(now), Some(Ok(0)), "what is held comes first");
        assert!(matches!(share.decide(now), Some(Err(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn only_who_is_busy_fetches_ahead_and_only_once_at_a_time() {
        let (share, lifecycle) = (Share::default(), crate::lifecycle::Lifecycle::default());
        let mut begun = 0;
        let mut pass = |share: &Share| {
            share.refill(Instant::now(), || {
                begun += 1;
                lifecycle.spawn_bound(std::future::pending())
            });
            begun
        };
        assert_eq!(pass(&share), 0, "the first of them");
        tokio::time::advance(HELD_FOR).await;
        assert_eq!(pass(&share), 0, "the first in a long time");
        assert_eq!((pass(&share), pass(&share)), (1, 1), "one that follows another");
    }
}
