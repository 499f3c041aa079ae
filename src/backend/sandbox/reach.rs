//! Whether a server can be run by who is to run it. A session's user is nobody on this machine, so every
//! directory on the way, and the file, must be open to others; what is in the way is said by name.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::namespaces::SHARED_PLACES;
use super::script::{Executed, executed};
use crate::catalog::Launch;

/// What keeps a server from running, with what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Barrier {
    path: PathBuf,
    want: Want,
    visitor: Visitor,
    obstacle: Obstacle,
    /// The script that names it.
    named_by: Option<PathBuf>,
}

/// Who is to run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visitor {
    /// A user that owns nothing and is in no group.
    Stranger,
    /// The gateway's own.
    Gateway,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    Run,
    Read,
    Write,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Obstacle {
    /// A directory on the way, or the thing itself.
    Closed {
        at: PathBuf,
        mode: u32,
    },
    Absent,
    /// In a place that each session has one of its own of.
    Hidden(&'static str),
}

/// Links on one way that the kernel follows.
const MAX_LINKS: usize = 40;
const READ: u32 = 4;
const WRITE: u32 = 2;
const EXECUTE: u32 = 1;

/// What is looked at on behalf of one server.
pub(super) struct Reach<'p> {
    pub(super) plan: &'p Launch,
    pub(super) visitor: Visitor,
    /// Whether each session has its own of what is shared elsewhere.
    pub(super) own_places: bool,
}

impl Reach<'_> {
    /// The first barrier, if there is one.
    pub(super) fn barrier(&self, search: &str) -> Option<Barrier> {
        let plan = self.plan;
        let search = plan.environment().find(|(name, _)| *name == "PATH").map_or(search, |(_, value)| value);
        let can_run = |path: &Path| self.check(path, Want::Run).is_ok();
        // This binary is executed through the kernel's own link, which no mode keeps anybody from.
        let program = Some(plan.program()).filter(|program| !program.starts_with("/proc/self"));
        let programs = program.map(|program| executed(program, search, &can_run)).unwrap_or_default();
        let programs = programs.into_iter().map(|Executed { path, named_by }| (path, Want::Run, named_by));
        // What a container's command line names is the container's.
        let arguments = plan.argv().iter().skip(1).filter(|_| plan.container().is_none());
        let named = arguments.map(PathBuf::from).filter(|path| path.is_absolute() && path.exists());
        let readable = named.chain(plan.readable().iter().cloned()).map(|path| (path, Want::Read, None));
        let writable = plan.writable().iter().cloned().map(|path| (path, Want::Write, None));
        programs.chain(readable).chain(writable).find_map(|(path, want, named_by)| {
            let obstacle = self.check(&path, want).err()?;
            Some(Barrier { path, want, visitor: self.visitor, obstacle, named_by })
        })
    }

    fn check(&self, path: &Path, want: Want) -> Result<(), Obstacle> {
        let real = self.walk(path)?;
        let own = SHARED_PLACES.iter().find(|place| self.own_places && lies_in(&real, Path::new(place)));
        if let Some(place) = own.filter(|_| !self.plan.writable().iter().any(|kept| real.starts_with(kept))) {
            return Err(Obstacle::Hidden(place));
        }
        let bits = match (want, real.is_dir()) {
            (Want::Run, _) if is_script(&real) => READ | EXECUTE,
            (Want::Run, _) => EXECUTE,
            (Want::Read, false) => READ,
            (Want::Read, true) => READ | EXECUTE,
            (Want::Write, false) => READ | WRITE,
            (Want::Write, true) => READ | WRITE | EXECUTE,
        };
        self.pass(&real, bits)
    }

    /// Goes where a path leads, link by link, through directories that let the visitor pass.
    fn walk(&self, path: &Path) -> Result<PathBuf, Obstacle> {
        let reversed = |path: &Path| {
            path.components().rev().map(|c| c.as_os_str().to_owned()).collect::<Vec<OsString>>()
        };
        let (mut ahead, mut at, mut links) = (reversed(path), PathBuf::new(), 0);
        while let Some(name) = ahead.pop() {
            if name == ".." {
                at.pop();
                continue;
            }
            if !at.as_os_str().is_empty() {
                self.pass(&at, EXECUTE)?;
            }
            let next = at.join(&name);
            let Ok(found) = fs::symlink_metadata(&next) else { return Err(Obstacle::Absent) };
            if found.is_symlink() {
                links += 1;
                let target = fs::read_link(&next).ok().filter(|_| links <= MAX_LINKS);
                ahead.extend(reversed(&target.ok_or(Obstacle::Absent)?));
            } else {
                at = next;
            }
        }
        Ok(at)
    }

    fn pass(&self, at: &Path, bits: u32) -> Result<(), Obstacle> {
        let mode = fs::metadata(at).map_or(0, |found| found.permissions().mode() & 0o7777);
        let open = match self.visitor {
            Visitor::Stranger => mode & bits == bits,
            Visitor::Gateway => true,
        };
        // Of a file system that nothing may be run from, too.
        if open && rustix::fs::access(at, Access::from_bits_truncate(bits)).is_ok() {
            return Ok(());
        }
        Err(Obstacle::Closed { at: at.to_owned(), mode })
    }
}

