//! Removes directories that a hostile process has filled, and may be filling yet.
//!
//! However deep they are nested, it takes a constant number of descriptors and no recursion: what is below
//! is moved up before it is looked into. Links are never followed. It takes no longer than it may; what is
//! left then can be gone on with.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, chmod, openat, renameat, unlinkat};
use rustix::io::Errno;
use tokio::time::Instant;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// To name a directory that may not be read.
const NAMED: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const OURS: Mode = Mode::RWXU;
/// How long it may take where there is nobody who would go on with it.
const MOST: Duration = Duration::from_secs(10);

/// A directory that is being emptied.
struct Removal {
    top: OwnedFd,
    /// Of the name that the next directory gets that is moved up.
    number: u64,
    until: Instant,
}

/// What one look at the directory has come to.
enum Pass {
    /// Nothing was there.
    Empty,
    /// Something was done about it.
    More,
    /// Nothing could be done, for this reason.
    Stuck(Errno),
}

/// Removes whatever is at `path`; nothing being there is fine.
///
/// # Errors
/// As [`remove_within`].
pub(super) fn remove(path: &Path) -> io::Result<()> {
    remove_within(path, MOST)
}

/// As [`remove`], in this time at most.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] if there is more, because there is much or somebody adds to it: then to call
/// again goes on. Else the reason why something cannot be removed, once nothing else is left.
pub(super) fn remove_within(path: &Path, most: Duration) -> io::Result<()> {
    let until = Instant::now() + most;
    match unlinkat(CWD, path, AtFlags::empty()) {
        // Linux says the first, POSIX the second.
        Err(Errno::ISDIR | Errno::PERM) => {}
        other => return Ok(gone(other)?),
    }
    let top = match open(CWD, path) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let mut bits = [0u8; 8];
    // Names that nobody has, not even we when we were here before.
    getrandom::fill(&mut bits).map_err(io::Error::other)?;
    let mut removal = Removal { top, number: u64::from_ne_bytes(bits), until };
    loop {
        match removal.pass()? {
            Pass::More => {}
            Pass::Stuck(error) => return Err(error.into()),
            Pass::Empty => match unlinkat(CWD, path, AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY) => {}
                other => return Ok(gone(other)?),
            },
        }
    }
}

impl Removal {
    fn pass(&mut self) -> io::Result<Pass> {
        let names = names(&self.top)?;
        if names.is_empty() {
            return Ok(Pass::Empty);
        }
        let (mut done, mut stuck) = (false, None);
        for name in names {
            if Instant::now() >= self.until {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "there is more than the time was for"));
            }
            match self.clear(&name) {
                Ok(()) => done = true,
                Err(error) => stuck = Some(error),
            }
        }
        Ok(stuck.filter(|_| !done).map_or(Pass::More, Pass::Stuck))
    }

    /// Removes one entry. If it is a directory, its own directories move up first; if somebody adds to it, its
    /// turn comes again.
    fn clear(&mut self, name: &CStr) -> rustix::io::Result<()> {
        let top = &self.top;
        if gone(unlinkat(top, name, AtFlags::empty())).is_ok()
            || gone(unlinkat(top, name, AtFlags::REMOVEDIR)).is_ok()
        {
            return Ok(());
        }
        let directory = match open(top.as_fd(), name) {
            // It is something else by now.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            other => other?,
        };
        for inner in names(&directory)? {
            if gone(unlinkat(&directory, &*inner, AtFlags::empty())).is_ok() {
                continue;
            }
            self.number = self.number.wrapping_add(1);
            let name = format!(".{}", self.number);
            let moved = match renameat(&directory, &*inner, top, &name) {
                // Whoever is not root moves only what may be written to.
                Err(Errno::ACCESS) => {
                    let _ = open(directory.as_fd(), &*inner);
                    renameat(&directory, &*inner, top, &name)
                }
                other => other,
            };
            match moved {
                // Somebody took that name on purpose.
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR | Errno::ISDIR) => {}
                other => gone(other)?,
            }
        }
        match unlinkat(top, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::NOTDIR) => Ok(()),
            other => gone(other),
        }
    }
}

