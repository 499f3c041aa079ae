//! The private directory of a child: its HOME, TMPDIR and working directory.
//!
//! All of one gateway's lie under one directory that it holds a lock on. A gateway that was killed leaves
//! its directory behind and its lock free; the next one to start removes it.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::aside::aside;
use super::super::tree;
use super::super::unprepared::Unprepared;

/// Where the private directories of this gateway lie.
#[derive(Debug)]
pub(in crate::backend) struct Homes {
    root: PathBuf,
    left: Left,
    /// Held for as long as the gateway lives.
    _lock: File,
}

/// The directories of gateways that are no more. They are locked, so that only one cares for each.
#[derive(Debug)]
pub(in crate::backend) struct Abandoned(Vec<(PathBuf, File)>);

/// One private directory, empty at first; it goes when this is dropped.
#[derive(Debug)]
pub(in crate::backend) struct Home {
    path: PathBuf,
    left: Left,
    removed: bool,
}

/// Directories that could not be removed, because there were no descriptors, for one. Each session that ends
/// tries them again.
#[derive(Clone, Debug, Default)]
struct Left(Arc<Mutex<VecDeque<PathBuf>>>);

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
        // A lock can be held by whoever can open its file.
        let mut private = File::options();
        let lock = private.write(true).create(true).mode(LOCK).open(lock_of(&root))?;
        lock.try_lock()?;
        Ok((Self { root, left: Left::default(), _lock: lock }, abandoned))
    }

    /// The directory of this gateway. Its name is random, and its lock held for as long as the gateway lives.
    pub(in crate::backend) fn root(&self) -> &Path {
        &self.root
    }

    pub(in crate::backend) fn create(&self) -> io::Result<Home> {
        let path = self.root.join(random_name()?);
        own_dir(&path, PRIVATE)?;
        Ok(Home { path, left: self.left.clone(), removed: false })
    }

    /// Removes this gateway's directory, with whatever is left in it.
    pub(in crate::backend) fn leave(&self) {
        let _ = tree::remove(&self.root);
        let _ = fs::remove_file(lock_of(&self.root));
    }
}

impl Drop for Homes {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Home {
    pub(in crate::backend) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes everything now. Takes as long as there are files, so not on a thread that serves others.
    pub(in crate::backend) fn remove(mut self) {
        self.removed = true;
        self.left.remove(std::mem::take(&mut self.path));
    }
}

impl Drop for Home {
    /// The way out after a panic or a cancelled start.
    fn drop(&mut self) {
        if !self.removed {
            let (path, left) = (std::mem::take(&mut self.path), self.left.clone());
            aside(move || left.remove(path));
        }
    }
}

impl Left {
    /// Removes a directory, and then those that were left, until one cannot be removed.
    fn remove(&self, path: PathBuf) {
        let mut next = Some(path);
        while let Some(path) = next.take() {
            match tree::remove(&path) {
                Ok(()) => next = self.paths().pop_front(),
                Err(error) => {
                    tracing::warn!(%error, "a session's directory could not be removed yet");
                    let mut paths = self.paths();
                    // What is too much goes when the gateway does.
                    if paths.len() < MAX_LEFT {
                        paths.push_back(path);
                    }
                }
            }
        }
    }

    fn paths(&self) -> MutexGuard<'_, VecDeque<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const MAX_LEFT: usize = 1024;

/// For one session.
const PRIVATE: u32 = 0o700;
const LOCK: u32 = 0o600;
/// Sessions, whose users are not ours, pass through; they cannot list what is there.
const PASSABLE: u32 = 0o711;

/// Makes a directory, or checks that it is one and ours: `/tmp` belongs to everybody.
pub(in crate::backend) fn own_dir(path: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(path)?;
    let ours = found.is_dir() && found.uid() == rustix::process::getuid().as_raw();
    if !ours || found.mode() & 0o77 & !mode != 0 {
        return Err(io::Error::other("it belongs to somebody else"));
    }
    // Whatever the umask has made of it.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

impl Abandoned {
    /// Those whose lock nobody holds.
    fn find(shared: &Path) -> Self {
        let entries = fs::read_dir(shared).into_iter().flatten().flatten();
        let roots = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).filter_map(|root| {
            // Without a lock, another gateway may just be about to make it.
            let lock = File::open(lock_of(&root)).ok().filter(|lock| lock.try_lock().is_ok())?;
            Some((root, lock))
        });
        Self(roots.collect())
    }

    pub(in crate::backend) fn roots(&self) -> Vec<PathBuf> {
        self.0.iter().map(|(root, _)| root.clone()).collect()
    }

    /// To be called once no process is left that was started in one of them.
    pub(in crate::backend) fn remove(self) {
        for (root, _lock) in self.0 {
            if tree::remove(&root).is_ok() {
                let _ = fs::remove_file(lock_of(&root));
            }
        }
    }
}

/// The lock of the gateway with this directory, or with a file of the same stem.
pub(super) fn lock_of(root: &Path) -> PathBuf {
    root.with_extension("lock")
}

pub(in crate::backend) fn random_name() -> io::Result<String> {
    let mut bits = [0u8; 12];
    getrandom::fill(&mut bits).map_err(io::Error::other)?;
    Ok(URL_SAFE_NO_PAD.encode(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_a_dead_gateway_are_swept_and_those_of_a_live_one_are_not() {
        let place = tempfile::tempdir().unwrap();
        let shared = place.path().join("shared");
        let (live, _) = Homes::prepare_in(&shared).unwrap();
        let kept = live.create().unwrap();
        let (dead, _) = Homes::prepare_in(&shared).unwrap();
        let left = dead.create().unwrap();
        fs::write(left.path().join("file"), "x").unwrap();
        // What a SIGKILL does: the lock goes, the directory stays.
        let Homes { root, _lock, .. } = &dead;
        _lock.unlock().unwrap();
        let root = root.clone();
        std::mem::forget(dead);
        let (_next, abandoned) = Homes::prepare_in(&shared).unwrap();
        assert_eq!(abandoned.roots(), std::slice::from_ref(&root));
        abandoned.remove();
        assert!(!root.exists() && !lock_of(&root).exists());
        assert!(kept.path().exists());
    }

    #[test]
    fn what_could_not_be_removed_is_tried_again() {
        let place = tempfile::tempdir().unwrap();
        let left = Left::default();
        let (blocked, other) = (place.path().join("file/blocked"), place.path().join("other"));
        // Below a file nothing can be, and nothing be removed.
        fs::write(place.path().join("file"), "").unwrap();
        left.remove(blocked.clone());
        fs::remove_file(place.path().join("file")).unwrap();
        fs::create_dir_all(&blocked).unwrap();
        left.remove(other);
        assert!(!blocked.exists() && left.paths().is_empty());
    }

    #[test]
    fn a_directory_that_others_may_enter_is_not_used() {
        let place = tempfile::tempdir().unwrap();
        let shared = place.path().join("shared");
        DirBuilder::new().mode(0o755).create(&shared).unwrap();
        assert!(Homes::prepare_in(&shared).is_err());
    }
}
