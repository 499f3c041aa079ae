//! Removes directories that a hostile process has filled.
//!
//! However deep they are nested, it takes a constant number of descriptors and no recursion: what is below
//! is moved up before it is looked into. Links are never followed.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const OURS: Mode = Mode::RWXU;

/// Removes whatever is at `path`; nothing being there is fine.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match unlinkat(rustix::fs::CWD, path, AtFlags::empty()) {
        // Linux says the first, POSIX the second.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(Errno::NOENT) => return Ok(()),
        other => return Ok(other?),
    }
    let top = open(rustix::fs::CWD, path)?;
    let mut number = 0u64;
    loop {
        let mut empty = true;
        for entry in names(&top)? {
            empty = false;
            clear(&top, &entry, &mut number)?;
        }
        if empty {
            return Ok(unlinkat(rustix::fs::CWD, path, AtFlags::REMOVEDIR)?);
        }
    }
}

/// Removes one entry of `top`. If it is a directory, its own directories move to `top` first.
fn clear(top: &OwnedFd, name: &CStr, number: &mut u64) -> io::Result<()> {
    if unlinkat(top, name, AtFlags::empty()).is_ok() || unlinkat(top, name, AtFlags::REMOVEDIR).is_ok() {
        return Ok(());
    }
    let directory = open(top.as_fd(), name)?;
    for inner in names(&directory)? {
        if unlinkat(&directory, &*inner, AtFlags::empty()).is_ok() {
            continue;
        }
        loop {
            *number += 1;
            match renameat(&directory, &*inner, top, format!(".{number}")) {
                // Somebody took that name on purpose.
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                other => break other?,
            }
        }
    }
    match unlinkat(top, name, AtFlags::REMOVEDIR) {
        // It had more than was read in one go; its turn comes again.
        Err(Errno::NOTEMPTY) => Ok(()),
        other => Ok(other?),
    }
}

/// Opens a directory, whatever its mode says, if it is ours.
fn open<P: rustix::path::Arg + Copy>(at: BorrowedFd<'_>, path: P) -> io::Result<OwnedFd> {
    match openat(at, path, DIRECTORY, Mode::empty()) {
        Err(Errno::ACCESS) => {}
        other => {
            let directory = other?;
            // Entries cannot be removed from one that may not be written to.
            let _ = rustix::fs::fchmod(&directory, OURS);
            return Ok(directory);
        }
    }
    rustix::fs::chmodat(at, path, OURS, AtFlags::empty())?;
    Ok(openat(at, path, DIRECTORY, Mode::empty())?)
}

fn names(directory: &OwnedFd) -> io::Result<Vec<std::ffi::CString>> {
    /// In one go; the rest is there the next time.
    const SOME: usize = 1024;
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

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
        remove(&doomed).unwrap();
        assert!(!doomed.exists() && kept.join("file").exists());
        remove(&doomed).unwrap();
    }
}
