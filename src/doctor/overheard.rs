//! What the log of a gateway would be told of a remote server while it is tried. A client hears less, and is sent to
//! the operator, who has called the doctor and has no such log.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::subscriber::{DefaultGuard, Subscriber, set_default};
use tracing::{Event, Level};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry;

/// What has been told so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Overheard(Arc<Mutex<Told>>);

/// The first failure: what a client hears of it, and the detail.
#[derive(Debug, Default)]
struct Told {
    fault: Option<String>,
    error: Option<String>,
}

/// Who speaks of remote servers.
const SPEAKER: &str = "lockgate::backend::remote";
/// How advice begins that is for clients, and of no use to whoever is the operator.
const FOR_CLIENTS: [&str; 4] =
    ["; try again", "; call again", "; open a new session", "; tell the operator, whose log has the detail"];

impl Overheard {
    /// Listens to this thread for as long as the guard lives.
    pub(super) fn listen(&self) -> DefaultGuard {
        set_default(registry().with(self.clone()))
    }

    /// Why the server could not be used, if that was told.
    pub(super) fn reason(&self) -> Option<String> {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = told.fault.as_deref().map(|fault| {
            let advice = FOR_CLIENTS.iter().filter_map(|advice| fault.find(advice)).min();
            let told = &fault[..advice.unwrap_or(fault.len())];
            told.strip_suffix("; tell the operator").unwrap_or(told)
        });
        match (fault, &told.error) {
            (Some(fault), Some(error)) => Some(format!("it {fault}: {error}")),
            (Some(fault), None) => Some(format!("it {fault}")),
            (None, error) => error.clone(),
        }
    }
}

impl<S: Subscriber> Layer<S> for Overheard {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *metadata.level() <= Level::WARN && metadata.target().starts_with(SPEAKER) && told.fault.is_none()
        {
            event.record(&mut *told);
        }
    }
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "fault" => self.fault = Some(format!("{value:?}")),
            "error" | "reason" => self.error = Some(format!("{value:?}")),
            _ => {}
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_kept_with_its_detail_and_without_advice_for_others() {
        let overheard = Overheard::default();
        let guard = overheard.listen();
        assert_eq!(overheard.reason(), None);
        tracing::warn!(target: "hyper", error = "of somebody else");
        tracing::info!(target: SPEAKER, error = "no failure");
        tracing::warn!(target: SPEAKER, reason = "refused", "no answer");
        let fault = "cannot be reached; try again shortly, or tell the operator, whose log has the detail";
        tracing::warn!(target: SPEAKER, %fault, "failed");
        tracing::warn!(target: SPEAKER, error = "later", fault = "later");
        drop(guard);
        tracing::warn!(target: SPEAKER, error = "unheard", fault = "unheard");
        assert_eq!(overheard.reason().as_deref(), Some("it cannot be reached: refused"));
    }
}
