//! How long a trial may take.

use std::time::Duration;

use crate::settings::Timeouts;

/// How long a trial may take.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    /// From the start until everything is answered.
    pub(super) answers: Duration,
    /// From the end of a child's stdin to SIGTERM, and from there to SIGKILL.
    pub(super) eof: Duration,
    pub(super) term: Duration,
    /// What it would have as a session, if that is longer.
    start: Option<Duration>,
}

/// What somebody waits for who has sent a request: 24 seconds for the answers, 2 and 3 for the end, and one for what
/// is to be removed then, are 30.
const ANSWERS: Duration = Duration::from_secs(24);
const EOF: Duration = Duration::from_secs(2);
const TERM: Duration = Duration::from_secs(3);

impl Budget {
    /// As long as a session would wait.
    pub(super) fn whole(timeouts: &Timeouts) -> Self {
        let Timeouts { start, eof, term, .. } = *timeouts;
        Self { answers: start, eof, term, start: None }
    }

    /// Half a minute in all, at most.
    pub(super) fn short(timeouts: &Timeouts) -> Self {
        let Timeouts { start, eof, term, .. } = *timeouts;
        let longer = Some(start).filter(|start| *start > ANSWERS);
        Self { answers: start.min(ANSWERS), eof: eof.min(EOF), term: term.min(TERM), start: longer }
    }

    /// The limit that was met, and what to do about it.
    pub(super) fn limit(&self) -> String {
        match self.start {
            None => format!("{:?} of timeouts.start; if it only needs longer, raise that", self.answers),
            Some(start) => format!(
                "{:?} that there are for it here; `lockgate doctor` waits for the {start:?} of timeouts.start",
                self.answers
            ),
        }
    }
}
