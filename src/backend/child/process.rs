//! One child process, from launch until nothing of it is left.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Signal;
use tokio::io::AsyncReadExt;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::super::aside::STARTS;
use super::super::sandbox::{Confined, Confinement, MARK, Sandbox, Share};
use super::super::templates::Provisions;
use super::containers::{Container, Containers};
use super::failed::StartFailed;
use super::home::{Home, Site};
use super::launcher::{Orders, Report, Stage};
use super::leader::Leader;
use super::spawner::{Spawned, Spawner};
use super::stderr::Tail;
use crate::catalog::{Launch, Recipe};
use crate::lifecycle::Lifecycle;

/// The owner of a child process and all that belongs to it. Call [`Process::stop`] in the end; dropping
/// it kills at once, for the case of a panic or a cancelled start.
#[derive(Debug)]
pub(in crate::backend) struct Process {
    /// First, so that it is killed before its directory goes.
    leader: Leader,
    ended: AsyncFd<Arc<OwnedFd>>,
    /// Then everything that has escaped from its group.
    confined: Confined,
    /// What the leader is only the client of.
    container: Option<Container>,
    home: Home,
    tail: Tail,
    /// Reads stderr for as long as somebody may ask for its end.
    stderr: AbortOnDropHandle<()>,
}

/// What every child is started and ended with.
#[derive(Debug)]
pub(in crate::backend) struct Equipment {
    pub(in crate::backend) spawner: Spawner,
    pub(in crate::backend) sandbox: Sandbox,
    pub(in crate::backend) containers: Containers,
    pub(in crate::backend) lifecycle: Lifecycle,
}

/// How long the last words may take.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// What of a command's stderr is logged that has nobody else to tell.
const LAST_LINES: usize = 16;

/// A child whose command runs, with its pipes.
#[derive(Debug)]
pub(in crate::backend) struct Standard {
    pub(in crate::backend) process: Process,
    pub(in crate::backend) stdin: OwnedFd,
    pub(in crate::backend) stdout: OwnedFd,
    /// What the command was found to need to read.
    pub(in crate::backend) needed: Arc<[PathBuf]>,
}

/// What a child stands on: all that must be there before it starts.
struct Ground {
    site: Site,
    share: Share,
    provisions: Provisions,
}

/// What is left of a child once none of its processes is: its directory, and the right to its user id,
/// which rests once nothing is that user's any more.
#[derive(Debug)]
pub(in crate::backend) struct Remains {
    pub(in crate::backend) exit: Exit,
    pub(in crate::backend) home: Home,
    pub(in crate::backend) confined: Confined,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
    /// It was a remote server, which is out of reach or has ended the conversation.
    Lost,
    /// Nobody can tell.
    Unknown,
}

/// Longer than any launch takes on a host that works.
const LAUNCH_TIMEOUT: Duration = Duration::from_secs(20);
/// From SIGKILL until a process is given up on: it can only be waiting for a disk or a driver.
const KILL_TIMEOUT: Duration = Duration::from_secs(1);

/// What every child has of the gateway's environment: nothing but where programs are found.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Process {
    pub(in crate::backend) async fn start(
        equipment: &Equipment,
        plan: &Launch,
        site: Site,
        provisions: Provisions,
    ) -> Result<Standard, StartFailed> {
        let (stdin, our_stdin) = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
        let (our_stdout, stdout) = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
        let (our_stderr, stderr) = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
        let search = search_path();
        let needed = equipment.sandbox.needed(plan, &search).await;
        let (share, confinement) = equipment.sandbox.share(plan, site.path(), &needed).await?;
        let mut orders = orders(plan, site.path(), &search, confinement);
        let container = equipment.containers.expect(plan, site.path())?;
        container.iter().for_each(|container| container.adapt(&mut orders));
        let ground = Ground { site, share, provisions };
        let (Spawned { leader, control }, (home, confined)) =
            ground.launch(&equipment.spawner, orders, [stdin, stdout, stderr]).await?;
        let tail = Tail::default();
        let stderr = pipe::Receiver::from_owned_fd(our_stderr)?;
        let process = Self {
            ended: watch(leader.pidfd())?,
            leader,
            confined,
            container,
            home,
            stderr: equipment.lifecycle.spawn_bound(tail.clone().follow(stderr)),
            tail,
        };
        let barrier = || equipment.sandbox.barrier(plan, &search);
        launched(control).await.map_err(|failed| failed.barred(barrier))?;
        Ok(Standard { process, stdin: our_stdin, stdout: our_stdout, needed })
    }

    /// Watches the process from the runtime of whoever has it now.
    pub(in crate::backend) fn moved(self) -> io::Result<Self> {
        Ok(Self { ended: watch(self.ended.into_inner())?, ..self })
    }

    /// Tells the processor time that the leader has had so far, in nanoseconds; `None` once that is not known.
    pub(in crate::backend) fn processor_time(&self) -> impl Fn() -> Option<u64> + Send + use<> {
        let path = self.leader.schedstat();
        move || std::fs::read_to_string(&path).ok()?.split(' ').next()?.parse().ok()
    }

    /// The leader's number.
    pub(in crate::backend) fn number(&self) -> u32 {
        self.leader.number()
    }

    /// Resolves once the leader has ended, without reaping it: its number and its group stay ours.
    pub(in crate::backend) async fn exited(&self) -> Exit {
        match self.ended.readable().await {
            Ok(_) => self.leader.peek(),
            Err(_) => Exit::Unknown,
        }
    }

    /// Waits a moment for what a child that has ended wrote last. To be called once.
    pub(in crate::backend) async fn hear_out(&mut self) {
        let _ = timeout(LAST_WORDS, &mut self.stderr).await;
    }

    /// The last line on stderr that says something.
    pub(in crate::backend) fn last_words(&self, conceal: impl Fn(&str) -> String) -> Option<String> {
        self.tail.last_line(conceal)
    }

    /// The last lines on stderr, for the operator: package runners say what is wrong first and much after it.
    pub(in crate::backend) fn last_lines(&self, conceal: impl Fn(&str) -> String) -> Vec<String> {
        self.tail.last_lines(LAST_LINES, conceal)
    }

    /// Ends the process group and everything that belongs to the session. The caller has closed stdin
    /// already.
    ///
    /// Waits `eof` for the leader to end by itself, `term` after SIGTERM, then SIGKILL, to whatever has left
    /// the group as well. The leader is reaped last, because until then the group's number cannot be given
    /// to anybody else.
    pub(in crate::backend) async fn stop(self, eof: Duration, term: Duration) -> Exit {
        let Some(Remains { exit, home, confined }) = self.end(eof, term).await else { return Exit::Unknown };
        home.remove().await;
        // Its user id rests from now on.
        drop(confined);
        exit
    }

    /// As [`Self::stop`], for who has a use for what is left. `None` if it does not end.
    pub(in crate::backend) async fn end(self, eof: Duration, term: Duration) -> Option<Remains> {
        let mut gone = timeout(eof, self.exited()).await.is_ok();
        if !gone {
            self.leader.signal(Signal::TERM);
            gone = timeout(term, self.exited()).await.is_ok();
        }
        self.leader.signal(Signal::KILL);
        if !gone && timeout(KILL_TIMEOUT, self.exited()).await.is_err() {
            tracing::error!("a killed process does not end; it is left to the kernel");
            return None;
        }
        let Self { leader, ended, mut confined, container, home, .. } = self;
        confined.sweep().await;
        drop(ended);
        let exit = leader.reap();
        if let Some(container) = container {
            container.remove(exit).await;
        }
        Some(Remains { exit, home, confined })
    }
}

