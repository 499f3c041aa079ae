//! The first process of a child: the leader of its session and process group, and what it is reaped by.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_send_signal, waitid};

use super::super::aside::ENDS;
use super::process::Exit;
use super::spawner::Roster;

/// A leader that has not been reaped. Dropping it kills its group and reaps it on a thread of its own: the
/// way out after a panic or a start that nobody waits for any more.
#[derive(Debug)]
pub(super) struct Leader {
    pid: Pid,
    pidfd: Arc<OwnedFd>,
    roster: Roster,
    reaped: bool,
}

/// How long a thread waits for one at a stretch.
const TURN: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

impl Leader {
    pub(super) fn new(pid: Pid, pidfd: OwnedFd, roster: Roster) -> Self {
        roster.add(pid);
        Self { pid, pidfd: Arc::new(pidfd), roster, reaped: false }
    }

    /// By which the host knows it.
    pub(super) fn number(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Readable once the leader has ended.
    pub(super) fn pidfd(&self) -> Arc<OwnedFd> {
        self.pidfd.clone()
    }

    /// Where the kernel says how long it has run (proc(5)).
    pub(super) fn schedstat(&self) -> PathBuf {
        format!("/proc/{}/schedstat", self.pid.as_raw_nonzero()).into()
    }

    /// Whether it goes on: it has neither ended nor been stopped.
    pub(super) fn is_up(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::STOPPED;
        let changed = waitid(
            WaitId::PidFd(self.pidfd.as_fd()),
            options | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG,
        );
        matches!(changed, Ok(None))
    }

    /// To the whole group; to the leader too, which is in no group of its own for its first moments.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.pid, signal);
        let _ = pidfd_send_signal(&self.pidfd, signal);
    }

    /// How it ended, if it has; it stays a zombie, so that its number stays its own.
    pub(super) fn peek(&self) -> Exit {
        wait(&self.pidfd, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG)
    }

    /// Waits until it has ended, and takes the zombie away. Blocks meanwhile.
    pub(super) fn outlive(self) -> Exit {
        wait(&self.pidfd, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        self.reap()
    }

    /// Takes the zombie away once it has ended. One that is killed can only be waiting for a disk or a driver;
    /// whoever else waits for a thread has its turn meanwhile.
    fn reap_later(self) {
        ENDS.begin(move || {
            let mut end = [PollFd::new(&self.pidfd, PollFlags::IN)];
            match poll(&mut end, Some(&TURN)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => self.reap_later(),
                _ => drop(self.reap()),
            }
        });
    }

    /// Takes the zombie away. It must have ended.
    pub(super) fn reap(mut self) -> Exit {
        self.reaped = true;
        self.roster.remove(self.pid);
        wait(&self.pidfd, WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if !self.reaped {
            self.signal(Signal::KILL);
            let (pid, pidfd, roster) = (self.pid, self.pidfd.clone(), self.roster.clone());
            Self { pid, pidfd, roster, reaped: false }.reap_later();
        }
    }
}

fn wait(pidfd: &OwnedFd, options: WaitIdOptions) -> Exit {
    match waitid(WaitId::PidFd(pidfd.as_fd()), options) {
        Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
            (Some(status), _) => Exit::Status(status),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::Unknown,
        },
        _ => Exit::Unknown,
    }
}
