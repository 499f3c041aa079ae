//! User ids, one for each live session.
//!
//! The range is taken in blocks, each with a lock file, so that several gateways on one machine never use
//! the same id; a block that a dead gateway held is swept before it is used. An id that comes back rests for
//! a while, and is given out again only when nothing of its last session can be found.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::sweeper::Sweeper;
use crate::settings::UidRange;

#[derive(Debug)]
pub(super) struct Uids {
    range: UidRange,
    /// Where the lock files are.
    directory: PathBuf,
    pool: Mutex<Pool>,
    sweeper: Sweeper,
}

#[derive(Debug, Default)]
struct Pool {
    free: VecDeque<u32>,
    /// Given back, the oldest first.
    resting: VecDeque<(Instant, u32)>,
    /// Held for as long as the gateway lives.
    blocks: Vec<(u32, File)>,
    leased: u32,
}

/// How the user ids of `sandbox.uids` are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UidCount {
    /// Each by a live session.
    pub in_use: u32,
    /// Given back of late, and not to be given out yet.
    pub resting: u32,
    /// To be given out at once.
    pub free: u32,
    /// Not this gateway's so far; another on this machine may have them.
    pub unclaimed: u32,
}

/// The right to use one id. When it is dropped, the id rests.
#[derive(Debug)]
pub(in crate::backend) struct Lease {
    uid: u32,
    uids: Arc<Uids>,
}

/// Every id of the range is in use, here or by another gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("every user id of sandbox.uids is in use")]
pub struct Exhausted;

/// Ids of one lock file.
const BLOCK: u32 = 256;
/// How long an id rests at least.
const REST: Duration = Duration::from_secs(10);

impl Uids {
    /// Takes a first block.
    pub(super) fn prepare(range: UidRange, directory: &Path, sweeper: Sweeper) -> io::Result<Self> {
        fs::DirBuilder::new().mode(0o755).recursive(true).create(directory)?;
        let pool = Mutex::default();
        let uids = Self { range, directory: directory.to_owned(), pool, sweeper };
        let block = uids.lock_block().ok_or(Exhausted).map_err(io::Error::other)?;
        uids.sweeper.guard_now(uids.block(block.0), &block.1)?;
        uids.adopt(block);
        Ok(uids)
    }

    /// An id that nothing on this machine uses.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Lease, Exhausted> {
        loop {
            if let Some(uid) = self.pool().take() {
                return Ok(Lease { uid, uids: self.clone() });
            }
            let rested = Rested::take(self);
            if !rested.ids.is_empty() {
                rested.release().await;
                continue;
            }
            let block = self.lock_block().ok_or(Exhausted)?;
            let guarded = self.sweeper.guard(self.block(block.0), block.1.as_fd()).await;
            guarded.map_err(|_| Exhausted)?;
            self.adopt(block);
        }
    }

    pub(super) fn count(&self) -> UidCount {
        let pool = self.pool();
        let held: u32 = pool.blocks.iter().map(|(first, _)| self.block(*first).len()).sum();
        let size = |ids: usize| u32::try_from(ids).unwrap_or(u32::MAX);
        UidCount {
            in_use: pool.leased,
            resting: size(pool.resting.len()),
            free: size(pool.free.len()),
            unclaimed: self.range.len().saturating_sub(held),
        }
    }

    /// The first block that nobody holds.
    fn lock_block(&self) -> Option<(u32, File)> {
        let mut firsts = (self.range.first..=self.range.last).step_by(BLOCK as usize);
        firsts.find_map(|first| {
            if self.pool().blocks.iter().any(|(held, _)| *held == first) {
                return None;
            }
            let lock = File::create(self.directory.join(format!("uids-{first}.lock"))).ok()?;
            lock.try_lock().is_ok().then_some((first, lock))
        })
    }

    fn block(&self, first: u32) -> UidRange {
        UidRange { first, last: self.range.last.min(first.saturating_add(BLOCK - 1)) }
    }

    /// The first id of a block is never given to a session: the sweeper needs one of its own.
    fn adopt(&self, (first, lock): (u32, File)) {
        let block = self.block(first);
        let mut pool = self.pool();
        pool.free.extend(first + 1..=block.last);
        pool.blocks.push((first, lock));
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    fn take(&mut self) -> Option<u32> {
        let uid = self.free.pop_front()?;
        self.leased += 1;
        Some(uid)
    }
}

/// Ids that have rested, while it is found out whether they can be used again.
struct Rested<'p> {
    ids: Vec<u32>,
    uids: &'p Uids,
}

impl<'p> Rested<'p> {
    fn take(uids: &'p Uids) -> Self {
        let now = Instant::now();
        let mut pool = uids.pool();
        let due = pool.resting.iter().take_while(|(since, _)| now.duration_since(*since) >= REST).count();
        Self { ids: pool.resting.drain(..due).map(|(_, uid)| uid).collect(), uids }
    }

    /// Sets free what is clean. The rest goes on resting.
    async fn release(mut self) {
        let Ok(unclean) = self.uids.sweeper.inspect(self.ids.clone()).await else { return };
        let (unclean, clean) = self.ids.drain(..).partition(|uid| unclean.contains(uid));
        self.ids = unclean;
        self.uids.pool().free.extend::<Vec<u32>>(clean);
    }
}

impl Drop for Rested<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        self.uids.pool().resting.extend(self.ids.drain(..).map(|uid| (now, uid)));
    }
}

impl Lease {
    pub(super) fn uid(&self) -> u32 {
        self.uid
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut pool = self.uids.pool();
        pool.leased -= 1;
        pool.resting.push_back((Instant::now(), self.uid));
    }
}
