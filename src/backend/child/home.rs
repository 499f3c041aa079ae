//! The private directory of a child: its HOME, TMPDIR and working directory.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::oneshot;

use super::super::aside::ENDS;
use super::super::tree;

/// Where a private directory will be.
#[derive(Debug)]
pub(in crate::backend) struct Site {
    path: PathBuf,
    left: Left,
}

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
pub(super) struct Left(Arc<Mutex<VecDeque<PathBuf>>>);

impl Site {
    /// A place below `root` that nothing is at.
    pub(super) fn below(root: &Path, left: &Left) -> io::Result<Self> {
        Ok(Self { path: root.join(random_name()?), left: left.clone() })
    }

    pub(in crate::backend) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directory. Blocks.
    pub(in crate::backend) fn build(self) -> io::Result<Home> {
        own_dir(&self.path, PRIVATE)?;
        Ok(Home { path: self.path, left: self.left, removed: false })
    }
}

impl Home {
    pub(in crate::backend) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes everything, and waits for it.
    pub(in crate::backend) async fn remove(mut self) {
        let _ = self.removal().await;
    }

    /// Begins to remove everything; resolves when that has come to an end.
    fn removal(&mut self) -> oneshot::Receiver<()> {
        let (done, end) = oneshot::channel();
        self.removed = true;
        self.left.clone().remove_by_turns(std::mem::take(&mut self.path), TURNS, done);
        end
    }
}

impl Drop for Home {
    /// Without waiting: the way out after a panic or a cancelled start.
    fn drop(&mut self) {
        if !self.removed {
            drop(self.removal());
        }
    }
}

impl Left {
    /// Removes a directory in short turns, between which others have theirs: nobody's session ends late because
    /// another has left much.
    fn remove_by_turns(self, path: PathBuf, turns: u32, done: oneshot::Sender<()>) {
        ENDS.begin(move || {
            match self.remove(&path, TURN) {
                Err(error) if error.kind() == io::ErrorKind::TimedOut && turns > 1 => {
                    return self.remove_by_turns(path, turns - 1, done);
                }
                Err(error) => self.put(path, &error),
                Ok(()) => {}
            }
            let _ = done.send(());
        });
    }

    /// Removes a directory, and then those that were left, until one cannot be removed.
    fn remove(&self, path: &Path, most: Duration) -> io::Result<()> {
        tree::remove_within(path, most)?;
        loop {
            let Some(next) = self.paths().pop_front() else { return Ok(()) };
            if tree::remove_within(&next, most).is_err() {
                self.paths().push_back(next);
                return Ok(());
            }
        }
    }

    /// What cannot be removed now is told once.
    fn put(&self, path: PathBuf, error: &io::Error) {
        // What never comes to an end, or is too much, goes when the gateway does, or before the next begins.
        let is_endless = error.kind() == io::ErrorKind::TimedOut;
        tracing::warn!(%error, "a session's directory could not be removed yet");
        let mut paths = self.paths();
        if !is_endless && paths.len() < MAX_LEFT {
            paths.push_back(path);
        }
    }

    fn paths(&self) -> MutexGuard<'_, VecDeque<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long the removal of one session's directory takes at most, and goes on at a stretch.
const TURNS: u32 = 300;
const TURN: Duration = Duration::from_millis(100);
const MAX_LEFT: usize = 1024;

/// For one session.
const PRIVATE: u32 = 0o700;

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

pub(in crate::backend) fn random_name() -> io::Result<String> {
    let mut bits = [0u8; 12];
    getrandom::fill(&mut bits).map_err(io::Error::other)?;
    Ok(URL_SAFE_NO_PAD.encode(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_removed_is_tried_again_but_not_what_never_ends() {
        let place = tempfile::tempdir().unwrap();
        let left = Left::default();
        let (blocked, other) = (place.path().join("file/blocked"), place.path().join("other"));
        // Below a file nothing can be, and nothing be removed.
        fs::write(place.path().join("file"), "").unwrap();
        left.put(blocked.clone(), &left.remove(&blocked, TURN).unwrap_err());
        fs::remove_file(place.path().join("file")).unwrap();
        fs::create_dir_all(&blocked).unwrap();
        left.remove(&other, TURN * TURNS).unwrap();
        assert!(!blocked.exists() && left.paths().is_empty());
        left.put(blocked, &io::ErrorKind::TimedOut.into());
        assert!(left.paths().is_empty());
    }
}
