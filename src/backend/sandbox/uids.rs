//! User ids, one for each live session.
//!
//! The range is taken in blocks, each with a lock file, so that several gateways on one machine never use
//! the same id, even where their ranges overlap. The file says which ids its owner uses, until those have been
//! swept: what a dead gateway has held is swept when the next one starts. An id that comes back rests for a while, and is given out again only when nothing of its last session can
//! be found.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::sweeper::Sweeper;
use crate::backend::unprepared::Unprepared;
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
    blocks: Vec<Block>,
    leased: u32,
}

/// Ids that no other gateway takes for as long as the lock is held.
#[derive(Debug)]
struct Block {
    ids: UidRange,
    lock: File,
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

const LOCK_NAME: &str = "uids-";
/// How long an id rests at least.
const REST: Duration = Duration::from_secs(10);
/// How long the sweeper of a gateway that was killed may hold its block yet, and how often that is looked at.
const RELEASED_WITHIN: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

impl Uids {
    /// Takes a first block, and sweeps those that dead gateways have left.
    pub(super) fn prepare(range: UidRange, directory: &Path, sweeper: Sweeper) -> Result<Self, Unprepared> {
        let own = || {
            // A lock can be held by whoever can open its file.
            fs::DirBuilder::new().mode(0o700).recursive(true).create(directory)?;
            fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
        };
        own().map_err(Unprepared::Uids)?;
        let uids = Self { range, directory: directory.to_owned(), pool: Mutex::default(), sweeper };
        let block = uids.first_block().ok_or(Exhausted).map_err(io::Error::other);
        let block = block.map_err(Unprepared::Uids)?;
        let found = uids.sweeper.guard_now(block.ids, &block.lock).map_err(Unprepared::Uids)?;
        // A sweep that is not permitted would only show at the end of the first session.
        uids.sweeper.kill_now(block.ids.last).map_err(Unprepared::NoUsers)?;
        uids.pool().adopt(block, &found);
        uids.clear_abandoned().map_err(Unprepared::Uids)?;
        Ok(uids)
    }

    /// Sweeps what gateways have left that are no more, and whose sweepers are not either.
    fn clear_abandoned(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)?.flatten() {
            if !entry.file_name().to_string_lossy().starts_with(LOCK_NAME) {
                continue;
            }
            let is_left = |file: &File| file.metadata().is_ok_and(|found| found.len() > 0);
            let file = File::options().read(true).write(true).open(entry.path()).ok();
            // Those of the living are locked, our own too.
            if let Some(lock) = file.filter(|file| is_left(file) && file.try_lock().is_ok()) {
                self.sweeper.clear_now(&lock)?;
            }
        }
        Ok(())
    }

    /// An id that nothing on this machine uses.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Lease, Exhausted> {
        loop {
            if let Some(uid) = self.pool().take() {
                return Ok(Lease { uid, uids: self.clone() });
            }
            let rested = Rested { ids: self.pool().take_rested(Instant::now()), uids: self };
            if !rested.ids.is_empty() {
                rested.release().await;
                continue;
            }
            let block = self.lock_block().ok_or(Exhausted)?;
            let mut claim = Claim::new(block, &self.pool);
            claim.sweep(&self.sweeper).await.map_err(|_| Exhausted)?;
        }
    }

    pub(super) fn count(&self) -> UidCount {
        let pool = self.pool();
        let held: u32 = pool.blocks.iter().map(|block| block.ids.sessions()).sum();
        let size = |ids: usize| u32::try_from(ids).unwrap_or(u32::MAX);
        UidCount {
            in_use: pool.leased,
            resting: size(pool.resting.len()),
            free: size(pool.free.len()),
            unclaimed: self.range.sessions().saturating_sub(held),
        }
    }

    /// As [`Self::lock_block`], but if all are held it may be by what is just going.
    fn first_block(&self) -> Option<Block> {
        (0..RELEASED_WITHIN).find_map(|_| {
            let block = self.lock_block();
            if block.is_none() {
                std::thread::sleep(PAUSE);
            }
            block
        })
    }

    /// The first block that nobody holds.
    fn lock_block(&self) -> Option<Block> {
        self.range.blocks().find_map(|ids| {
            if self.pool().blocks.iter().any(|held| held.ids == ids) {
                return None;
            }
            let path = self.directory.join(format!("{LOCK_NAME}{}.lock", ids.block()));
            let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
            let lock = file.ok().filter(|lock| lock.try_lock().is_ok())?;
            Some(Block { ids, lock })
        })
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        lock(&self.pool)
    }
}

fn lock(pool: &Mutex<Pool>) -> MutexGuard<'_, Pool> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    fn take(&mut self) -> Option<u32> {
        let uid = self.free.pop_front()?;
        self.leased += 1;
        Some(uid)
    }

    /// The first id of a block is never given to a session: the sweeper needs one of its own. Ids that are
    /// unclean rest first: what has just been killed may not be reaped yet, and still count as its user's.
    fn adopt(&mut self, block: Block, unclean: &[u32]) {
        let now = Instant::now();
        let for_sessions = block.ids.first + 1..=block.ids.last;
        let (resting, free): (Vec<u32>, Vec<u32>) = for_sessions.partition(|uid| unclean.contains(uid));
        self.free.extend(free);
        self.resting.extend(resting.into_iter().map(|uid| (now, uid)));
        self.blocks.push(block);
    }

    fn take_rested(&mut self, now: Instant) -> Vec<u32> {
        let due = self.resting.iter().take_while(|(since, _)| now.duration_since(*since) >= REST).count();
        self.resting.drain(..due).map(|(_, uid)| uid).collect()
    }
}

/// A block that has been locked, while the sweeper takes it over. If nobody waits for that any more, or it
/// fails, the block is ours all the same, and all its ids are looked at before they are used.
struct Claim<'p> {
    block: Option<Block>,
    unclean: Vec<u32>,
    pool: &'p Mutex<Pool>,
}

impl<'p> Claim<'p> {
    fn new(block: Block, pool: &'p Mutex<Pool>) -> Self {
        Self { unclean: block.ids.all().collect(), block: Some(block), pool }
    }

    async fn sweep(&mut self, sweeper: &Sweeper) -> io::Result<()> {
        if let Some(block) = &self.block {
            self.unclean = sweeper.guard(block.ids, block.lock.as_fd()).await?;
        }
        Ok(())
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            lock(self.pool).adopt(block, &self.unclean);
        }
    }
}

/// Ids that have rested, while it is found out whether they can be used again.
struct Rested<'p> {
    ids: Vec<u32>,
    uids: &'p Uids,
}

impl Rested<'_> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_whose_claim_is_given_up_is_kept_and_its_ids_are_looked_at() {
        let pool = Mutex::default();
        let ids = UidRange { first: 20000, last: 20002 };
        drop(Claim::new(Block { ids, lock: tempfile::tempfile().unwrap() }, &pool));
        let mut pool = pool.into_inner().unwrap();
        assert_eq!((pool.blocks.len(), pool.free.len()), (1, 0));
        assert_eq!(pool.take_rested(Instant::now() + REST), [20001, 20002]);
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
