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
    /// Whether everything in it is for the next start.
    is_left: AtomicBool,
    /// Held for as long as the gateway lives.
    _lock: File,
    /// Of the directory itself: what tidies `/tmp` may take the file of the other away.
    _guard: File,
}

/// The directories of gateways that are no more. They are locked, so that only one cares for each.
#[derive(Debug)]
pub(in crate::backend) struct Abandoned(Vec<(File, PathBuf)>);

/// How long a gateway that ends, or begins, is kept by what sessions have left.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
const SWEEP_WITHIN: Duration = Duration::from_secs(10);
/// A gateway makes its lock at once, so a directory that has none after this time lacks it for good.
const LOCKED_WITHIN: Duration = Duration::from_secs(60);
const LOCK: u32 = 0o600;
/// Sessions, whose users are not ours, pass through; they cannot list what is there.
const PASSABLE: u32 = 0o711;

impl Homes {
    /// Makes this gateway's directory, and finds those of gateways that are no more.
    pub(in crate::backend) fn prepare() -> Result<(Self, Abandoned), Unprepared> {
        let shared = std::env::temp_dir().join(format!("lockgate-{}", rustix::process::getuid().as_raw()));
        Self::prepare_in(&shared).map_err(|error| Unprepared::Directory { place: shared, error })
    }

    fn prepare_in(shared: &Path) -> io::Result<(Self, Abandoned)> {
        own_dir(shared, PASSABLE)?;
        let abandoned = Abandoned::find(shared);
        let root = shared.join(random_name()?);
        own_dir(&root, PASSABLE)?;
        let guard = File::open(&root)?;
        guard.try_lock()?;
        // A lock can be held by whoever can open its file.
        let mut private = File::options();
        let lock = private.write(true).create(true).mode(LOCK).open(lock_of(&root))?;
        lock.try_lock()?;
        let (left, is_left) = (Left::default(), AtomicBool::new(false));
        Ok((Self { root, left, is_left, _lock: lock, _guard: guard }, abandoned))
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
        if self.is_left.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = remove_root(&self.root, LEAVE_WITHIN) {
            tracing::warn!(%error, "what sessions have left is for the next start to remove");
        }
    }

    /// Leaves everything to the next start.
    pub(in crate::backend) fn abandon(&self) {
        self.is_left.store(true, Ordering::Relaxed);
    }
}

impl Drop for Homes {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Abandoned {
    fn find(shared: &Path) -> Self {
        let paths = fs::read_dir(shared).into_iter().flatten().flatten().map(|entry| entry.path());
        Self(paths.filter_map(|root| Some((lock_of_dead(&root)?, root))).collect())
    }

    pub(in crate::backend) fn roots(&self) -> Vec<PathBuf> {
        self.0.iter().map(|(_, root)| root.clone()).collect()
    }

    /// As far as there is time. No process that was started in one of them may be left.
    pub(in crate::backend) fn remove(self) {
        let until = Instant::now() + SWEEP_WITHIN;
        for (_lock, root) in self.0 {
            if let Err(error) = remove_root(&root, until.saturating_duration_since(Instant::now())) {
                tracing::warn!(%error, "what a gateway that was killed has left is for the next start to remove");
            }
        }
    }
}

/// The lock of a gateway that is no more, by its directory.
fn lock_of_dead(root: &Path) -> Option<File> {
    let take = |lock: File| lock.try_lock().is_ok().then_some(lock);
    let found = fs::symlink_metadata(root).ok().filter(fs::Metadata::is_dir)?;
    match File::open(lock_of(root)) {
        Ok(lock) => take(lock),
        // Another gateway may just be about to make its lock.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let age = found.modified().ok().and_then(|since| since.elapsed().ok()).unwrap_or_default();
            File::open(root).ok().filter(|_| age > LOCKED_WITHIN).and_then(take)
        }
        Err(_) => None,
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

    fn start(shared: &Path) -> Homes {
        let (homes, abandoned) = Homes::prepare_in(shared).unwrap();
        abandoned.remove();
        homes
    }

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
        let live = start(&shared);
        let kept = live.site().unwrap().build().unwrap();
        let dead = start(&shared);
        let left = dead.site().unwrap().build().unwrap();
        fs::write(left.path().join("file"), "x").unwrap();
        let root = killed(dead);
        let _next = start(&shared);
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
        let live = start(&shared);
        let (old, new) = (make("old"), make("new"));
        // What tidies `/tmp` does to it after some days.
        fs::remove_file(lock_of(live.root())).unwrap();
        let long_ago = std::time::SystemTime::now() - LOCKED_WITHIN * 2;
        for root in [&old, &live.root] {
            File::open(root).unwrap().set_modified(long_ago).unwrap();
        }
        let _next = start(&shared);
        assert!(!old.exists() && new.exists() && live.root().exists());
    }

    #[test]
    fn a_lock_stays_for_as_long_as_the_directory_and_what_is_abandoned_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let shared = place.path().join("shared");
        let homes = start(&shared);
        let root = homes.root.clone();
        fs::write(root.join("file"), "x").unwrap();
        assert!(remove_root(&root, Duration::ZERO).is_err() && lock_of(&root).exists());
        homes.abandon();
        drop(homes);
        assert!(root.join("file").exists() && lock_of(&root).exists());
        drop(start(&shared));
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