/// What is not there any more need not be removed.
fn gone(outcome: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match outcome {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Opens a directory, whatever its mode says, if it is ours.
fn open<P: rustix::path::Arg + Copy>(at: BorrowedFd<'_>, path: P) -> rustix::io::Result<OwnedFd> {
    match openat(at, path, DIRECTORY, Mode::empty()) {
        Err(Errno::ACCESS) => {}
        other => {
            let directory = other?;
            // Entries cannot be removed from one that may not be written to.
            let _ = rustix::fs::fchmod(&directory, OURS);
            return Ok(directory);
        }
    }
    // By a way that does not lead elsewhere if somebody puts a link in its place.
    let named = openat(at, path, NAMED, Mode::empty())?;
    let way = format!("/proc/self/fd/{}", named.as_raw_fd());
    chmod(&*way, OURS)?;
    openat(&named, ".", DIRECTORY, Mode::empty())
}

fn names(directory: &OwnedFd) -> rustix::io::Result<Vec<CString>> {
    /// In one go; the rest is there the next time.
    const SOME: usize = 1024;
    let mut names = Vec::new();
    for entry in gone_by(Dir::read_from(directory))?.into_iter().flatten() {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
        if names.len() == SOME {
            break;
        }
    }
    Ok(names)
}

/// A directory that somebody has removed is empty.
fn gone_by(list: rustix::io::Result<Dir>) -> rustix::io::Result<Option<Dir>> {
    match list {
        Err(Errno::NOENT) => Ok(None),
        other => other.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// On a host with much else to do.
    const AMPLE: Duration = Duration::from_secs(600);

    #[test]
    fn a_deep_nest_with_closed_directories_and_links_goes_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let (kept, doomed) = (place.path().join("kept"), place.path().join("doomed"));
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "x").unwrap();
        fs::create_dir(&doomed).unwrap();
        std::os::unix::fs::symlink(&kept, doomed.join("link")).unwrap();
        fs::write(doomed.join(".1"), "taken").unwrap();
        // Deeper than any path may be long.
        let mut at = fs::File::open(&doomed).unwrap();
        for _ in 0..5000 {
            rustix::fs::mkdirat(&at, "d", OURS).unwrap();
            rustix::fs::mkdirat(&at, "closed", Mode::empty()).unwrap();
            at = fs::File::from(openat(&at, "d", DIRECTORY, Mode::empty()).unwrap());
        }
        fs::write(doomed.join("closed.txt"), "x").unwrap();
        fs::set_permissions(doomed.join("closed"), fs::Permissions::from_mode(0o0)).unwrap();
        remove_within(&doomed, AMPLE).unwrap();
        assert!(!doomed.exists() && kept.join("file").exists());
        remove(&doomed).unwrap();
    }

    #[test]
    fn what_somebody_else_removes_meanwhile_is_gone_and_not_in_the_way() {
        let place = tempfile::tempdir().unwrap();
        for _ in 0..10 {
            let doomed = place.path().join("doomed");
            for name in 0..100 {
                fs::create_dir_all(doomed.join(format!("{name}/d"))).unwrap();
            }
            let both: Vec<_> = std::thread::scope(|scope| {
                let two = [(); 2].map(|()| scope.spawn(|| remove_within(&doomed, AMPLE)));
                two.into_iter().map(|one| one.join().unwrap()).collect()
            });
            assert!(both.iter().all(Result::is_ok) && !doomed.exists(), "{both:?}");
        }
    }

    #[test]
    fn who_goes_on_filling_it_is_given_up_on_and_what_is_left_can_be_gone_on_with() {
        let place = tempfile::tempdir().unwrap();
        let doomed = place.path().join("doomed");
        fs::create_dir_all(&doomed).unwrap();
        let more = std::sync::atomic::AtomicBool::new(true);
        let order = std::sync::atomic::Ordering::Relaxed;
        std::thread::scope(|scope| {
            let fill = || {
                while more.load(order) {
                    for name in 0..64 {
                        let _ = fs::create_dir_all(doomed.join(format!("{name}/{name}")));
                    }
                }
            };
            let writers = [(); 3].map(|()| scope.spawn(fill));
            // Now and then it wins; but it always comes back.
            let told: Vec<_> = (0..20).map(|_| remove_within(&doomed, Duration::from_millis(20))).collect();
            more.store(false, order);
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            let fine = |one: &io::Result<()>| {
                one.as_ref().err().is_none_or(|error| error.kind() == io::ErrorKind::TimedOut)
            };
            assert!(told.iter().all(fine), "{told:?}");
        });
        remove_within(&doomed, AMPLE).unwrap();
        assert!(!doomed.exists());
    }

    #[test]
    fn what_cannot_be_removed_is_told_after_all_else_is_gone() {
        let place = tempfile::tempdir().unwrap();
        let doomed = place.path().join("doomed");
        fs::create_dir_all(&doomed).unwrap();
        for name in 0..200 {
            fs::write(doomed.join(name.to_string()), "").unwrap();
        }
        assert_eq!(remove_within(&doomed, Duration::ZERO).unwrap_err().kind(), io::ErrorKind::TimedOut);
        let kept = doomed.join("kept");
        fs::create_dir(&kept).unwrap();
        let flags = rustix::mount::MountFlags::empty();
        // A directory that something is mounted on stays.
        if rustix::mount::mount("none", &kept, "tmpfs", flags, None).is_ok() {
            let outcome = remove(&doomed);
            let left = fs::read_dir(&doomed).unwrap().count();
            rustix::mount::unmount(&kept, rustix::mount::UnmountFlags::DETACH).unwrap();
            assert_eq!((outcome.unwrap_err().kind(), left), (io::ErrorKind::ResourceBusy, 1));
        }
        remove(&doomed).unwrap();
    }
}
