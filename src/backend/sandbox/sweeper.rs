//! Ends everything that a session has left behind, wherever it has hidden.
//!
//! A process of our own does it, because whoever becomes a session's user for a moment must not be the
//! gateway. It also outlives a gateway that is killed, for as long as it takes to end what that has left.

mod duty;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

pub use self::duty::{is_sweeper, sweep};

use super::super::handover;
use crate::settings::UidRange;

/// The gateway's end of the sweeper.
#[derive(Clone, Debug)]
pub(in crate::backend) struct Sweeper {
    jobs: SyncSender<Job>,
}

#[derive(Debug)]
struct Job {
    request: Request,
    lock: Option<OwnedFd>,
    reply: Reply,
}

type Reply = oneshot::Sender<io::Result<Vec<u32>>>;

/// What the sweeper is asked to do. It answers with the ids that are not clean.
#[derive(Debug, Deserialize, Serialize)]
enum Request {
    /// These ids belong to this gateway now, and their lock comes along. The first is the sweeper's own.
    /// Whatever still uses them is to be ended, unless this gateway has had them before.
    Guard { block: UidRange, before: bool },
    /// End every process of this id.
    Kill(u32),
    /// End every process that was started in one of these private directories.
    Find(Vec<PathBuf>),
    /// See whether anything is left of these ids, and end it.
    Inspect(Vec<u32>),
}

/// Jobs that wait; each takes well under a millisecond, unless it must look through all processes.
const MAX_JOBS: usize = 4096;
/// The argument that makes our binary a sweeper.
const ARGUMENT: &str = "__sweep";

impl Sweeper {
    /// Starts the process, which ends what is under `homes` when the gateway is gone.
    pub(super) fn start(homes: PathBuf) -> io::Result<Self> {
        let (jobs, inbox) = sync_channel(MAX_JOBS);
        let (started, outcome) = sync_channel(1);
        // A child of that thread: the main thread reaps what it finds among its own.
        std::thread::Builder::new().name("sweeper".into()).spawn(move || {
            let broom = Broom::start(homes);
            let (broom, outcome) = match broom {
                Ok(broom) => (Some(broom), Ok(())),
                Err(error) => (None, Err(error)),
            };
            let _ = started.send(outcome);
            broom.into_iter().for_each(|mut broom| broom.run(&inbox));
        })?;
        outcome.recv().map_err(io::Error::other)??;
        Ok(Self { jobs })
    }

    /// Ends every process of this id, before it comes back.
    pub(super) async fn kill(&self, uid: u32) -> io::Result<()> {
        self.ask(Request::Kill(uid), None).await.map(drop)
    }

    /// Ends every process that was started in this private directory.
    pub(super) async fn find(&self, home: PathBuf) -> io::Result<()> {
        self.ask(Request::Find(vec![home]), None).await.map(drop)
    }

    /// As [`Self::kill`] and [`Self::find`], for who cannot wait.
    pub(super) fn later(&self, uid: Option<u32>, home: PathBuf) {
        let request = uid.map_or(Request::Find(vec![home]), Request::Kill);
        let _ = self.jobs.try_send(Job { request, lock: None, reply: oneshot::channel().0 });
    }

    /// Those of the ids that something is left of.
    pub(super) async fn inspect(&self, uids: Vec<u32>) -> io::Result<Vec<u32>> {
        self.ask(Request::Inspect(uids), None).await
    }

    /// Takes over ids that may have been somebody else's.
    pub(super) async fn guard(&self, block: UidRange, lock: BorrowedFd<'_>) -> io::Result<()> {
        let request = Request::Guard { block, before: false };
        self.ask(request, Some(lock.try_clone_to_owned()?)).await.map(drop)
    }

