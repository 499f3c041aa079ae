//! The launcher: our own binary, started again as a fresh single-threaded process, which confines itself
//! and then becomes the command.
//!
//! What it is to do comes over a socket on its stdin, together with the descriptors that the command is to
//! have: neither its arguments nor its environment hold anything (security.md section 3, traps b and d).
//! The socket closes at `exec`, which is how the gateway learns of success; before that, the launcher
//! reports the step that failed. No `pre_exec`, no `unsafe`: everything here is an ordinary call.
//!
//! Where the session gets namespaces, it takes three launchers: the first leaves the host's, its child is the
//! first process of the new ones ([`Stage::Init`]), and only the child of that becomes the command.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use nix::sys::signal::SigSet;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::super::handover;
use super::super::sandbox::{Confinement, furnish, leave_host, leave_network};
use super::init;

/// What the launcher is told.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(in crate::backend) struct Orders {
    /// Which launcher it is.
    pub(in crate::backend) stage: Stage,
    /// The program, by absolute path.
    pub(in crate::backend) program: PathBuf,
    /// Its arguments, its name first.
    pub(in crate::backend) argv: Vec<String>,
    /// Its whole environment.
    pub(in crate::backend) environment: Vec<(String, String)>,
    /// Its private directory.
    pub(in crate::backend) home: PathBuf,
    /// Our parent's process id, to notice that it died before we could ask to be told. Zero if it is in
    /// another namespace.
    pub(in crate::backend) parent: i32,
    /// What it is kept from.
    pub(in crate::backend) confinement: Confinement,
}

/// Which of a session's launchers this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(in crate::backend) enum Stage {
    /// The one that the gateway starts: leader of a process group and session.
    Leader,
    /// The first process in namespaces of their own; it reaps what is left to it, and takes all with it when
    /// it ends.
    Init,
    /// The one that becomes the command.
    Command,
}

/// The steps in their order (security.md section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Read the orders and take the descriptors.
    Orders,
    /// Become the leader of a session and process group of its own.
    Session,
    /// Join the control groups.
    Groups,
    /// Set resource limits.
    Limits,
    /// Leave the host's namespaces and arrange the new ones.
    Namespaces,
    /// Open what may be touched.
    Files,
    /// Become the session's user.
    User,
    /// Give up privileges and gaining any, ask to die with the gateway.
    Privileges,
    /// Give up files and system calls.
    Rules,
    /// Close what was inherited.
    Descriptors,
    /// Enter the private directory.
    Directory,
    /// Become the command.
    Exec,
}

/// What the launcher reports.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(in crate::backend) enum Report {
    /// The next thing is `exec`; if nothing follows, it worked.
    Ready,
    /// A step failed.
    Failed(Step, i32),
}

/// Descriptors that the command will have, and the socket to report on.
type Descriptors = [OwnedFd; 3];

type Failed = (Step, io::Error);

/// The argument that makes our binary a launcher.
pub(super) const ARGUMENT: &str = "__launch";
/// What it is then told to become if nothing is to happen: a rehearsal.
const NOTHING: &str = "__nothing";
pub(super) const EXIT_LAUNCH_FAILED: u8 = 126;

/// Whether this process was started to be a launcher.
pub fn is_launcher() -> bool {
    std::env::args_os().nth(1).is_some_and(|argument| argument == ARGUMENT || argument == NOTHING)
}

/// Runs as the launcher. Comes back if the command could not be started, or has ended.
pub fn launch() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == NOTHING) {
        return ExitCode::SUCCESS;
    }
    let Ok((orders, descriptors, mut control)) = take_orders() else { return EXIT_LAUNCH_FAILED.into() };
    let outcome = match orders.stage {
        Stage::Leader => lead(orders, descriptors, &control),
        Stage::Init => begin(orders, descriptors, &control),
        Stage::Command => become_command(orders, descriptors, &mut control).map(|never| match never {}),
    };
    match outcome {
        Ok(successor) => {
            // From now on only the command holds it open.
            drop(control);
            successor.attend()
        }
        Err((step, error)) => {
            let report = Report::Failed(step, error.raw_os_error().unwrap_or(0));
            let _ = report.write(&mut control);
            EXIT_LAUNCH_FAILED.into()
        }
    }
}

/// The first launcher of a session.
fn lead(
    mut orders: Orders,
    descriptors: Descriptors,
    control: &UnixStream,
) -> Result<init::Successor, Failed> {
    rustix::process::setsid().map_err(|e| (Step::Session, e.into()))?;
    orders.confinement.join_groups().map_err(at(Step::Groups))?;
    orders.confinement.limit().map_err(at(Step::Limits))?;
    if orders.confinement.no_network {
        leave_network().map_err(at(Step::Namespaces))?;
    }
    if !orders.confinement.namespaces {
        return become_command(orders, descriptors, &mut control.try_clone().map_err(at(Step::Orders))?)
            .map(|never| match never {});
    }
    die_with(orders.parent).map_err(at(Step::Privileges))?;
    leave_host().map_err(at(Step::Namespaces))?;
    orders.stage = Stage::Init;
    orders.parent = 0;
    init::Successor::start(&orders, descriptors, control).map_err(at(Step::Namespaces))
}

