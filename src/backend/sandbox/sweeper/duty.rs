//! What the sweeper's process does, until the gateway is gone and everything of it too.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::sys::signal::SigSet;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, Uid, pidfd_open, pidfd_send_signal};
use rustix::thread::CapabilitySet;

use super::{ARGUMENT, Answer, Refused, Request};
use crate::backend::sandbox::accounts::accounts;
use crate::backend::sandbox::namespaces::SHARED_PLACES;
use crate::backend::sandbox::processes::{self, Owned, mark};
use crate::backend::{handover, tree};
use crate::settings::UidRange;

/// How often everything is looked through at most, when what is found goes on making more.
const MAX_PASSES: usize = 100;
/// Of a lock file: two numbers.
const MAX_TEXT: usize = 32;
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
    /// As long as their locks are held, no other gateway takes the ids.
    guarded: Vec<(UidRange, Lock)>,
}

/// The lock file of a block of ids. It holds those that have been used and not been swept since.
struct Lock(fs::File);

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
            let lock = descriptors.into_iter().next().map(|lock| Lock(lock.into()));
            let answer: Answer = self.answer(request, lock).map_err(|error| Refused::of(&error));
            handover::send(&self.socket, &answer, &[])?;
        }
        for (block, lock) in &self.guarded {
            if end_all_in(*block, block.first).is_ok() {
                lock.mark_swept()?;
            }
        }
        end_marked(|mark| mark.starts_with(&self.homes));
        Ok(())
    }

    fn answer(&mut self, request: Request, lock: Option<Lock>) -> io::Result<Vec<u32>> {
        match (request, lock) {
            (Request::Guard(block), Some(_)) if self.guarded.iter().any(|(own, _)| *own == block) => {
                Ok(Vec::new())
            }
            (Request::Guard(block), Some(lock)) => {
                let found = take_over(block, &lock)?;
                self.keep(block, lock)?;
                Ok(found)
            }
            (Request::Inherit(block), Some(lock)) => {
                self.keep(block, lock)?;
                Ok(Vec::new())
            }
            (Request::Clear, Some(lock)) => {
                if let Some(last) = lock.unswept() {
                    end_all_in(last, self.own()?)?;
                }
                lock.mark_swept()?;
                Ok(Vec::new())
            }
            (Request::Guard(_) | Request::Inherit(_) | Request::Clear, None) => {
                Err(io::ErrorKind::InvalidInput.into())
            }
            (Request::Kill(uid), _) => {
                let is_ours = |block: &UidRange| block.contains(uid) && uid != block.first;
                if !self.guarded.iter().any(|(block, _)| is_ours(block)) {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
                kill(self.own()?, uid)?;
                Ok(Vec::new())
            }
            (Request::Find(homes), _) => {
                let homes: HashSet<&Path> = homes.iter().map(PathBuf::as_path).collect();
                end_marked(|mark| mark.ancestors().any(|place| homes.contains(place)));
                Ok(Vec::new())
            }
            (Request::Inspect(uids), _) => Ok(self.inspect(&uids)),
        }
    }

    fn keep(&mut self, block: UidRange, lock: Lock) -> io::Result<()> {
        lock.mark_used(block)?;
        self.guarded.push((block, lock));
        Ok(())
    }

    /// An id that no session has.
    fn own(&self) -> io::Result<u32> {
        let first = self.guarded.first().map(|(block, _)| block.first);
        first.ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    /// What is left of these ids. Processes are ended, files removed; what can only be waited for makes an
    /// id unclean.
    fn inspect(&self, uids: &[u32]) -> Vec<u32> {
        let asked: HashSet<u32> = uids.iter().copied().collect();
        let mut unclean: HashSet<u32> =
            processes::all().flat_map(|Owned { uids, .. }| uids).filter(|uid| asked.contains(uid)).collect();
        unclean.iter().for_each(|uid| drop(self.own().and_then(|own| kill(own, *uid))));
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

/// Ends what a gateway has left of these ids that is no more, and comes back with those that had something. Where
/// the file says that they were swept, whoever uses one is somebody else's, whose locks we do not see.
fn take_over(block: UidRange, lock: &Lock) -> io::Result<Vec<u32>> {
    let ended = lock.unswept().map_or(Ok(Vec::new()), |last| end_all_in(last, block.first))?;
    match users_of(block).next() {
        None => Ok(ended),
        Some(_) => Err(Errno::BUSY.into()),
    }
}

/// Ends every process of these ids, and comes back with those that had any. `own` is one that no session has.
fn end_all_in(block: UidRange, own: u32) -> io::Result<Vec<u32>> {
    // Whom the operator has given one of these since.
    let others: HashSet<u32> = accounts().into_iter().map(|account| account.id).collect();
    let mut ended = BTreeSet::new();
    for _ in 0..MAX_PASSES {
        let found: BTreeSet<u32> = users_of(block).filter(|uid| !others.contains(uid)).collect();
        if found.is_empty() {
            return Ok(ended.into_iter().collect());
        }
        found.iter().try_for_each(|uid| kill(own, *uid))?;
        ended.extend(found);
        std::thread::yield_now();
    }
    Err(Errno::TIMEDOUT.into())
}

/// Those of the ids that sessions may have which run something.
fn users_of(block: UidRange) -> impl Iterator<Item = u32> {
    let uids = processes::all().flat_map(|process| process.uids);
    uids.filter(move |uid| block.contains(*uid) && *uid != block.first)
}

impl Refused {
    fn of(error: &io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(nix::errno::Errno::EOPNOTSUPP as i32))
    }
}

impl Lock {
    /// What has been used, if it has not been swept since.
    fn unswept(&self) -> Option<UidRange> {
        let mut text = vec![0; MAX_TEXT];
        let length = self.0.read_at(&mut text, 0).ok()?;
        text.truncate(length);
        UidRange::try_from(String::from_utf8(text).ok()?).ok()
    }

    fn mark_used(&self, block: UidRange) -> io::Result<()> {
        self.mark_swept()?;
        self.0.write_all_at(block.to_string().as_bytes(), 0)
    }

    fn mark_swept(&self) -> io::Result<()> {
        self.0.set_len(0)
    }
}

/// Ends every process of this id at once: the kernel goes through all of them in one step, in which none can fork.
fn kill(own: u32, uid: u32) -> io::Result<()> {
    let thread = std::thread::Builder::new().spawn(move || kill_as(own, uid))?;
    thread.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
}

/// Ends every process of this id, as that user, on a thread that ends with it.
///
/// The thread keeps a real and a saved id that the user does not have, so it cannot be killed by what it kills.
/// All else that the user could do to it, such as giving it the lowest priority, goes with it.
fn kill_as(own: u32, uid: u32) -> io::Result<()> {
    let id = Uid::from_raw;
    rustix::thread::set_thread_res_uid(id(own), id(uid), id(own))?;
    // On hosts where a change of user leaves capabilities, this would end everything there is.
    if rustix::thread::capabilities(None)?.effective.contains(CapabilitySet::KILL) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    match nix::sys::signal::kill(nix::unistd::Pid::from_raw(-1), nix::sys::signal::Signal::SIGKILL) {
        // Nobody there is done.
        Ok(()) | Err(nix::errno::Errno::ESRCH | nix::errno::Errno::EPERM) => Ok(()),
        Err(error) => Err(error.into()),
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
