//! A file beside a gateway's directory for as long as it may have containers. It outlives a gateway that was
//! killed, and says whose containers the next one must look for.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::homes::lock_of;

/// The mark of this gateway.
#[derive(Debug)]
pub(super) struct Mark {
    path: PathBuf,
    /// Containers that may still be there. Locked while the file is made or removed.
    open: Mutex<usize>,
}

/// The mark of a gateway that is no more.
#[derive(Debug)]
pub(super) struct Left {
    /// What its containers are labelled with.
    pub(super) gateway: String,
    path: PathBuf,
}

const EXTENSION: &str = "containers";

impl Mark {
    /// The mark of the gateway with this directory; none is made yet.
    pub(super) fn new(root: &Path) -> Self {
        Self { path: root.with_extension(EXTENSION), open: Mutex::new(0) }
    }

    /// There may be one more container, from now on.
    pub(super) fn add(&self) -> io::Result<()> {
        let mut open = self.open();
        if *open == 0 {
            File::create(&self.path)?;
        }
        *open += 1;
        Ok(())
    }

    /// One is known to be gone.
    pub(super) fn take(&self) {
        let mut open = self.open();
        *open = open.saturating_sub(1);
        if *open == 0 {
            let _ = fs::remove_file(&self.path);
        }
    }

    fn open(&self) -> MutexGuard<'_, usize> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The marks of gateways that are no more: nobody holds their lock.
    pub(super) fn left_by_others(&self) -> Vec<Left> {
        let beside = self.path.parent().map(fs::read_dir).into_iter().flatten().flatten().flatten();
        beside
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION))
            .filter(|path| is_free(&lock_of(path)))
            .filter_map(|path| Some(Left { gateway: path.file_stem()?.to_str()?.to_owned(), path }))
            .collect()
    }
}

/// A gateway has its lock before its first container.
fn is_free(lock: &Path) -> bool {
    match File::open(lock) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

impl Left {
    /// None of its containers is left.
    pub(super) fn remove(self) {
        let _ = fs::remove_file(self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_stays_while_a_container_may_and_is_read_once_its_gateway_is_dead() {
        let place = tempfile::tempdir().unwrap();
        let mark = |name: &str| Mark::new(&place.path().join(name));
        let lock = File::create(place.path().join("live.lock")).unwrap();
        lock.try_lock().unwrap();
        let (live, dead, done) = (mark("live"), mark("dead"), mark("done"));
        for mark in [&live, &dead, &done] {
            mark.add().unwrap();
        }
        done.take();
        drop(dead);
        let mut left = live.left_by_others();
        assert_eq!(left.iter().map(|left| &*left.gateway).collect::<Vec<_>>(), ["dead"]);
        left.remove(0).remove();
        assert!(live.left_by_others().is_empty());
    }
}
