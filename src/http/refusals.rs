//! How many requests to MCP routes were refused, by why.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::error::Refusal;
use crate::access::Denied;
use crate::catalog::Refused;
use crate::session::{Full, NotOpened, Undelivered};

/// One count for each reason.
#[derive(Debug)]
pub struct Refusals([AtomicU64; REASONS.len()]);

/// Why requests are refused, for counting.
const REASONS: [&str; 21] = [
    "origin",
    "secret",
    "wrong_secrets",
    "rate",
    "store",
    "server",
    "variable",
    "host_full",
    "tenant_full",
    "server_full",
    "draining",
    "not_started",
    "no_session",
    "busy",
    "message",
    "headers",
    "too_large",
    "too_slow",
    "method",
    "node",
    "not_node",
];

impl Refusals {
    /// Counts one.
    pub(super) fn count(&self, refusal: &Refusal) {
        let reason = reason(refusal);
        // None is missing there: a test of `error` counts one of each.
        if let Some(place) = REASONS.iter().position(|known| *known == reason) {
            self.0[place].fetch_add(1, Relaxed);
        }
    }

    /// How many there were, by why.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        REASONS.into_iter().zip(self.0.iter().map(|count| count.load(Relaxed)))
    }
}

impl Default for Refusals {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

fn reason(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Denied(Denied::Origin | Denied::Host) => "origin",
        Refusal::Denied(Denied::Credentials(_) | Denied::Secret) => "secret",
        Refusal::Denied(Denied::Failures(_)) => "wrong_secrets",
        Refusal::Denied(Denied::Rate(..)) => "rate",
        Refusal::Denied(Denied::Away) | Refusal::NotOpened(NotOpened::Away) => "store",
        Refusal::Target(_) | Refusal::Refused(Refused::NotAllowed) => "server",
        Refusal::Variable(_) | Refusal::Refused(Refused::Variable(_) | Refused::Credential(_)) => "variable",
        Refusal::NotOpened(NotOpened::Full(Full::Host)) => "host_full",
        Refusal::NotOpened(NotOpened::Full(Full::Tenant)) => "tenant_full",
        Refusal::NotOpened(NotOpened::Full(Full::Server)) => "server_full",
        Refusal::NotOpened(NotOpened::Draining) | Refusal::Undelivered(Undelivered::Draining) => "draining",
        Refusal::NotOpened(NotOpened::Start(..) | NotOpened::Fetching(_) | NotOpened::NoRandom)
        | Refusal::Failed(_) => "not_started",
        Refusal::Undelivered(Undelivered::NoSession)
        | Refusal::NotResumed(_)
        | Refusal::NoSessionNamed
        | Refusal::NotInSession => "no_session",
        Refusal::Undelivered(Undelivered::Busy) | Refusal::Crowded(_) => "busy",
        Refusal::Undelivered(_)
        | Refusal::Malformed(_)
        | Refusal::Misfit(_)
        | Refusal::Batch(_)
        | Refusal::Broken => "message",
        Refusal::Content(_)
        | Refusal::NoEvents
        | Refusal::NotAcceptable
        | Refusal::Revision(_)
        | Refusal::Names(_) => "headers",
        Refusal::TooLarge(_) => "too_large",
        Refusal::Slow => "too_slow",
        Refusal::Method(_) => "method",
        Refusal::NodeBroke => "node",
        Refusal::NoNode => "not_node",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::NotResumed;

    #[test]
    fn a_refusal_counts_for_its_reason_alone() {
        let refusals = Refusals::default();
        refusals.count(&Refusal::NotResumed(NotResumed::Lost));
        refusals.count(&Refusal::NoSessionNamed);
        refusals.count(&Refusal::Slow);
        let counts: Vec<_> = refusals.counts().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counts, [("no_session", 2), ("too_slow", 1)]);
    }
}
