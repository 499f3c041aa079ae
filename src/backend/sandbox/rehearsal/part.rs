//! The parts of the sandbox that a host may not permit, and what a failed rehearsal says of it: only what the
//! part itself has met with counts, not that the host was short of something for a moment.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use crate::backend::child::{Step, Unrehearsed};
use crate::backend::sandbox::remedy::Obstacle;
use crate::backend::sandbox::report::NETWORK;
use crate::backend::unprepared::Unprepared;

/// A part of the sandbox that a host may not permit.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) purpose: &'static str,
    /// The steps of the launcher that tell.
    steps: &'static [Step],
    /// What to do about it.
    pub(super) remedy: fn(&Obstacle) -> String,
}

pub(super) const LANDLOCK: Part = Part {
    name: "landlock",
    purpose: "no file but programs, its own and those you name",
    steps: &[Step::Files, Step::Rules],
    remedy: Obstacle::landlock,
};
pub(super) const SECCOMP: Part = Part {
    name: "seccomp",
    purpose: "no system calls that leave something behind",
    steps: &[Step::Rules],
    remedy: Obstacle::seccomp,
};
pub(super) const NAMESPACES: Part = Part {
    name: "namespaces",
    purpose: "processes, mounts and IPC of its own",
    steps: &[Step::Namespaces],
    remedy: Obstacle::namespaces,
};
pub(super) const NO_NETWORK: Part = Part {
    name: NETWORK,
    purpose: "no network but a loopback of its own",
    steps: &[Step::Namespaces],
    remedy: Obstacle::network,
};
/// What a host is short of for a moment. Not room, by which the kernel means that there may be no more
/// namespaces.
const SHORTAGES: [Errno; 4] = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE];

impl Part {
    /// What the host has against it.
    ///
    /// # Errors
    /// If the rehearsal does not tell: then nobody knows.
    pub(super) fn obstacle(&self, reason: Unrehearsed) -> Result<io::Error, Unprepared> {
        let tells = match &reason {
            Unrehearsed::Step(step, error) => self.steps.contains(step) && !is_shortage(error),
            // Of who was killed nobody knows at which step.
            Unrehearsed::Filtered => true,
            Unrehearsed::Host(_) => false,
        };
        if tells { Ok(cause(reason)) } else { Err(Unprepared::Untried { part: self.name, reason }) }
    }
}

/// Why root cannot give sessions users of their own.
pub(super) fn without_users(reason: Unrehearsed, homes: &Path) -> Unprepared {
    match reason {
        Unrehearsed::Step(_, ref error) if is_shortage(error) => Unprepared::Untried { part: "uid", reason },
        Unrehearsed::Host(_) => Unprepared::Untried { part: "uid", reason },
        Unrehearsed::Step(Step::Directory, error) => Unprepared::Directory { place: homes.to_owned(), error },
        Unrehearsed::Step(Step::Exec, error) => Unprepared::Program(error),
        Unrehearsed::Step(..) | Unrehearsed::Filtered => Unprepared::NoUsers(cause(reason)),
    }
}

fn cause(reason: Unrehearsed) -> io::Error {
    match reason {
        Unrehearsed::Step(_, error) | Unrehearsed::Host(error) => error,
        Unrehearsed::Filtered => io::Error::new(io::ErrorKind::PermissionDenied, reason),
    }
}

fn is_shortage(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    errno.is_some_and(|errno| SHORTAGES.contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_part_has_met_with_counts() {
        let failed = |step, errno: Errno| Unrehearsed::Step(step, errno.into());
        assert!(NAMESPACES.obstacle(failed(Step::Namespaces, Errno::PERM)).is_ok());
        // No more namespaces, which is a setting.
        assert!(NAMESPACES.obstacle(failed(Step::Namespaces, Errno::NOSPC)).is_ok());
        assert!(SECCOMP.obstacle(Unrehearsed::Filtered).is_ok());
        for reason in [
            failed(Step::Namespaces, Errno::AGAIN),
            failed(Step::Directory, Errno::ACCESS),
            Unrehearsed::Host(Errno::MFILE.into()),
        ] {
            let untried = NAMESPACES.obstacle(reason);
            assert!(matches!(untried, Err(Unprepared::Untried { part: "namespaces", .. })), "{untried:?}");
        }
    }
}
