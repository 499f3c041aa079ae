//! Where templates are kept: one directory for each, which appears when it is complete.
//!
//! Locks on the directories themselves say who uses them, across gateways and `lockgate prefetch`: whoever
//! fills or removes one has it alone, who copies from one shares it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with, syncfs};
use rustix::io::Errno;

use crate::backend::child::{own_dir, random_name};
use crate::backend::tree;
use crate::backend::unprepared::Unprepared;

/// A directory of templates that nobody else can enter.
#[derive(Debug)]
pub(super) struct Store {
    root: PathBuf,
}

/// A template that is being made. Unless it is published, it goes when this is dropped; if it has replaced
/// another, that goes.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    directory: File,
    /// Nothing is to be removed.
    settled: bool,
}

const NAME: &str = "packages";
/// What is not complete. No key begins so.
const DRAFT: &str = ".new-";
const LOCK: &str = "lock";
const PRIVATE: u32 = 0o700;

impl Store {
    /// Makes the directory, and removes what others have left incomplete. `place` may be empty.
    pub(super) fn prepare(place: &Path) -> Result<Self, Unprepared> {
        let root = match place.as_os_str().is_empty() {
            true => {
                std::env::temp_dir().join(format!("lockgate-{NAME}-{}", rustix::process::getuid().as_raw()))
            }
            false => place.join(NAME),
        };
        let store = Self { root };
        store.tidy(place).map_err(|error| Unprepared::Templates { place: store.root.clone(), error })?;
        Ok(store)
    }

    fn tidy(&self, place: &Path) -> io::Result<()> {
        if !place.as_os_str().is_empty() {
            DirBuilder::new().recursive(true).mode(0o755).create(place)?;
        }
        own_dir(&self.root, PRIVATE)?;
        let _alone = self.lock()?;
        for entry in fs::read_dir(&self.root)?.flatten() {
            let left = entry.file_name().to_str().is_some_and(|name| name.starts_with(DRAFT));
            if left
                && File::open(entry.path()).is_ok_and(|directory| directory.try_lock().is_ok())
                && let Err(error) = tree::remove(&entry.path())
            {
                tracing::warn!(%error, "packages that were left incomplete are for the next start to remove");
            }
        }
        Ok(())
    }

    /// Held while drafts are made or removed, so that a new one is not taken for one that was left.
    fn lock(&self) -> io::Result<File> {
        let lock = File::create(self.root.join(LOCK))?;
        lock.lock()?;
        Ok(lock)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.root.join(key).is_dir()
    }

    /// An empty template.
    pub(super) fn draft(&self) -> io::Result<Draft> {
        let path = self.root.join(format!("{DRAFT}{}", random_name()?));
        let _alone = self.lock()?;
        own_dir(&path, PRIVATE)?;
        let directory = File::open(&path)?;
        directory.lock()?;
        Ok(Draft { path, directory, settled: false })
    }

    /// The template with this key. It stays as it is for as long as the file is open.
    pub(super) fn open(&self, key: &str) -> io::Result<File> {
        loop {
            let directory = File::open(self.root.join(key))?;
            directory.lock_shared()?;
            // It may have been replaced meanwhile.
            if directory.metadata()?.nlink() > 0 {
                return Ok(directory);
            }
        }
    }

    /// The draft is the template with this key from now on. One that was there goes, once nobody uses it.
    pub(super) fn publish(&self, mut draft: Draft, key: &str) -> io::Result<()> {
        syncfs(&draft.directory)?;
        let path = self.root.join(key);
        match renameat_with(CWD, &draft.path, CWD, &path, RenameFlags::NOREPLACE) {
            Ok(()) => draft.settled = true,
            Err(Errno::EXIST) => {
                let old = File::open(&path)?;
                if renameat_with(CWD, &draft.path, CWD, &path, RenameFlags::EXCHANGE).is_err() {
                    // An overlay cannot exchange what an image has brought.
                    old.lock()?;
                    tree::remove(&path)?;
                    fs::rename(&draft.path, &path)?;
                    draft.settled = true;
                } else {
                    // What lies under the draft's name now is the old one.
                    draft.settled = old.try_lock().is_err();
                }
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

impl Draft {
    pub(super) fn directory(&self) -> &File {
        &self.directory
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.settled
            && let Err(error) = tree::remove(&self.path)
        {
            tracing::warn!(%error, "what was fetched in vain could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(store: &Store) -> Vec<String> {
        let list = fs::read_dir(&store.root).unwrap().flatten();
        let mut names: Vec<_> = list.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.retain(|name| name != LOCK);
        names.sort();
        names
    }

    fn draft(store: &Store, text: &str) -> Draft {
        let draft = store.draft().unwrap();
        fs::write(draft.path.join("file"), text).unwrap();
        draft
    }

    #[test]
    fn what_was_left_incomplete_is_removed_and_what_is_being_made_is_not() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::prepare(place.path()).unwrap();
        let (live, dead) = (store.draft().unwrap(), store.draft().unwrap());
        // What a SIGKILL does: the lock goes, the directory stays.
        dead.directory.unlock().unwrap();
        let (kept, gone) = (live.path.clone(), dead.path.clone());
        std::mem::forget(dead);
        Store::prepare(place.path()).unwrap();
        assert!(kept.exists() && !gone.exists());
        drop(live);
        assert!(names(&store).is_empty());
    }

    #[test]
    fn a_template_is_replaced_as_a_whole_and_whoever_reads_the_old_one_may_finish() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::prepare(place.path()).unwrap();
        assert!(!store.has("key") && store.open("key").is_err());
        store.publish(draft(&store, "one"), "key").unwrap();
        assert_eq!(names(&store), ["key"]);
        let reader = store.open("key").unwrap();
        store.publish(draft(&store, "two"), "key").unwrap();
        let read = |at: &File| rustix::fs::openat(at, "file", rustix::fs::OFlags::RDONLY, 0.into());
        let text = |at: &File| io::read_to_string(File::from(read(at).unwrap())).unwrap();
        assert_eq!(text(&reader), "one");
        assert_eq!(text(&store.open("key").unwrap()), "two");
        drop(reader);
        Store::prepare(place.path()).unwrap();
        assert_eq!(names(&store), ["key"], "the old one goes at the next start");
        store.publish(draft(&store, "three"), "key").unwrap();
        assert_eq!(names(&store), ["key"], "or at once");
    }
}
