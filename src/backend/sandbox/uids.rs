//! User ids, one for each live session.
//!
//! The range is taken in blocks, each with a lock file, so that several gateways on one machine never use
//! the same id, even where their ranges overlap. The file says which ids its owner uses, until those have been
//! swept: what a dead gateway has held is swept when the next one starts. An id that comes back rests for a
//! while, and is given out again only when nothing of its last session can be found.

mod pool;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use self::pool::{Block, Claim, Pool, lock_of};
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
        own().map_err(|error| Unprepared::Locks { place: directory.to_owned(), error })?;
        let uids = Self { range, directory: directory.to_owned(), pool: Mutex::default(), sweeper };
        let mut reason = io::Error::other(Exhausted);
        while let Some(block) = uids.first_block() {
            match uids.sweeper.guard_now(block.ids, &block.lock) {
                Ok(found) => {
                    uids.pool().adopt(block, &found);
                    uids.clear_abandoned();
                    return Ok(uids);
                }
                Err(error) => {
                    uids.pool().avoid(block);
                    reason = error;
                }
            }
        }
        Err(Unprepared::Uids(reason))
    }

    /// Sweeps what gateways have left that are no more, and whose sweepers are not either. Who cannot be ended
    /// is no reason not to start: the file keeps on saying so.
    fn clear_abandoned(&self) {
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            if !entry.file_name().to_string_lossy().starts_with(LOCK_NAME) {
                continue;
            }
            let is_left = |file: &File| file.metadata().is_ok_and(|found| found.len() > 0);
            let file = File::options().read(true).write(true).open(entry.path()).ok();
            // Those of the living are locked, our own too.
            if let Some(lock) = file.filter(|file| is_left(file) && file.try_lock().is_ok()) {
                let cleared = self.sweeper.clear_now(&lock);
                let Err(error) = cleared else { continue };
                let file = entry.path();
                tracing::warn!(file = %file.display(), %error, "what a gateway has left that is no more is not gone");
            }
        }
    }

    /// Tries what will be done with ids, with one of our own: another gateway's sweeper would end who has one of
    /// its. A sweep that is not permitted would else only show at the end of the first session.
    pub(super) fn rehearse(
        &self,
        become_it: impl FnOnce(u32) -> Result<(), Unprepared>,
    ) -> Result<(), Unprepared> {
        let idle = self.pool().blocks.first().map(|block| block.ids.last).ok_or(Exhausted);
        let idle = idle.map_err(io::Error::other).map_err(Unprepared::Uids)?;
        become_it(idle)?;
        self.sweeper.kill_now(idle).map_err(Unprepared::NoUsers)
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
            let claimed = self.pool().claimed.pop();
            let block = claimed.or_else(|| self.lock_block()).ok_or(Exhausted)?;
            Claim { block: Some(block), pool: &self.pool }.guard(&self.sweeper).await;
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
            if self.pool().knows(ids) {
                return None;
            }
            let path = self.directory.join(format!("{LOCK_NAME}{}.lock", ids.block()));
            let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
            let lock = file.ok().filter(|lock| lock.try_lock().is_ok())?;
            Some(Block { ids, lock })
        })
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        lock_of(&self.pool)
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
