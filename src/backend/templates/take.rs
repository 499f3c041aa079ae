//! Makes a template of what a fetch has left in its home.
//!
//! Every file is a new one: whoever still holds a descriptor of the old, handed over by the fetch to some
//! process that lives on, writes into nothing that is used.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, chmodat, readlinkat, symlinkat};

use super::copy::{Amount, MAX_BYTES, Manner, Place, Uncopied, copy, set_mode};
use super::store::Draft;

/// Takes over everything that belongs to the fetch's user.
struct Take<'t> {
    owner: u32,
    /// By which names the fetch knew its home.
    homes: [&'t Path; 2],
    left: u64,
    /// What was left out.
    dropped: u64,
}

/// Where links may lead to beside the tree itself: programs that every session can read.
const PROGRAMS: [&str; 6] = ["/usr", "/bin", "/lib", "/lib64", "/opt", "/nix"];
/// Nothing here is a secret, nothing may be written to.
const FILE: u32 = 0o644;
const PROGRAM: u32 = 0o755;

/// Fills a draft with what the user `owner` has left in `home`.
pub(super) fn take(home: &Path, owner: u32, draft: &Draft) -> Result<Amount, Uncopied> {
    let real = home.canonicalize()?;
    let mut manner = Take { owner, homes: [home, &real], left: MAX_BYTES, dropped: 0 };
    let amount = copy(std::fs::File::open(home)?.as_fd(), draft.directory().as_fd(), &mut manner)?;
    if manner.dropped > 0 {
        tracing::warn!(
            dropped = manner.dropped,
            "not all that was fetched is kept: links that lead elsewhere"
        );
    }
    Ok(amount)
}

impl Manner for Take<'_> {
    fn directory(&mut self, place: &Place<'_>) -> io::Result<()> {
        Ok(chmodat(place.to, place.name, Mode::from_raw_mode(PROGRAM), AtFlags::empty())?)
    }

    fn file(&mut self, place: &Place<'_>) -> Result<u64, Uncopied> {
        // A link to somebody else's file, where the host allows such a thing, is not the fetch's to give.
        let Some((file, found)) = place.open()?.filter(|(_, found)| found.st_uid == self.owner) else {
            self.dropped += 1;
            return Ok(0);
        };
        let mode = found.st_mode;
        let (new, bytes) = place.fill((file, found), self.left)?;
        self.left -= bytes;
        set_mode(&new, mode, FILE, PROGRAM)?;
        Ok(bytes)
    }

    fn link(&mut self, place: &Place<'_>) -> io::Result<()> {
        let target = readlinkat(place.from, place.name, Vec::new())?;
        let target = Path::new(std::ffi::OsStr::from_bytes(target.to_bytes()));
        match settle(place.path, target, &self.homes) {
            Some(target) => Ok(symlinkat(&target, place.to, place.name)?),
            None => {
                self.dropped += 1;
                Ok(())
            }
        }
    }
}

/// What a link at `path` is to hold in whatever home it comes to lie. `None` if it leads out.
fn settle(path: &Path, target: &Path, homes: &[&Path]) -> Option<PathBuf> {
    let above = path.parent().unwrap_or(Path::new(""));
    if let Some(inside) = homes.iter().find_map(|home| target.strip_prefix(home).ok()) {
        let up: PathBuf = above.components().map(|_| "..").collect();
        let stays = inside.components().all(|component| matches!(component, Component::Normal(_)));
        return stays.then(|| up.join(inside)).filter(|target| !target.as_os_str().is_empty());
    }
    if target.is_absolute() {
        let plain = !target.components().any(|component| component == Component::ParentDir);
        return (plain && PROGRAMS.iter().any(|place| target.starts_with(place))).then(|| target.to_owned());
    }
    let mut depth = above.components().count();
    for component in target.components() {
        match component {
            Component::ParentDir => depth = depth.checked_sub(1)?,
            Component::Normal(_) => depth += 1,
            _ => {}
        }
    }
    Some(target.to_owned())
}

#[cfg(test)]
mod tests;