/// The first process of new namespaces.
fn begin(
    mut orders: Orders,
    descriptors: Descriptors,
    control: &UnixStream,
) -> Result<init::Successor, Failed> {
    die_with(orders.parent).map_err(at(Step::Privileges))?;
    let (readable, writable) = (orders.confinement.readable(), orders.confinement.writable());
    furnish(&orders.home, readable, writable).map_err(at(Step::Namespaces))?;
    orders.stage = Stage::Command;
    orders.parent = rustix::process::getpid().as_raw_nonzero().get();
    init::Successor::start(&orders, descriptors, control).map_err(at(Step::Namespaces))
}

fn become_command(
    orders: Orders,
    descriptors: Descriptors,
    control: &mut UnixStream,
) -> Result<Infallible, Failed> {
    let Orders { program, argv, environment, home, parent, confinement, .. } = orders;
    let files = confinement.files.as_ref().map(|files| files.prepare());
    let rules = files.transpose().map_err(at(Step::Files))?;
    confinement.become_user().map_err(at(Step::User))?;
    rustix::thread::set_no_new_privs(true).map_err(|e| (Step::Privileges, e.into()))?;
    // After the change of user, which forgets it.
    die_with(parent).map_err(at(Step::Privileges))?;
    confinement.give_up_power().map_err(at(Step::Privileges))?;
    rules.map_or(Ok(()), |rules| rules.enforce()).map_err(at(Step::Rules))?;
    confinement.denied.map_or(Ok(()), |denied| denied.enforce()).map_err(at(Step::Rules))?;
    let [stdin, stdout, stderr] = descriptors;
    rustix::stdio::dup2_stdin(stdin).map_err(|e| (Step::Descriptors, e.into()))?;
    rustix::stdio::dup2_stdout(stdout).map_err(|e| (Step::Descriptors, e.into()))?;
    rustix::stdio::dup2_stderr(stderr).map_err(|e| (Step::Descriptors, e.into()))?;
    close_fds::set_fds_cloexec(3, &[]);
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    std::env::set_current_dir(home).map_err(at(Step::Directory))?;
    Report::Ready.write(control).map_err(at(Step::Exec))?;
    // A launcher before us may have kept signals from itself.
    SigSet::empty().thread_set_mask().map_err(|e| (Step::Exec, e.into()))?;
    let mut command = Command::new(program);
    command.arg0(&argv[0]).args(&argv[1..]).env_clear().envs(environment);
    Err((Step::Exec, command.exec()))
}

fn at(step: Step) -> impl Fn(io::Error) -> Failed {
    move |error| (step, error)
}

/// Reads the orders, and the descriptors that come with them: the command's three, and the socket to report
/// on, if that is not the one that the orders come over.
fn take_orders() -> io::Result<(Orders, Descriptors, UnixStream)> {
    // One that was stopped could not see its socket close. Who is to be its parent is told by the orders.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let socket = UnixStream::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?);
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    let (orders, mut descriptors) =
        handover::receive::<Orders>(&socket)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let control = if descriptors.len() > 3 { descriptors.pop().map(UnixStream::from) } else { None };
    let descriptors = Descriptors::try_from(descriptors).map_err(|_| io::ErrorKind::InvalidData)?;
    if orders.argv.is_empty() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok((orders, descriptors, control.unwrap_or(socket)))
}

/// The kernel kills us when our parent's thread ends; the gateway's spawning thread ends with the gateway.
/// If that has happened already, our parent has changed.
fn die_with(parent: i32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let found = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    if found == parent { Ok(()) } else { Err(io::ErrorKind::NotConnected.into()) }
}

impl Orders {
    /// Orders under which the launcher does everything, and then nothing.
    pub(in crate::backend) fn rehearsal(home: PathBuf, confinement: Confinement) -> Self {
        Self {
            stage: Stage::Leader,
            program: "/proc/self/exe".into(),
            argv: vec!["lockgate".into(), NOTHING.into()],
            environment: Vec::new(),
            home,
            parent: rustix::process::getpid().as_raw_nonzero().get(),
            confinement,
        }
    }
}

impl Report {
    fn write(&self, control: &mut impl Write) -> io::Result<()> {
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        control.write_all(&text)
    }

    /// What came of a launcher whose socket has closed, by its last report: the step that failed, if one did.
    /// `None` if it never got that far.
    pub(super) fn outcome(text: &[u8]) -> Option<Result<(), (Step, io::Error)>> {
        let mut reports = text.split(|&b| b == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
        Some(match reports.next_back()? {
            Self::Ready => Ok(()),
            // Not a system call's fault.
            Self::Failed(step, 0) => Err((step, io::ErrorKind::Unsupported.into())),
            Self::Failed(step, errno) => Err((step, io::Error::from_raw_os_error(errno))),
        })
    }
}

/// Starts a launcher: our own binary, which waits for its orders.
///
/// This path is our binary even after it was replaced on disk. With nothing but descriptors to set up, the
/// library uses posix_spawn, whose cost does not grow with our memory.
pub(super) fn start(socket: UnixStream) -> io::Result<std::process::Child> {
    Command::new("/proc/self/exe")
        .arg0("lockgate")
        .arg(ARGUMENT)
        .env_clear()
        .stdin(OwnedFd::from(socket))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
}

/// Gives a launcher its orders.
pub(super) fn instruct(
    socket: &UnixStream,
    orders: &Orders,
    descriptors: &Descriptors,
    control: Option<&UnixStream>,
) -> io::Result<()> {
    let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).chain(control.map(AsFd::as_fd)).collect();
    handover::send(socket, orders, &descriptors)
}
