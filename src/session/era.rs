//! Which era a server turned out to speak, where its settings leave that open.
//!
//! Only a process that nobody else uses can be asked: some end themselves over the question, others are
//! then of no use to a client of the other era (protocol.md sections 0 and 4). So the answer is kept, for
//! just those who would start the very same process: what one tenant's environment makes of a server says
//! nothing to another.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::catalog::Fingerprint;
use crate::mcp::Era;

/// What is known so far.
#[derive(Debug, Default)]
pub(super) struct Verdicts(Mutex<HashMap<Fingerprint, (Era, Instant)>>);

/// How sure a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// The server has answered.
    Answer,
    /// It has ended or said nothing, as servers of the handshake era may; so may one that is ill.
    Silence,
}

/// No more are remembered; what would be forgotten soonest goes first.
const MAX: usize = 4096;

impl Evidence {
    /// How long to believe it.
    fn lasts(self) -> Duration {
        match self {
            Self::Answer => Duration::from_secs(60 * 60),
            Self::Silence => Duration::from_secs(60),
        }
    }
}

impl Verdicts {
    pub(super) fn get(&self, plan: &Fingerprint, now: Instant) -> Option<Era> {
        self.known().get(plan).filter(|(_, until)| *until > now).map(|(era, _)| *era)
    }

    pub(super) fn set(&self, plan: Fingerprint, era: Era, evidence: Evidence, now: Instant) {
        let mut known = self.known();
        if known.len() >= MAX {
            let soonest = known.iter().min_by_key(|(_, (_, until))| *until).map(|(plan, _)| plan.clone());
            soonest.map(|soonest| known.remove(&soonest));
        }
        known.insert(plan, (era, now + evidence.lasts()));
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Fingerprint, (Era, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
