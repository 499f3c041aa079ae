//! Why no backend could ever be started on this host, as it is and with these settings.

use std::io;
use std::path::PathBuf;

use super::child::Unrehearsed;
use super::sandbox::Report;

/// Why no backend could ever be started. For the operator, with what to do.
#[derive(Debug, thiserror::Error)]
pub enum Unprepared {
    /// No place for private directories.
    #[error("no private directories can be made in {}: {error}; set TMPDIR to a directory of your own that other users may pass through", place.display())]
    Directory {
        /// Where it was tried.
        place: PathBuf,
        /// Why it failed.
        error: io::Error,
    },
    /// No place for packages.
    #[error("fetched packages cannot be kept in {}: {error}; set sandbox.templates to a directory of your own", place.display())]
    Templates {
        /// Where it was tried.
        place: PathBuf,
        /// Why it failed.
        error: io::Error,
    },
    /// No thread to spawn from.
    #[error("the thread that starts children cannot be started: {0}")]
    Thread(io::Error),
    /// No process to sweep with.
    #[error("the process that ends what sessions leave behind cannot be started: {0}")]
    Sweeper(io::Error),
    /// Nobody knows what this host can do.
    #[error(
        "the sandbox's part {part:?} could not be tried: {reason}; it is not left out for that: start again"
    )]
    Untried {
        /// Which part.
        part: &'static str,
        /// Why, which need not be so for long.
        reason: Unrehearsed,
    },
    /// No place for the locks of user ids.
    #[error(
        "the locks by which gateways share user ids cannot be kept in {}: {error}; let the gateway write there (Docker: --tmpfs /run; systemd: RuntimeDirectory=lockgate)",
        place.display()
    )]
    Locks {
        /// Where it was tried.
        place: PathBuf,
        /// Why it failed.
        error: io::Error,
    },
    /// No user ids.
    #[error(
        "no block of 250 user ids in sandbox.uids can be used: {0}; give each gateway of this machine blocks of its own"
    )]
    Uids(io::Error),
    /// Root, but without root's power: sessions would be root, too.
    #[error(
        "the gateway is root, but may not give sessions users of their own: {0}; in a container keep the capabilities SETUID, SETGID, CHOWN, FOWNER, DAC_OVERRIDE and KILL, which are there by default, or run the gateway as another user, or set sandbox.profile = \"off\""
    )]
    NoUsers(io::Error),
    /// Ids of the range belong to somebody.
    #[error(
        "sandbox.uids holds {id}, which is the {kind} {name:?} of this machine; give a range that nobody uses"
    )]
    IdTaken {
        /// The id.
        id: u32,
        /// `user` or `group`.
        kind: &'static str,
        /// Whose it is.
        name: String,
    },
    /// Our own binary is closed to others.
    #[error(
        "the users of sandbox.uids cannot run the lockgate program itself: {0}; let every user read and execute it (chmod 755)"
    )]
    Program(io::Error),
    /// What is asked for by name cannot be had.
    #[error(
        "sandbox.{key} = {value:?} cannot be had on this host: {reasons}; run `lockgate doctor` for the whole list"
    )]
    Lacking {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: &'static str,
        /// What is missing, and why.
        reasons: String,
        /// The whole list.
        report: Box<Report>,
    },
}