impl Ground {
    /// Lays it and starts a launcher on it. If there is much to give, others need not wait for that.
    async fn launch(
        self,
        spawner: &Spawner,
        mut orders: Orders,
        descriptors: [OwnedFd; 3],
    ) -> io::Result<(Spawned, (Home, Confined))> {
        if !self.provisions.is_some() {
            return spawner.spawn(orders, descriptors, |orders| self.lay(orders)).await;
        }
        let laid = STARTS.until_done(move || self.lay(&mut orders).map(|laid| (orders, laid))).await;
        let (orders, laid) = laid.unwrap_or_else(|| Err(io::Error::other("the packages were not given")))?;
        spawner.spawn(orders, descriptors, |_| Ok(laid)).await
    }

    /// Blocks.
    fn lay(self, orders: &mut Orders) -> io::Result<(Home, Confined)> {
        let home = self.site.build()?;
        let confined = self.share.make(&mut orders.confinement)?;
        self.provisions.give(home.path(), confined.uid())?;
        Ok((home, confined))
    }
}

/// Where programs are found.
pub(in crate::backend) fn search_path() -> String {
    std::env::var("PATH").unwrap_or_else(|_| DEFAULT_PATH.into())
}

#[expect(
    deprecated,
    reason = "its successor is unsafe; a pidfd that we own and never replace meets its conditions"
)]
pub(super) fn watch(pidfd: Arc<OwnedFd>) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    AsyncFd::new(pidfd)
}

/// Waits until the launcher has become the command.
pub(super) async fn launched(control: StdUnixStream) -> Result<(), StartFailed> {
    control.set_nonblocking(true)?;
    let mut control = UnixStream::from_std(control)?;
    let mut text = Vec::new();
    match timeout(LAUNCH_TIMEOUT, control.read_to_end(&mut text)).await {
        Ok(Ok(_)) => {}
        Ok(Err(_)) | Err(_) => return Err(StartFailed::Silent),
    }
    let outcome = Report::outcome(&text).ok_or(StartFailed::Silent)?;
    outcome.map_err(|(step, error)| StartFailed::Step { step, error })
}

fn orders(plan: &Launch, home: &Path, search: &str, confinement: Confinement) -> Orders {
    let private = home.to_string_lossy();
    let base =
        [("PATH", search), ("HOME", &private), ("TMPDIR", &private), ("LANG", "C.UTF-8"), (MARK, &private)];
    let mut environment: Vec<(String, String)> =
        base.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let offline = plan.recipe().filter(|_| confinement.no_network).map(Recipe::offline);
    environment.extend(offline.map(|(name, value)| (name.to_owned(), value.to_owned())));
    environment.extend(plan.environment().map(|(name, value)| (name.clone(), value.clone())));
    Orders {
        stage: Stage::Leader,
        program: plan.program().clone(),
        argv: plan.argv().to_vec(),
        environment,
        home: home.to_owned(),
        parent: rustix::process::getpid().as_raw_nonzero().get(),
        confinement,
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exited with status {status}"),
            Self::Signal(signal) => write!(f, "was killed by signal {signal}"),
            Self::Lost => f.write_str("was lost"),
            Self::Unknown => f.write_str("ended"),
        }
    }
}
