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
use std::time::Duration;

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

/// What the sweeper is asked to do.
#[derive(Debug, Deserialize, Serialize)]
enum Request {
    /// These ids belong to this gateway now, and their lock comes along. The first is the sweeper's own.
    /// Whatever still uses them of a gateway that is no more is to be ended. Refused if somebody else uses them.
    Guard(UidRange),
    /// The same for a sweeper that takes another's place: this gateway's sessions have been using them.
    Inherit(UidRange),
    /// The lock comes along of ids that a dead gateway has used. Whatever still uses them is to be ended.
    Clear,
    /// End every process of this id.
    Kill(u32),
    /// End every process that was started in one of these directories, or below.
    Find(Vec<PathBuf>),
    /// See whether anything is left of these ids, and end it.
    Inspect(Vec<u32>),
}

/// The ids that are not clean.
type Answer = Result<Vec<u32>, Refused>;

/// The number of the error that came of a request.
#[derive(Debug, Deserialize, Serialize)]
struct Refused(i32);

/// Jobs that wait; each takes well under a millisecond, unless it must look through all processes.
const MAX_JOBS: usize = 4096;
/// A sweeper that takes longer hangs, in a file system for one, and is replaced.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
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

    /// As [`Self::kill`], before there is a runtime.
    pub(super) fn kill_now(&self, uid: u32) -> io::Result<()> {
        self.ask_now(Request::Kill(uid), None).map(drop)
    }

    /// Ends every process that was started in this private directory.
    pub(super) async fn find(&self, home: PathBuf) -> io::Result<()> {
        self.ask(Request::Find(vec![home]), None).await.map(drop)
    }

    /// As [`Self::find`], for all that have their private directories in one of these, and before there is a
    /// runtime.
    pub(super) fn find_now(&self, roots: Vec<PathBuf>) -> io::Result<()> {
        if roots.is_empty() {
            return Ok(());
        }
        self.ask_now(Request::Find(roots), None).map(drop)
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

    /// Takes over ids that may have been somebody else's. Comes back with those that still were.
    pub(super) async fn guard(&self, block: UidRange, lock: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
        self.ask(Request::Guard(block), Some(lock.try_clone_to_owned()?)).await
    }

    /// As [`Self::guard`], before there is a runtime.
    pub(super) fn guard_now(&self, block: UidRange, lock: &impl AsFd) -> io::Result<Vec<u32>> {
        let lock = lock.as_fd().try_clone_to_owned()?;
        self.ask_now(Request::Guard(block), Some(lock))
    }

    /// Ends what uses the ids of a dead gateway, which their lock file tells.
    pub(super) fn clear_now(&self, lock: &impl AsFd) -> io::Result<()> {
        self.ask_now(Request::Clear, Some(lock.as_fd().try_clone_to_owned()?)).map(drop)
    }

    fn ask_now(&self, request: Request, lock: Option<OwnedFd>) -> io::Result<Vec<u32>> {
        self.send(request, lock)?.blocking_recv().map_err(io::Error::other)?
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
            if let (Request::Guard(block), Some(lock), Ok(Ok(_))) = (request, lock, &answer) {
                self.guarded.push((block, lock));
            }
            for reply in alike.into_iter().chain([reply]) {
                let _ = reply.send(match &answer {
                    Ok(Ok(unclean)) => Ok(unclean.clone()),
                    Ok(Err(Refused(errno))) => Err(io::Error::from_raw_os_error(*errno)),
                    Err(error) => Err(error.kind().into()),
                });
            }
        }
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        let _ = self.child.wait();
    }

    /// Fails if there is no answer.
    fn ask(&mut self, request: &Request, lock: Option<&OwnedFd>) -> io::Result<Answer> {
        let lock: Vec<BorrowedFd<'_>> = lock.iter().map(|lock| lock.as_fd()).collect();
        handover::send(&self.socket, request, &lock)?;
        match handover::receive(&self.socket)? {
            Some((answer, _)) => Ok(answer),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn replace(&mut self) -> io::Result<()> {
        let _ = self.child.kill();
        let _ = self.child.wait();
        (self.socket, self.child) = spawn(&self.homes)?;
        let guarded = std::mem::take(&mut self.guarded);
        let told = guarded.iter().try_for_each(|(block, lock)| {
            let guarded = self.ask(&Request::Inherit(*block), Some(lock))?;
            guarded.map(drop).map_err(|Refused(errno)| io::Error::from_raw_os_error(errno))
        });
        self.guarded = guarded;
        // One that knows less than we do is no use: whoever asks next has it replaced again.
        told.inspect_err(|_| drop(self.socket.shutdown(std::net::Shutdown::Both)))
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
    socket.set_read_timeout(Some(ANSWER_WITHIN))?;
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
