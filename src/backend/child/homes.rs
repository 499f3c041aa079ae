//! Where the private directories of one gateway lie: under one directory that it holds a lock on. A gateway that
//! was killed leaves its directory behind and its lock free; the next one to start removes it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::super::tree;
use super::super::unprepared::Unprepared;
use super::home::{Left, Site, own_dir, random_name};

/// Where the private directories of this gateway lie.
#[derive(Debug)]
pub(in crate::backend) struct Homes {
    root: PathBuf,
    left: Left,
    /// Whether what is left is for the next start.
    abandoned: AtomicBool,
    /// Held for as long as the gateway lives.
    _lock: File,
    /// Of the directory itself: what tidies `/tmp` may take the file of the other away.
    _guard: File,
}

/// How long a gateway that ends, or begins, is kept by what sessions have left.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
const SWEEP_WITHIN: Duration = Duration::from_secs(10);
/// A gateway makes its lock at once, so a directory that has none after this time lacks it for good.
const LOCKED_WITHIN: Duration = Duration::from_secs(60);
const LOCK: u32 = 0o600;
/// Sessions, whose users are not ours, pass through; they cannot list what is there.
const PASSABLE: u32 = 0o711;

impl Homes {
    /// Makes this gateway's directory and removes those of gateways that are no more.
    pub(in crate::backend) fn prepare() -> Result<Self, Unprepared> {
        let shared = std::env::temp_dir().join(format!("lockgate-{}", rustix::process::getuid().as_raw()));
        Self::prepare_in(&shared).map_err(|error| Unprepared::Directory { place: shared, error })
    }

    fn prepare_in(shared: &Path) -> io::Result<Self> {
        own_dir(shared, PASSABLE)?;
        sweep(shared);
        let root = shared.join(random_name()?);
        own_dir(&root, PASSABLE)?;
        let guard = File::open(&root)?;
        guard.try_lock()?;
        // A lock can be held by whoever can open its file.
        let mut private = File::options();
        let lock = private.write(true).create(true).mode(LOCK).open(lock_of(&root))?;
        lock.try_lock()?;
        let (left, abandoned) = (Left::default(), AtomicBool::new(false));
        Ok(Self { root, left, abandoned, _lock: lock, _guard: guard })
    }

    /// The directory of this gateway. Its name is random, and its lock held for as long as the gateway lives.
    pub(in crate::backend) fn root(&self) -> &Path {
        &self.root
    }

    /// A place for one more.
    pub(in crate::backend) fn site(&self) -> io::Result<Site> {
        Site::below(&self.root, &self.left)
    }

    /// Removes this gateway's directory, with whatever is left in it; what takes too long is for the next start.
    pub(in crate::backend) fn leave(&self) {
        if self.abandoned.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = remove_root(&self.root, LEAVE_WITHIN) {
            tracing::warn!(%error, "what sessions have left is for the next start to remove");
        }
    }

    /// Leaves everything to the next start.
    pub(in crate::backend) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }
}

impl Drop for Homes {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Removes the directories whose lock nobody holds, as far as there is time.
fn sweep(shared: &Path) {
    let until = Instant::now() + SWEEP_WITHIN;
    for path in fs::read_dir(shared).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let most = until.saturating_duration_since(Instant::now());
        if is_free(&path)
            && let Err(error) = remove_root(&path, most)
        {
            tracing::warn!(%error, "what a gateway that was killed has left is for the next start to remove");
        }
    }
}

/// Whether this is the directory of a gateway that is no more.
fn is_free(root: &Path) -> bool {
    let free = |lock: File| lock.try_lock().is_ok();
    let Ok(found) = fs::symlink_metadata(root) else { return false };
    match File::open(lock_of(root)) {
        _ if !found.is_dir() => false,
        Ok(lock) => free(lock),
        // Another gateway may just be about to make its lock.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let age = found.modified().ok().and_then(|since| since.elapsed().ok()).unwrap_or_default();
            age > LOCKED_WITHIN && File::open(root).is_ok_and(free)
        }
        Err(_) => false,
    }
}

/// Removes a gateway's directory, and its lock once there is nothing that it could stand for.
fn remove_root(root: &Path, most: Duration) -> io::Result<()> {
    tree::remove_within(root, most)?;
    let _ = fs::remove_file(lock_of(root));
    Ok(())
}

/// The lock of the gateway with this directory, or with a file of the same stem.
pub(super) fn lock_of(root: &Path) -> PathBuf {
    root.with_extension("lock")
}

#[cfg(test)]
mod tests {
    use std::fs::DirBuilder;
    use std::os::unix::fs::DirBuilderExt;

    use super::*;

    /// What a SIGKILL does: the locks go, the directory stays.
    fn killed(homes: Homes) -> PathBuf {
        homes._lock.unlock().unwrap();
        homes._guard.unlock().unwrap();
        let root = homes.root.clone();
        std::mem::forget(homes);
        root
    }

    #[test]
    fn directories_of_a_dead_gateway_are_swept_and_those_of_a_live_one_are_not() {
        let place = tempfile::tempdir().unwrap();
        let shared = place.path().join("shared");
        let live = Homes::prepare_in(&shared).unwrap();
        let kept = live.site().unwrap().build().unwrap();
        let dead = Homes::prepare_in(&shared).unwrap();
        let left = dead.site().unwrap().build().unwrap();
        fs::write(left.path().join("file"), "x").unwrap();
        let root = killed(dead);
        let _next = Homes::prepare_in(&shared).unwrap();
        assert!(!root.exists() && !lock_of(&root).exists());
        assert!(kept.path().exists());
    }

    #[test]
    fn a_directory_without_a_lock_is_swept_once_it_is_old_unless_its_gateway_lives() {
        let place = tempfile::tempdir().unwrap();
        let shared = place.path().join("shared");
        let make = |name: &str| {
            own_dir(&shared.join(name), PASSABLE).unwrap();
            shared.join(name)
        };
        let live = Homes::prepare_in(&shared).unwrap();
        let (old, new) = (make("old"), make("new"));
        // What tidies `/tmp` does to it after some days.
        fs::remove_file(lock_of(live.root())).unwrap();
        let long_ago = std::time::SystemTime::now() - LOCKED_WITHIN * 2;
        for root in [&old, &live.root] {
            File::open(root).unwrap().set_modified(long_ago).unwrap();
        }
        let _next = Homes::prepare_in(&shared).unwrap();
        assert!(!old.exists() && new.exists() && live.root().exists());
    }

    #[test]
    fn a_lock_stays_for_as_long_as_the_directory_and_what_is_abandoned_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let shared = place.path().join("shared");
        let homes = Homes::prepare_in(&shared).unwrap();
        let root = homes.root.clone();
        fs::write(root.join("file"), "x").unwrap();
        assert!(remove_root(&root, Duration::ZERO).is_err() && lock_of(&root).exists());
        homes.abandon();
        drop(homes);
        assert!(root.join("file").exists() && lock_of(&root).exists());
        drop(Homes::prepare_in(&shared).unwrap());
        assert_eq!(fs::read_dir(&shared).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_others_may_enter_is_not_used() {
        let place = tempfile::tempdir().unwrap();
        let shared = place.path().join("shared");
        DirBuilder::new().mode(0o755).create(&shared).unwrap();
        assert!(Homes::prepare_in(&shared).is_err());
    }
}
