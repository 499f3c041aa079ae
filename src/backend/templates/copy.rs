//! Walks through a tree that a hostile process may have made, and makes another one of it.
//!
//! However deep it is, it takes a constant number of descriptors and no recursion, and never follows a link:
//! each directory is reached from the top again, one name at a time.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps, fchmod, fstat, futimens, mkdirat,
    openat, statat,
};

/// How a tree becomes another one.
pub(super) trait Manner {
    /// A directory was made in the new tree.
    fn directory(&mut self, place: &Place<'_>) -> io::Result<()>;
    /// Puts a file into the new tree, if it belongs there. Says how large it is.
    fn file(&mut self, place: &Place<'_>) -> Result<u64, Uncopied>;
    /// Puts a link into the new tree, if it belongs there.
    fn link(&mut self, place: &Place<'_>) -> io::Result<()>;
}

/// One entry: where it is, where it is to be, and what it is called in both.
pub(super) struct Place<'p> {
    pub(super) from: BorrowedFd<'p>,
    pub(super) to: BorrowedFd<'p>,
    pub(super) name: &'p CStr,
    /// From the top.
    pub(super) path: &'p Path,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Files, directories and links.
    pub entries: u64,
    /// Bytes of files.
    pub bytes: u64,
}

/// Why a tree cannot be copied.
#[derive(Debug, thiserror::Error)]
pub enum Uncopied {
    /// Too much.
    #[error("they are larger than {} MiB together", MAX_BYTES >> 20)]
    TooLarge,
    /// Too many.
    #[error("they are more than {MAX_ENTRIES} files and directories, or nested too deep")]
    TooMany,
    /// The host.
    #[error(transparent)]
    Host(#[from] io::Error),
}

/// Bytes of one template.
pub(super) const MAX_BYTES: u64 = 2 << 30;
/// Files, directories and links of one template.
const MAX_ENTRIES: u64 = 200_000;
/// Bytes of one path.
const MAX_PATH: usize = 1024;
/// Bytes of the paths that are still to be looked into.
const MAX_WAITING: usize = 16 << 20;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// What turned out to be no file does not keep us waiting.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
const NEW: OFlags = OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::CLOEXEC);

/// Makes in `to`, which is empty, what `from` holds.
pub(super) fn copy(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    manner: &mut impl Manner,
) -> Result<Amount, Uncopied> {
    let mut amount = Amount::default();
    let mut waiting = vec![PathBuf::new()];
    let mut waiting_bytes = 0;
    while let Some(inside) = waiting.pop() {
        waiting_bytes -= inside.as_os_str().len();
        let (source, target) = (descend(from, &inside)?, descend(to, &inside)?);
        for entry in Dir::read_from(&source).map_err(io::Error::from)? {
            let entry = entry.map_err(io::Error::from)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let path = inside.join(OsStr::from_bytes(name.to_bytes()));
            amount.entries += 1;
            if amount.entries > MAX_ENTRIES || path.as_os_str().len() > MAX_PATH {
                return Err(Uncopied::TooMany);
            }
            let place = Place { from: source.as_fd(), to: target.as_fd(), name, path: &path };
            let found = statat(&source, name, AtFlags::SYMLINK_NOFOLLOW).map_err(io::Error::from)?;
            match FileType::from_raw_mode(found.st_mode) {
                FileType::Directory => {
                    mkdirat(&target, name, Mode::RWXU).map_err(io::Error::from)?;
                    manner.directory(&place)?;
                    waiting_bytes += path.as_os_str().len();
                    if waiting_bytes > MAX_WAITING {
                        return Err(Uncopied::TooMany);
                    }
                    waiting.push(path);
                }
                FileType::RegularFile => amount.bytes += manner.file(&place)?,
                FileType::Symlink => manner.link(&place)?,
                // Sockets, pipes and devices are no part of a package.
                _ => {}
            }
        }
    }
    Ok(amount)
}

/// Opens a directory below `top`, which no name on the way may lead out of.
fn descend(top: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    let mut at = openat(top, c".", DIRECTORY, Mode::empty())?;
    for name in path {
        at = openat(&at, name, DIRECTORY, Mode::empty())?;
    }
    Ok(at)
}

impl Place<'_> {
    /// The file to read from, if it is one.
    pub(super) fn open(&self) -> io::Result<Option<(File, Stat)>> {
        let file = openat(self.from, self.name, FILE, Mode::empty())?;
        let found = fstat(&file)?;
        let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        Ok(is_file.then(|| (file.into(), found)))
    }

    /// Makes a new file of the bytes of another, `most` of them. Says how many there were, and gives the
    /// new file, which nobody else may open yet.
    pub(super) fn fill(&self, (file, found): (File, Stat), most: u64) -> Result<(File, u64), Uncopied> {
        let mut new = File::from(openat(self.to, self.name, NEW, Mode::empty()).map_err(io::Error::from)?);
        // Shares the bytes where the file system can.
        let bytes = io::copy(&mut file.take(most.saturating_add(1)), &mut new)?;
        if bytes > most {
            return Err(Uncopied::TooLarge);
        }
        // What was compiled is known by the age of its source.
        let time = |tv_sec, tv_nsec: u64| Timespec { tv_sec, tv_nsec: tv_nsec.try_into().unwrap_or(0) };
        let modified = time(found.st_mtime, found.st_mtime_nsec);
        futimens(&new, &Timestamps { last_access: modified, last_modification: modified })
            .map_err(io::Error::from)?;
        Ok((new, bytes))
    }
}

/// A file is executable for all who may read it, or for nobody.
pub(super) fn set_mode(file: &File, was: u32, plain: u32, executable: u32) -> io::Result<()> {
    let mode = if was & 0o111 == 0 { plain } else { executable };
    Ok(fchmod(file, Mode::from_raw_mode(mode))?)
}