fn is_script(path: &Path) -> bool {
    executed(path, "", &|_| false).len() > 1
}

/// Every directory that has to be readable for a program to be run, its interpreters included.
pub(super) fn programs(program: &Path, search: &str) -> BTreeSet<PathBuf> {
    let chain = executed(program, search, &|path| rustix::fs::access(path, Access::EXEC_OK).is_ok());
    let paths = chain.into_iter().map(|executed| executed.path).filter(|path| path.is_absolute());
    paths.flat_map(|path| [path.canonicalize().ok(), Some(path)]).flatten().collect()
}

impl Barrier {
    fn who(&self) -> (&'static str, &'static str) {
        match self.visitor {
            Visitor::Stranger => ("the users that sessions get", "others"),
            Visitor::Gateway => ("the gateway's user", "it"),
        }
    }

    fn remedy(&self, at: &Path) -> String {
        let is_way = at != self.path && at.is_dir();
        let place = match self.want {
            Want::Run => "install it under /usr/local",
            Want::Read | Want::Write => "move it to a directory that is open",
        };
        let open = if is_way { "open the directory" } else { "change its mode" };
        let off = match self.visitor {
            Visitor::Stranger => ", or set sandbox.profile = \"off\"",
            Visitor::Gateway => "",
        };
        format!("{place}, or {open}{off}")
    }
}

impl fmt::Display for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(f, "{path}")?;
        if let Some(script) = &self.named_by {
            write!(f, ", which {} begins with,", script.display())?;
        }
        let verb = match self.want {
            Want::Run => "run",
            Want::Read => "read",
            Want::Write => "written to",
        };
        let (who, others) = self.who();
        write!(f, " cannot be {verb} by {who}: ")?;
        match &self.obstacle {
            Obstacle::Closed { at, mode } => {
                let at_text = at.display();
                write!(f, "{at_text} is closed to {others} (mode {mode:o}); {}", self.remedy(at))
            }
            Obstacle::Absent if self.path.is_relative() => f.write_str("it is not on PATH; install it"),
            Obstacle::Absent if self.want == Want::Run => f.write_str("it is not there; install it"),
            Obstacle::Absent => f.write_str("it is not there; make it, or take it out of the settings"),
            Obstacle::Hidden(place) => write!(
                f,
                "with sandbox.profile = \"strict\" each session has a {place} of its own; move it elsewhere"
            ),
        }
    }
}

/// A file that lies there itself is hidden by the session's own; what is named below is not.
fn lies_in(path: &Path, place: &Path) -> bool {
    path == place || path.parent() == Some(place)
}

#[cfg(test)]
mod tests;
