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

use crate::catalog::{Fingerprint, LaunchPlan};
use crate::mcp::{Era, Introduction, Profile};

/// What is known so far.
#[derive(Debug, Default)]
pub(super) struct Verdicts(Mutex<HashMap<Fingerprint, (Verdict, Instant)>>);

/// What a server has shown itself to be.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) era: Era,
    /// What it says of itself, if it had to be asked; so that the next who asks needs not wait for it.
    pub(super) profile: Option<Profile>,
}

/// What is known of the two sides of a session before it begins.
#[derive(Debug)]
pub(super) struct Known {
    /// What the backend speaks.
    pub(super) era: Option<Era>,
    /// What it says of itself.
    pub(super) profile: Option<Profile>,
    /// What clients say of themselves that share the session.
    pub(super) introduction: Introduction,
}

/// How sure a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// The server has answered.
    Answer,
    /// It has ended or said nothing, as servers that do not know the question may; so may one that is ill.
    Silence,
}

/// No more are remembered; what would be forgotten soonest goes first.
const MAX: usize = 4096;
/// A server that says more of itself, in bytes, is asked each time.
const MAX_PROFILE: usize = 16 << 10;

impl Known {
    /// Of a client that begins with saying who it is.
    pub(super) fn of(plan: &LaunchPlan) -> Self {
        Self { era: plan.era(), profile: None, introduction: Introduction::nobody() }
    }
}

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
    pub(super) fn get(&self, plan: &Fingerprint, now: Instant) -> Option<Verdict> {
        self.known().get(plan).filter(|(_, until)| *until > now).map(|(verdict, _)| verdict.clone())
    }

    pub(super) fn set(&self, plan: Fingerprint, mut verdict: Verdict, evidence: Evidence, now: Instant) {
        verdict.profile = verdict.profile.filter(|profile| profile.size() <= MAX_PROFILE);
        let mut known = self.known();
        if known.len() >= MAX {
            let soonest = known.iter().min_by_key(|(_, (_, until))| *until).map(|(plan, _)| plan.clone());
            soonest.map(|soonest| known.remove(&soonest));
        }
        known.insert(plan, (verdict, now + evidence.lasts()));
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Fingerprint, (Verdict, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
