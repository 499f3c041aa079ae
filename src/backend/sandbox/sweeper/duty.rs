//! What the sweeper's process does, until the gateway is gone and everything of it too.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::sys::signal::SigSet;
use rustix::process::{Pid, PidfdFlags, Signal, Uid, pidfd_open, pidfd_send_signal};
use rustix::thread::CapabilitySet;

use super::{ARGUMENT, Request};
use crate::backend::sandbox::namespaces::SHARED_PLACES;
use crate::backend::sandbox::processes::{self, Owned, mark};
use crate::backend::{handover, tree};
use crate::settings::UidRange;

/// How often everything is looked through at most, when what is found goes on making more.
const MAX_PASSES: usize = 100;
/// Where else anybody may leave a file.
const FURTHER_PLACES: [&str; 2] = ["/dev/mqueue", "/run/lock"];
/// Tables of what outlives a process in the kernel; each has the owner's id in a column `uid`.
const IPC_TABLES: [&str; 3] = ["/proc/sysvipc/shm", "/proc/sysvipc/sem", "/proc/sysvipc/msg"];

/// Whether this process was started to be a sweeper.
pub fn is_sweeper() -> bool {
    std::env::args_os().nth(1).is_some_and(|argument| argument == ARGUMENT)
}

/// Runs as the sweeper.
pub fn sweep() -> ExitCode {
    let Some(homes) = std::env::args_os().nth(2) else { return ExitCode::FAILURE };
    match Duty::begin(PathBuf::from(homes)).and_then(Duty::serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

struct Duty {
    socket: UnixStream,
    homes: PathBuf,
    /// As long as these are open, no other gateway takes the ids.
    guarded: Vec<(UidRange, Vec<OwnedFd>)>,
}

impl Duty {
    fn begin(homes: PathBuf) -> io::Result<Self> {
        // What is meant for the gateway's group must not end the one process that tidies up after it.
        let _ = rustix::process::setsid();
        SigSet::all().thread_block()?;
        let socket = UnixStream::from(rustix::stdio::stdin().try_clone_to_owned()?);
        // The gateway must be able to see this end close.
        let closed = fs::File::open("/dev/null")?;
        rustix::stdio::dup2_stdin(&closed)?;
        Ok(Self { socket, homes, guarded: Vec::new() })
    }

    fn serve(mut self) -> io::Result<()> {
        while let Ok(Some((request, descriptors))) = handover::receive::<Request>(&self.socket) {
            let unclean = match request {
                Request::Guard { block, before } => {
                    self.guarded.push((block, descriptors));
                    if !before {
                        self.end_all_in(block);
                    }
                    Vec::new()
                }
                Request::Kill(uid) => {
                    self.kill(uid)?;
                    Vec::new()
                }
                Request::Find(homes) => {
                    let homes: HashSet<PathBuf> = homes.into_iter().collect();
                    end_marked(|mark| homes.contains(mark));
                    Vec::new()
                }
                Request::Inspect(uids) => self.inspect(&uids),
            };
            handover::send(&self.socket, &unclean, &[])?;
        }
        let blocks: Vec<UidRange> = self.guarded.iter().map(|(block, _)| *block).collect();
        blocks.into_iter().for_each(|block| self.end_all_in(block));
        end_marked(|mark| mark.starts_with(&self.homes));
        Ok(())
    }

    /// Ends every process of this id at once: the kernel goes through all of them in one step, in which
    /// none can fork.
    ///
    /// For that moment this process acts as that user. It keeps a real and a saved id that the user does
    /// not have, so it cannot be killed by what it kills.
    fn kill(&self, uid: u32) -> io::Result<()> {
        let Some((own, _)) = self.guarded.first() else { return Ok(()) };
        if !self.guarded.iter().any(|(block, _)| block.contains(uid) && uid != block.first) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let id = Uid::from_raw;
        rustix::thread::set_thread_res_uid(id(own.first), id(uid), id(0))?;
        // On hosts where a change of user leaves capabilities, this would end everything there is.
        if rustix::thread::capabilities(None)?.effective.contains(CapabilitySet::KILL) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let killed =
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(-1), nix::sys::signal::Signal::SIGKILL);
        // Whoever cannot come back must not go on.
        rustix::thread::set_thread_res_uid(id(0), id(0), id(0))?;
        match killed {
            Ok(()) | Err(nix::errno::Errno::ESRCH | nix::errno::Errno::EPERM) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn end_all_in(&self, block: UidRange) {
        for _ in 0..MAX_PASSES {
            let found: BTreeSet<u32> = processes::all()
                .flat_map(|process| process.uids)
                .filter(|uid| block.contains(*uid) && *uid != block.first)
                .collect();
            if found.is_empty() {
                return;
            }
            found.into_iter().for_each(|uid| drop(self.kill(uid)));
            std::thread::yield_now();
        }
    }

    /// What is left of these ids. Processes are ended, files removed; what can only be waited for makes an
    /// id unclean.
    fn inspect(&self, uids: &[u32]) -> Vec<u32> {
        let asked: HashSet<u32> = uids.iter().copied().collect();
        let mut unclean: HashSet<u32> =
            processes::all().flat_map(|Owned { uids, .. }| uids).filter(|uid| asked.contains(uid)).collect();
        unclean.iter().for_each(|uid| drop(self.kill(*uid)));
        unclean.extend(IPC_TABLES.iter().flat_map(|table| owners(table)).filter(|uid| asked.contains(uid)));
        for entry in SHARED_PLACES.iter().chain(&FURTHER_PLACES).flat_map(fs::read_dir).flatten().flatten() {
            let owner = entry.path().symlink_metadata().map(|found| found.uid());
            if let Ok(uid) = owner
                && asked.contains(&uid)
                && tree::remove(&entry.path()).is_err()
            {
                unclean.insert(uid);
            }
        }
        unclean.into_iter().collect()
    }
}

/// The ids in a table's column `uid`.
fn owners(table: &str) -> Vec<u32> {
    let text = fs::read_to_string(table).unwrap_or_default();
    let mut lines = text.lines().map(str::split_whitespace);
    let column = lines.next().and_then(|mut titles| titles.position(|title| title == "uid"));
    let Some(column) = column else { return Vec::new() };
    lines.filter_map(|mut line| line.nth(column)?.parse().ok()).collect()
}

/// Ends the processes whose mark is one of those meant, until no more are found.
fn end_marked(meant: impl Fn(&Path) -> bool) {
    let mine = std::process::id();
    for _ in 0..MAX_PASSES {
        let mut found = false;
        for pid in processes::pids().filter(|pid| pid.unsigned_abs() != mine) {
            found |= end_if(pid, &meant).unwrap_or(false);
        }
        if !found {
            return;
        }
        std::thread::yield_now();
    }
}

fn end_if(pid: i32, meant: &impl Fn(&Path) -> bool) -> Option<bool> {
    if !meant(&mark(pid)?) {
        return None;
    }
    let pidfd = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    // The number may have become another's in between; that one's mark decides, and the descriptor is sure.
    if !meant(&mark(pid)?) {
        return None;
    }
    pidfd_send_signal(pidfd.as_fd(), Signal::KILL).ok()?;
    Some(true)
}