    /// As [`Self::guard`], before there is a runtime.
    pub(super) fn guard_now(&self, block: UidRange, lock: &impl AsFd) -> io::Result<()> {
        let lock = lock.as_fd().try_clone_to_owned()?;
        let answer = self.send(Request::Guard { block, before: false }, Some(lock))?;
        answer.blocking_recv().map_err(io::Error::other)?.map(drop)
    }

    async fn ask(&self, request: Request, lock: Option<OwnedFd>) -> io::Result<Vec<u32>> {
        self.send(request, lock)?.await.map_err(io::Error::other)?
    }

    fn send(
        &self,
        request: Request,
        lock: Option<OwnedFd>,
    ) -> io::Result<oneshot::Receiver<io::Result<Vec<u32>>>> {
        let (reply, answer) = oneshot::channel();
        let full = |_| io::Error::from(io::ErrorKind::WouldBlock);
        self.jobs.try_send(Job { request, lock, reply }).map_err(full)?;
        Ok(answer)
    }
}

/// The process, and what it must be told again if it has to be replaced.
struct Broom {
    child: Child,
    socket: UnixStream,
    homes: PathBuf,
    guarded: Vec<(UidRange, OwnedFd)>,
}

impl Broom {
    fn start(homes: PathBuf) -> io::Result<Self> {
        let (socket, child) = spawn(&homes)?;
        Ok(Self { child, socket, homes, guarded: Vec::new() })
    }

    /// Until the gateway has gone; then the process, which sees its socket close, is waited for.
    fn run(&mut self, inbox: &Receiver<Job>) {
        let mut next = None;
        while let Some(Job { mut request, lock, reply }) = next.take().or_else(|| inbox.recv().ok()) {
            let mut alike = Vec::new();
            if let Request::Find(homes) = &mut request {
                next = gather(inbox, homes, &mut alike);
            }
            let answer = self.ask(&request, lock.as_ref()).or_else(|error| {
                tracing::error!(%error, "the sweeper is gone; starting another");
                self.replace()?;
                self.ask(&request, lock.as_ref())
            });
            if let (Request::Guard { block, .. }, Some(lock)) = (request, lock) {
                self.guarded.push((block, lock));
            }
            for reply in alike {
                let _ = reply.send(answer.as_ref().map(Vec::clone).map_err(|error| error.kind().into()));
            }
            let _ = reply.send(answer);
        }
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        let _ = self.child.wait();
    }

    fn ask(&mut self, request: &Request, lock: Option<&OwnedFd>) -> io::Result<Vec<u32>> {
        let lock: Vec<BorrowedFd<'_>> = lock.iter().map(|lock| lock.as_fd()).collect();
        handover::send(&self.socket, request, &lock)?;
        match handover::receive(&self.socket)? {
            Some((unclean, _)) => Ok(unclean),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn replace(&mut self) -> io::Result<()> {
        let _ = self.child.kill();
        let _ = self.child.wait();
        (self.socket, self.child) = spawn(&self.homes)?;
        let guarded = std::mem::take(&mut self.guarded);
        guarded.iter().try_for_each(|(block, lock)| {
            self.ask(&Request::Guard { block: *block, before: true }, Some(lock)).map(drop)
        })?;
        self.guarded = guarded;
        Ok(())
    }
}

/// All searches that wait: looking through every process once does for many. Also the first job that is
/// something else.
fn gather(inbox: &Receiver<Job>, homes: &mut Vec<PathBuf>, alike: &mut Vec<Reply>) -> Option<Job> {
    while let Ok(job) = inbox.try_recv() {
        match job {
            Job { request: Request::Find(more), reply, .. } => {
                homes.extend(more);
                alike.push(reply);
            }
            other => return Some(other),
        }
    }
    None
}

fn spawn(homes: &PathBuf) -> io::Result<(UnixStream, Child)> {
    let (socket, theirs) = UnixStream::pair()?;
    let child = Command::new("/proc/self/exe")
        .arg0("lockgate")
        .arg(ARGUMENT)
        .arg(homes)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok((socket, child))
}
