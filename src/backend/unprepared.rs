//! Why no backend could ever be started on this host, as it is and with these settings.

use std::io;
use std::path::PathBuf;

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
    /// No thread to spawn from.
    #[error("the thread that starts children cannot be started: {0}")]
    Thread(io::Error),
    /// No process to sweep with.
    #[error("the process that ends what sessions leave behind cannot be started: {0}")]
    Sweeper(io::Error),
    /// No user ids.
    #[error(
        "the user ids of sandbox.uids cannot be used: {0}; give a range of its own to each gateway of this machine"
    )]
    Uids(io::Error),
    /// Ids of the range belong to somebody.
    #[error(
        "sandbox.uids holds {uid}, which is the user {name:?} of this machine; give a range that nobody uses"
    )]
    UidTaken {
        /// The id.
        uid: u32,
        /// Whose it is.
        name: String,
    },
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
