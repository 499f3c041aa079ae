//! The one thread that spawns. The parent-death signal follows the spawning thread, not the process, so
//! that thread must live as long as the gateway; and the kernel keeps children by thread, so the orphans
//! that the main thread adopts are never mistaken for these.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::sync::oneshot;

use super::super::sandbox::Confinement;
use super::super::unprepared::Unprepared;
use super::init::SIGNALLED;
use super::launcher::{self, Orders, Report, Step};
use super::leader::Leader;
use super::process::Exit;
use super::standby::Standby;

/// Hands jobs to the spawning thread.
#[derive(Clone, Debug)]
pub(in crate::backend) struct Spawner {
    jobs: SyncSender<Job>,
    roster: Roster,
}

/// The leaders that have not been reaped: each one's process group is its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Roster(Arc<Mutex<HashSet<Pid>>>);

/// A launcher that runs.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) leader: Leader,
    /// Where the launcher reports; closes when it has become the command.
    pub(super) control: UnixStream,
}

type Job = Box<dyn FnOnce(&mut Standby) + Send>;

/// What came of a rehearsal that failed.
#[derive(Debug, thiserror::Error)]
pub enum Unrehearsed {
    /// The launcher could not take this step.
    #[error("{1} (step {0:?})")]
    Step(Step, io::Error),
    /// A filter that was there before us ended the launcher for what it tried, as those of systemd do.
    #[error("a filter of system calls that the gateway was started with forbids it")]
    Filtered,
    /// It never came to that, or not to an end.
    #[error(transparent)]
    Host(#[from] io::Error),
}

/// How a launcher ends that a filter kills, or whose successor it does.
const FILTERED: [Exit; 2] =
    [Exit::Signal(Signal::SYS.as_raw()), Exit::Status(SIGNALLED as i32 + Signal::SYS.as_raw())];

/// Jobs that wait; each takes well under a millisecond.
const MAX_JOBS: usize = 64;

impl Spawner {
    pub(in crate::backend) fn start() -> Result<Self, Unprepared> {
        let (jobs, inbox) = sync_channel(MAX_JOBS);
        let roster = Roster::default();
        let standby = Standby::new(roster.clone());
        std::thread::Builder::new()
            .name("spawner".into())
            .spawn(move || run(&inbox, standby))
            .map_err(Unprepared::Thread)?;
        Ok(Self { jobs, roster })
    }

    /// Has a launcher stand by from now on, so that whoever comes need not wait until one has started.
    pub(in crate::backend) fn stand_by(&self) {
        // Too busy for that is too busy for sessions, and only they are told.
        let _ = self.jobs.try_send(Box::new(Standby::keep));
    }

    /// Starts a launcher with these descriptors as its 0, 1 and 2 to be. What it needs is made right before, on
    /// the same thread: it takes a moment, in which who waits serves others.
    pub(super) async fn spawn<T: Send + 'static>(
        &self,
        orders: Orders,
        descriptors: [OwnedFd; 3],
        made: impl FnOnce(&mut Orders) -> io::Result<T> + Send + 'static,
    ) -> io::Result<(Spawned, T)> {
        let answer = self.order(orders, descriptors, made)?;
        answer.await.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?
    }

    /// Confines a process that then does nothing, to see whether that can be done. Blocks meanwhile.
    pub(in crate::backend) fn rehearse(
        &self,
        home: &Path,
        confinement: Confinement,
    ) -> Result<(), Unrehearsed> {
        let nothing = || File::options().read(true).write(true).open("/dev/null").map(OwnedFd::from);
        let orders = Orders::rehearsal(home.to_owned(), confinement);
        let descriptors = [nothing()?, nothing()?, nothing()?];
        let answer = self.order(orders, descriptors, |_| Ok(()))?;
        let (Spawned { leader, mut control }, ()) = answer.blocking_recv().map_err(io::Error::other)??;
        let mut text = Vec::new();
        control.read_to_end(&mut text)?;
        let exit = leader.outlive();
        match Report::outcome(&text) {
            Some(outcome) => outcome.map_err(|(step, error)| Unrehearsed::Step(step, error)),
            None if FILTERED.contains(&exit) => Err(Unrehearsed::Filtered),
            None => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }

    fn order<T: Send + 'static>(
        &self,
        mut orders: Orders,
        descriptors: [OwnedFd; 3],
        made: impl FnOnce(&mut Orders) -> io::Result<T> + Send + 'static,
    ) -> io::Result<oneshot::Receiver<io::Result<(Spawned, T)>>> {
        let (reply, answer) = oneshot::channel();
        let job = move |standby: &mut Standby| {
            if reply.is_closed() {
                return;
            }
            let made = made(&mut orders);
            let spawned = made.and_then(|made| Ok((standby.launch(&orders, &descriptors)?, made)));
            // If nobody waits for it any more, it ends as it is dropped.
            let _ = reply.send(spawned);
        };
        self.jobs.try_send(Box::new(job)).map_err(|_| io::Error::from(io::ErrorKind::WouldBlock))?;
        Ok(answer)
    }

    /// Kills every process group that is left.
    pub(in crate::backend) fn kill_all(&self) {
        self.roster.lock(|pids| {
            for pid in pids.iter() {
                let _ = kill_process_group(*pid, Signal::KILL);
            }
        });
    }
}

impl Roster {
    pub(super) fn add(&self, pid: Pid) {
        self.lock(|pids| pids.insert(pid));
    }

    /// Before the leader is reaped: from then on its number may be somebody else's.
    pub(super) fn remove(&self, pid: Pid) {
        self.lock(|pids| pids.remove(&pid));
    }

    fn lock<T>(&self, with: impl FnOnce(&mut HashSet<Pid>) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Spawned {
    /// Starts a launcher, which waits for its orders. Until it has them it is in our own process group.
    pub(super) fn start(roster: &Roster) -> io::Result<Self> {
        let (control, theirs) = UnixStream::pair()?;
        let child = launcher::start(theirs)?;
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).inspect_err(|_| abandon(pid))?;
        Ok(Self { leader: Leader::new(pid, pidfd, roster.clone()), control })
    }

    pub(super) fn instruct(&self, orders: &Orders, descriptors: &[OwnedFd; 3]) -> io::Result<()> {
        launcher::instruct(&self.control, orders, descriptors, None)
    }
}

fn run(inbox: &Receiver<Job>, mut standby: Standby) {
    // All children would end with this thread, so it outlives a panic.
    let mut survive = |work: Job| drop(catch_unwind(AssertUnwindSafe(|| work(&mut standby))));
    loop {
        let job = match inbox.try_recv() {
            Err(TryRecvError::Empty) => {
                // Nobody waits.
                survive(Box::new(Standby::renew));
                inbox.recv().ok()
            }
            other => other.ok(),
        };
        let Some(job) = job else { return };
        survive(job);
    }
}

/// Out of descriptors: nothing can wait for this launcher, which waits for us.
fn abandon(pid: Pid) {
    let _ = rustix::process::kill_process(pid, Signal::KILL);
    let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
}
