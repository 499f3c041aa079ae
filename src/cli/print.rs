//! What this program prints: what it was asked for on standard output, and what there is to say beside that on
//! standard error. Escape codes reach those who want them only, whatever a text holds.

use std::fmt::Display;
use std::io::{self, Write};

use anyhow::Context;
use serde::Serialize;

/// Why what was asked for could not be printed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unprinted {
    /// Whoever read has seen enough, as `head` has.
    #[error("nobody reads what is printed")]
    Unread,
    /// A full disk, say.
    #[error("standard output cannot be written ({0}); send it elsewhere")]
    Failed(io::Error),
}

impl From<io::Error> for Unprinted {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Unread,
            _ => Self::Failed(error),
        }
    }
}

/// Prints a text for people, and ends its line.
pub(super) fn print(text: impl Display) -> Result<(), Unprinted> {
    let mut out = anstream::stdout().lock();
    // Whole: a reader sees no half of it, and a terminal no half of an escape code.
    out.write_all(format!("{text}\n").as_bytes())?;
    Ok(out.flush()?)
}

/// Prints bytes as they are.
pub(super) fn print_bytes(bytes: &[u8]) -> Result<(), Unprinted> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

/// Prints the one JSON document that a machine gets.
pub(super) fn print_json(document: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(document).context("this cannot be said in JSON")?;
    text.push('\n');
    Ok(print_bytes(text.as_bytes())?)
}

/// Says something on standard error. That nobody hears it is no reason to stop.
pub(super) fn say(text: impl Display) {
    let _ = anstream::stderr().lock().write_all(format!("{text}\n").as_bytes());
}
