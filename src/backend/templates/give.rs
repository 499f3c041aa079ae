//! Gives a session its private copy of a template.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, Gid, Uid, chownat, fchown, linkat, readlinkat, symlinkat};
use rustix::io::Errno;
use tokio::time::Instant;

use super::copy::{MAX_BYTES, Manner, Place, Uncopied, copy, set_mode};
use super::store::Store;
use crate::catalog::Recipe;

/// What a session finds in its home when it starts. Made only once it is there to be given, so that no
/// session of a server with `prefetch` starts without.
#[derive(Debug)]
pub struct Provisions(Option<(Arc<Store>, Recipe)>);

/// Gives all of a template to one session.
struct Give<'g> {
    /// The session's user, if it has one of its own.
    uid: Option<u32>,
    recipe: &'g Recipe,
    /// Whether links can be made from there to here.
    links: bool,
}

impl Provisions {
    /// For servers that want none.
    pub(in crate::backend) fn none() -> Self {
        Self(None)
    }

    pub(super) fn of(store: Arc<Store>, recipe: &Recipe) -> Self {
        Self(Some((store, recipe.clone())))
    }

    /// Whether there is something to give, which takes its time.
    pub(in crate::backend) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Fills the home of a session that has not been launched, for this user. Blocks.
    pub(in crate::backend) fn give(&self, home: &Path, uid: Option<u32>) -> io::Result<()> {
        let Some((store, recipe)) = &self.0 else { return Ok(()) };
        give(store, recipe, home, uid)
    }
}

fn give(store: &Store, recipe: &Recipe, home: &Path, uid: Option<u32>) -> io::Result<()> {
    let begun = Instant::now();
    let template = store.open(recipe.key())?;
    // Who runs as we do could change what is linked.
    let mut manner = Give { uid, recipe, links: uid.is_some() };
    let amount = copy(template.as_fd(), File::open(home)?.as_fd(), &mut manner).map_err(io::Error::other)?;
    let (entries, copied, links) = (amount.entries, amount.bytes, manner.links);
    tracing::debug!(entries, copied, links, seconds = begun.elapsed().as_secs_f32(), "packages given");
    Ok(())
}

impl Give<'_> {
    fn owner(&self) -> (Option<Uid>, Option<Gid>) {
        (self.uid.map(Uid::from_raw), self.uid.map(Gid::from_raw))
    }

    /// Makes the entry itself the session's.
    fn hand_over(&self, place: &Place<'_>) -> io::Result<()> {
        let (uid, gid) = self.owner();
        Ok(chownat(place.to, place.name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

impl Manner for Give<'_> {
    fn directory(&mut self, place: &Place<'_>) -> io::Result<()> {
        self.hand_over(place)
    }

    fn file(&mut self, place: &Place<'_>) -> Result<u64, Uncopied> {
        if self.links && self.recipe.is_content(place.path) {
            match linkat(place.from, place.name, place.to, place.name, AtFlags::empty()) {
                Ok(()) => return Ok(0),
                // Another file system, or one without links.
                Err(Errno::XDEV | Errno::PERM | Errno::OPNOTSUPP) => self.links = false,
                // As many as the file system has.
                Err(Errno::MLINK) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
        let Some((file, found)) = place.open()? else { return Ok(0) };
        let mode = found.st_mode;
        let (new, bytes) = place.fill((file, found), MAX_BYTES)?;
        set_mode(&new, mode, 0o600, 0o700)?;
        let (uid, gid) = self.owner();
        fchown(&new, uid, gid).map_err(io::Error::from)?;
        Ok(bytes)
    }

    fn link(&mut self, place: &Place<'_>) -> io::Result<()> {
        let target = readlinkat(place.from, place.name, Vec::new())?;
        symlinkat(&*target, place.to, place.name)?;
        self.hand_over(place)
    }
}
