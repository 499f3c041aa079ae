//! The last lines, for who looks in.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::Line;

/// A line that was told, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Counts on from line to line.
    pub number: u64,
    /// When, in seconds since 1970.
    pub at: u64,
    /// What happened.
    pub event: &'static str,
    /// Whose doing it was, if that is known.
    pub tenant: Option<String>,
    /// Which server it was about.
    pub server: Option<String>,
    /// The tag of the session.
    pub session: Option<String>,
    /// All else that the line says.
    pub detail: String,
}

/// So many are kept.
const KEPT: usize = 200;

static LINES: Mutex<VecDeque<Told>> = Mutex::new(VecDeque::new());

/// The last lines, oldest first.
pub fn recent() -> Vec<Told> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
}

/// Now, as the operator is told when something was.
pub fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Keeps a line for a while.
pub(super) fn keep(line: &Line<'_>) {
    let mut told = Told {
        number: 1,
        at: seconds_since_1970(),
        event: line.event,
        tenant: line.tenant.map(ToString::to_string),
        server: line.server.map(ToString::to_string),
        session: line.session.map(|session| session.to_string()),
        detail: line.detail(),
    };
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    told.number += lines.back().map_or(0, |last| last.number);
    lines.push_back(told);
    if lines.len() > KEPT {
        lines.pop_front();
    }
}
