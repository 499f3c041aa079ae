//! What a conversation has failed by, for the operator. A client hears less, and is sent to the operator, who may be
//! the one that asks and has no log at hand.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::fault::Fault;

/// The first failure since something went well: what follows comes of it.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    /// What a client hears of it.
    fault: Option<String>,
    /// What the log says.
    cause: Option<String>,
}

/// How advice begins that is for clients, and of no use to whoever is the operator.
const FOR_CLIENTS: [&str; 4] =
    ["; try again", "; call again", "; open a new session", "; tell the operator, whose log has the detail"];

impl Trouble {
    /// This is what went wrong on the way.
    pub(super) fn because(&self, cause: &impl Display) {
        let mut told = self.told();
        if told.fault.is_none() {
            told.cause = Some(cause.to_string());
        }
    }

    /// A request has failed by this.
    pub(super) fn fails(&self, fault: &Fault) {
        self.told().fault.get_or_insert_with(|| fault.to_string());
    }

    /// Something went well.
    pub(super) fn is_over(&self) {
        *self.told() = Told::default();
    }

    /// Why the server could not be used, if it could not.
    pub(super) fn reason(&self) -> Option<String> {
        let told = self.told();
        let fault = told.fault.as_deref().map(|fault| {
            let advice = FOR_CLIENTS.iter().filter_map(|advice| fault.find(advice)).min();
            let kept = &fault[..advice.unwrap_or(fault.len())];
            kept.strip_suffix("; tell the operator").unwrap_or(kept)
        });
        match (fault, &told.cause) {
            (Some(fault), Some(cause)) => Some(format!("it {fault}: {cause}")),
            (Some(fault), None) => Some(format!("it {fault}")),
            (None, cause) => cause.clone(),
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_kept_with_its_cause_and_without_advice_for_others() {
        let trouble = Trouble::default();
        assert_eq!(trouble.reason(), None);
        trouble.because(&"refused");
        assert_eq!(trouble.reason().as_deref(), Some("refused"));
        trouble.fails(&Fault::Unreachable);
        trouble.because(&"later");
        trouble.fails(&Fault::Late);
        assert_eq!(trouble.reason().as_deref(), Some("it cannot be reached: refused"));
        trouble.is_over();
        assert_eq!(trouble.reason(), None);
        trouble.fails(&Fault::Malformed);
        assert_eq!(trouble.reason().as_deref(), Some("it answered with what is no JSON-RPC message"));
    }
}
