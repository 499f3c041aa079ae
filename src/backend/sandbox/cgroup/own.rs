//! The directory that one gateway's groups are in, in one hierarchy. A gateway that was killed leaves its own
//! behind, and its lock free; the next one to start removes it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::{EMPTY_WITHIN, remove};
use crate::backend::child::random_name;

/// What all names begin with.
const NAME: &str = "lockgate.";
/// How often a directory is made, when others that start take it for one that was left.
const TRIES: usize = 10;
/// Sessions may read their limits, as node does.
const READABLE: u32 = 0o755;
const PRIVATE: u32 = 0o700;

/// Our directory below `base` with its lock, once those of gateways that are no more are gone.
pub(super) fn make(base: &Path) -> io::Result<(PathBuf, File)> {
    for entry in fs::read_dir(base)?.flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(NAME)) {
            remove_left(&entry.path());
        }
    }
    for _ in 0..TRIES {
        // The number is for people: in containers, each gateway has the same.
        let path = base.join(format!("{NAME}{}.{}", std::process::id(), random_name()?));
        // Sessions of other gateways cannot open it before we have.
        DirBuilder::new().mode(PRIVATE).create(&path)?;
        if let Some(lock) = claim(&path) {
            fs::set_permissions(&path, fs::Permissions::from_mode(READABLE))?;
            return Ok((path, lock));
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

/// Locks a directory that is there. The lock is seen wherever the file system is, in other containers too.
fn claim(path: &Path) -> Option<File> {
    let lock = File::open(path).ok().filter(|directory| directory.try_lock().is_ok())?;
    // Whoever had it may have removed it.
    path.exists().then_some(lock)
}

/// Removes the directory of a gateway that is no more: nobody holds its lock. If it was killed a moment ago, its sweeper
/// is still at the processes; that is waited for, for a second at most.
fn remove_left(path: &Path) {
    let Some(_lock) = claim(path) else { return };
    let begun = Instant::now();
    let sessions = fs::read_dir(path).into_iter().flatten().flatten().filter(|inner| inner.path().is_dir());
    for session in sessions {
        let _ = remove(&session.path(), EMPTY_WITHIN.saturating_sub(begun.elapsed()));
    }
    let _ = fs::remove_dir(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_a_dead_gateway_go_and_those_of_a_live_one_stay_whatever_their_processes_numbers() {
        let place = tempfile::tempdir().unwrap();
        let base = place.path();
        let (live, lock) = make(base).unwrap();
        let (dead, gone) = make(base).unwrap();
        assert_ne!(live, dead, "both are of this very process");
        for directory in [&live, &dead] {
            fs::create_dir(directory.join("session")).unwrap();
        }
        drop(gone);
        let (next, _next_lock) = make(base).unwrap();
        assert!(live.join("session").exists() && !dead.exists() && next.exists());
        drop(lock);
        remove_left(&live);
        assert!(!live.exists());
    }

    #[test]
    fn gateways_that_start_together_do_not_take_each_others_directories_away() {
        let place = tempfile::tempdir().unwrap();
        let all: Vec<_> = std::thread::scope(|scope| {
            let makers = [(); 8]
                .map(|()| scope.spawn(|| (0..50).map(|_| make(place.path()).unwrap()).collect::<Vec<_>>()));
            makers.into_iter().flat_map(|maker| maker.join().unwrap()).collect()
        });
        assert!(all.len() == 400 && all.iter().all(|(path, _)| path.exists()));
    }
}
