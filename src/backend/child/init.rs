//! What is left to do for a launcher that has had another become the command: to wait, to reap, and to end as
//! it did. The first process of a pid namespace ignores signals that it does not handle, and a command that
//! took its place would never hear SIGTERM; so it stays, as `docker run --init` does.

use std::io;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use nix::sys::signal::SigSet;
use rustix::process::{Pid, WaitOptions, wait};

use super::launcher::{self, EXIT_LAUNCH_FAILED, Orders};
use std::os::fd::OwnedFd;

/// The next launcher of this session.
pub(super) struct Successor(Pid);

/// As shells report a signal.
pub(super) const SIGNALLED: u8 = 128;

impl Successor {
    /// Starts the next launcher and hands everything over to it.
    pub(super) fn start(
        orders: &Orders,
        descriptors: [OwnedFd; 3],
        control: &UnixStream,
    ) -> io::Result<Self> {
        // The signals of the group are for the command.
        SigSet::all().thread_block()?;
        let (socket, theirs) = UnixStream::pair()?;
        let child = launcher::start(theirs)?;
        launcher::instruct(&socket, orders, &descriptors, Some(control))?;
        Ok(Self(Pid::from_child(&child)))
    }

    /// Waits until it has ended, reaping all others meanwhile, and ends alike.
    pub(super) fn attend(self) -> ExitCode {
        loop {
            match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) if pid == self.0 => {
                    let status = match (status.exit_status(), status.terminating_signal()) {
                        (Some(status), _) => u8::try_from(status).unwrap_or(EXIT_LAUNCH_FAILED),
                        (None, Some(signal)) => SIGNALLED.saturating_add(u8::try_from(signal).unwrap_or(0)),
                        (None, None) => EXIT_LAUNCH_FAILED,
                    };
                    return status.into();
                }
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return EXIT_LAUNCH_FAILED.into(),
            }
        }
    }
}
