//! Why a backend could not be started.

use std::io;
use std::sync::Arc;

use rustix::io::Errno;

use super::super::remote::Misplaced;
use super::super::sandbox::{Barrier, Exhausted};
use super::super::templates::NotFetched;
use super::launcher::Step;

/// Why a backend could not be started. The host or the operator is at fault.
#[derive(Debug, thiserror::Error)]
pub enum StartFailed {
    /// Before there was a process.
    #[error("no process could be made: {0}")]
    Host(#[from] io::Error),
    /// In the launcher.
    #[error("the launcher failed at step {step:?}: {error}")]
    Step {
        /// Which step.
        step: Step,
        /// Why, for the log.
        error: io::Error,
    },
    /// In the last step of the launcher: whoever was to run the command may not.
    #[error("the launcher failed at step Exec: {error}; {barrier}")]
    Barred {
        /// Why.
        error: io::Error,
        /// What was in the way.
        barrier: Barrier,
    },
    /// The launcher was killed or hangs.
    #[error("the launcher ended without a report")]
    Silent,
    /// There is no user for it.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// It is remote, and no server may be where it is.
    #[error("its address is not connected to: {0}")]
    Misplaced(#[from] Misplaced),
    /// What it is to find in its directory is not there.
    #[error("its packages were not fetched: {0}")]
    Packages(Arc<NotFetched>),
}

/// What a host has more of once somebody has left: processes, memory, descriptors, room on a disk.
const SHORTAGES: [Errno; 7] =
    [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::NOSPC, Errno::DQUOT, Errno::NOBUFS];

impl StartFailed {
    /// Whether it is likely to work a little later: the host is short of something.
    pub fn is_shortage(&self) -> bool {
        match self {
            Self::Host(error) | Self::Step { error, .. } => {
                let errno = error.raw_os_error().map(Errno::from_raw_os_error);
                errno.is_some_and(|errno| SHORTAGES.contains(&errno))
                    || error.kind() == io::ErrorKind::WouldBlock
            }
            Self::Exhausted(_) => true,
            Self::Barred { .. } | Self::Silent | Self::Misplaced(_) | Self::Packages(_) => false,
        }
    }

    /// What a client may know of it, and do.
    pub fn public(&self) -> String {
        if self.is_shortage() {
            return "the host has no room for another now; try again shortly".into();
        }
        format!("{}; tell the operator, whose log has the detail", self.cause())
    }

    /// The same, with what was in the way if that is why.
    pub(super) fn barred(self, barrier: impl FnOnce() -> Option<Barrier>) -> Self {
        match self {
            Self::Step { step: Step::Exec, error } => match barrier() {
                Some(barrier) => Self::Barred { error, barrier },
                None => Self::Step { step: Step::Exec, error },
            },
            other => other,
        }
    }

    fn cause(&self) -> String {
        match self {
            Self::Host(_) => "the host could not make a process for it".into(),
            Self::Step { step: Step::Exec, .. } | Self::Barred { .. } => {
                "its program could not be executed".into()
            }
            Self::Step { step, .. } => format!("it could not be prepared (step {step:?})").to_lowercase(),
            Self::Silent => "it ended before it ran".into(),
            Self::Exhausted(_) => "the host has no room for another".into(),
            Self::Misplaced(_) => "it is where the gateway makes no connections to".into(),
            Self::Packages(reason) => reason.public(),
        }
    }
}
