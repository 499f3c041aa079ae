//! Which user ids are free, and the blocks that they come from.

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Sweeper;
use crate::settings::UidRange;

#[derive(Debug, Default)]
pub(super) struct Pool {
    pub(super) free: VecDeque<u32>,
    /// Given back, the oldest first.
    pub(super) resting: VecDeque<(Instant, u32)>,
    /// Held for as long as the gateway lives.
    pub(super) blocks: Vec<Block>,
    /// Locked by somebody who did not wait until the sweeper had them, too.
    pub(super) claimed: Vec<Block>,
    /// Not to be had, although nobody has locked them.
    avoided: Vec<UidRange>,
    pub(super) leased: u32,
}

/// Ids that no other gateway takes for as long as the lock is held.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) ids: UidRange,
    pub(super) lock: File,
}

/// How long an id rests at least.
const REST: Duration = Duration::from_secs(10);

impl Pool {
    pub(super) fn take(&mut self) -> Option<u32> {
        let uid = self.free.pop_front()?;
        self.leased += 1;
        Some(uid)
    }

    /// The first id of a block is never given to a session: the sweeper needs one of its own. Ids that are
    /// unclean rest first: what has just been killed may not be reaped yet, and still count as its user's.
    pub(super) fn adopt(&mut self, block: Block, unclean: &[u32]) {
        let now = Instant::now();
        let for_sessions = block.ids.first + 1..=block.ids.last;
        let (resting, free): (Vec<u32>, Vec<u32>) = for_sessions.partition(|uid| unclean.contains(uid));
        self.free.extend(free);
        self.resting.extend(resting.into_iter().map(|uid| (now, uid)));
        self.blocks.push(block);
    }

    /// Somebody else's, whose locks are elsewhere, as in a container. Or of somebody who cannot be ended.
    pub(super) fn avoid(&mut self, block: Block) {
        self.avoided.push(block.ids);
    }

    pub(super) fn knows(&self, ids: UidRange) -> bool {
        let held = self.blocks.iter().chain(&self.claimed).map(|block| block.ids);
        held.chain(self.avoided.iter().copied()).any(|known| known == ids)
    }

    pub(super) fn take_rested(&mut self, now: Instant) -> Vec<u32> {
        let due = self.resting.iter().take_while(|(since, _)| now.duration_since(*since) >= REST).count();
        self.resting.drain(..due).map(|(_, uid)| uid).collect()
    }
}

/// A block that has been locked, while the sweeper takes it over. If nobody waits for that any more, the next who
/// needs one asks again.
pub(super) struct Claim<'p> {
    pub(super) block: Option<Block>,
    pub(super) pool: &'p Mutex<Pool>,
}

impl Claim<'_> {
    pub(super) async fn guard(mut self, sweeper: &Sweeper) {
        let Some(Block { ids, lock }) = &self.block else { return };
        let guarded = sweeper.guard(*ids, lock.as_fd()).await;
        let Some(block) = self.block.take() else { return };
        let mut pool = lock_of(self.pool);
        match guarded {
            Ok(found) => pool.adopt(block, &found),
            Err(error) => {
                tracing::warn!(ids = %block.ids, %error, "these user ids are not to be had");
                pool.avoid(block);
            }
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            lock_of(self.pool).claimed.push(block);
        }
    }
}

pub(super) fn lock_of(pool: &Mutex<Pool>) -> MutexGuard<'_, Pool> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_whose_claim_is_given_up_is_asked_for_again() {
        let pool = Mutex::default();
        let ids = UidRange { first: 20000, last: 20002 };
        let block = Block { ids, lock: tempfile::tempfile().unwrap() };
        drop(Claim { block: Some(block), pool: &pool });
        let mut pool: Pool = pool.into_inner().unwrap();
        assert!(pool.free.is_empty() && pool.knows(ids), "nobody uses it, and nobody locks it anew");
        let block = pool.claimed.pop().unwrap();
        pool.adopt(block, &[20001]);
        assert_eq!((pool.take(), pool.take()), (Some(20002), None));
        assert_eq!(pool.take_rested(Instant::now() + REST), [20001], "what was just killed rests");
    }

    #[test]
    fn an_id_that_comes_back_rests_before_it_can_be_taken() {
        let mut pool = Pool::default();
        let ids = UidRange { first: 20000, last: 20002 };
        pool.adopt(Block { ids, lock: tempfile::tempfile().unwrap() }, &[]);
        assert_eq!(pool.free, [20001, 20002], "the first is not for sessions");
        let start = Instant::now();
        pool.free.clear();
        pool.resting.extend([(start, 20001), (start + REST / 2, 20002)]);
        assert_eq!(pool.take_rested(start + REST / 2), Vec::<u32>::new());
        assert_eq!(pool.take_rested(start + REST), [20001]);
        assert_eq!(pool.take_rested(start + REST * 2), [20002]);
        assert!(pool.resting.is_empty());
    }
}
