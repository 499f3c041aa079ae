//! The launcher: our own binary, started again as a fresh single-threaded process, which prepares itself
//! and then becomes the command.
//!
//! What it is to do comes over a socket on its stdin, together with the descriptors that the command is to
//! have: neither its arguments nor its environment hold anything (security.md section 3, traps b and d).
//! The socket closes at `exec`, which is how the gateway learns of success; before that, the launcher
//! reports the step that failed. No `pre_exec`, no `unsafe`: everything here is an ordinary call.

use std::io::{self, IoSliceMut, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{Resource, Rlimit, Signal};
use serde::{Deserialize, Serialize};

/// What the launcher is told.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Orders {
    /// The program, by absolute path.
    pub(super) program: PathBuf,
    /// Its arguments, its name first.
    pub(super) argv: Vec<String>,
    /// Its whole environment.
    pub(super) environment: Vec<(String, String)>,
    /// Its private directory.
    pub(super) home: PathBuf,
    /// The gateway's process id, to notice that it died before we could ask to be told.
    pub(super) parent: i32,
}

/// The steps in their order. Isolation (uid, cgroup, namespaces, Landlock) takes its place between
/// `Limits` and `Privileges`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Read the orders and take the descriptors.
    Orders,
    /// Become the leader of a session and process group of its own.
    Session,
    /// Set resource limits.
    Limits,
    /// Give up gaining privileges, ask to die with the gateway.
    Privileges,
    /// Close what was inherited.
    Descriptors,
    /// Enter the private directory.
    Directory,
    /// Become the command.
    Exec,
}

/// What the launcher reports.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) enum Report {
    /// The next thing is `exec`; if nothing follows, it worked.
    Ready,
    /// A step failed.
    Failed(Step, i32),
}

/// Descriptors that the command may have at once.
const MAX_DESCRIPTORS: u64 = 4096;
/// The argument that makes our binary a launcher.
pub(super) const ARGUMENT: &str = "__launch";
const EXIT_LAUNCH_FAILED: u8 = 126;

/// Whether this process was started to be a launcher.
pub fn is_launcher() -> bool {
    std::env::args_os().nth(1).is_some_and(|argument| argument == ARGUMENT)
}

/// Runs as the launcher. Comes back only if the command could not be started.
pub fn launch() -> ExitCode {
    let Ok(control) = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3) else {
        return EXIT_LAUNCH_FAILED.into();
    };
    let mut control = std::os::unix::net::UnixStream::from(control);
    let (step, error) = match follow_orders(&mut control) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    let report = Report::Failed(step, error.raw_os_error().unwrap_or(0));
    let _ = report.write(&mut control);
    EXIT_LAUNCH_FAILED.into()
}

fn follow_orders(
    control: &mut std::os::unix::net::UnixStream,
) -> Result<std::convert::Infallible, (Step, io::Error)> {
    let at = |step| move |error: io::Error| (step, error);
    let orders = take_orders(control).map_err(at(Step::Orders))?;
    rustix::process::setsid().map_err(|e| (Step::Session, e.into()))?;
    limit().map_err(at(Step::Limits))?;
    bind_to(orders.parent).map_err(at(Step::Privileges))?;
    close_fds::set_fds_cloexec(3, &[]);
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    std::env::set_current_dir(&orders.home).map_err(at(Step::Directory))?;
    Report::Ready.write(control).map_err(at(Step::Exec))?;
    let mut command = Command::new(&orders.program);
    command.arg0(&orders.argv[0]).args(&orders.argv[1..]).env_clear().envs(orders.environment);
    // Resets the signal mask and SIGPIPE, too.
    Err((Step::Exec, command.exec()))
}

/// Reads the orders and puts the descriptors that come with them in place of 0, 1 and 2.
fn take_orders(control: &mut std::os::unix::net::UnixStream) -> io::Result<Orders> {
    let mut length = [0u8; 4];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received =
        recvmsg(&*control, &mut [IoSliceMut::new(&mut length)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let descriptors: Vec<OwnedFd> = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    let [stdin, stdout, stderr] =
        <[OwnedFd; 3]>::try_from(descriptors).map_err(|_| io::ErrorKind::InvalidData)?;
    control.read_exact(&mut length[received.bytes..])?;
    let mut text = vec![0; u32::from_be_bytes(length) as usize];
    control.read_exact(&mut text)?;
    rustix::stdio::dup2_stdin(stdin)?;
    rustix::stdio::dup2_stdout(stdout)?;
    rustix::stdio::dup2_stderr(stderr)?;
    let orders: Orders = serde_json::from_slice(&text)?;
    if orders.argv.is_empty() { Err(io::ErrorKind::InvalidData.into()) } else { Ok(orders) }
}

fn limit() -> io::Result<()> {
    let most = |n| Rlimit { current: Some(n), maximum: Some(n) };
    rustix::process::setrlimit(Resource::Core, most(0))?;
    let hard = rustix::process::getrlimit(Resource::Nofile).maximum.unwrap_or(MAX_DESCRIPTORS);
    rustix::process::setrlimit(Resource::Nofile, most(hard.min(MAX_DESCRIPTORS)))?;
    Ok(())
}

/// The kernel kills us when the gateway's spawning thread ends, which it does with the gateway. If that
/// has happened already, our parent has changed.
fn bind_to(parent: i32) -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    match rustix::process::getppid() {
        Some(pid) if pid.as_raw_nonzero().get() == parent => Ok(()),
        _ => Err(io::ErrorKind::NotConnected.into()),
    }
}

impl Report {
    fn write(&self, control: &mut impl Write) -> io::Result<()> {
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        control.write_all(&text)
    }

    /// The last report of a launcher whose socket has closed; `None` if it never got that far.
    pub(super) fn last(text: &[u8]) -> Option<Self> {
        text.split(|&b| b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).next_back()
    }
}
