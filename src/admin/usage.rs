//! What children use of the host: looked at when somebody wants to know, and not too often.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::access::Operator;
use crate::backend::Usage;
use crate::session::{Sessions, View};

/// What children were found to use.
#[derive(Debug, Default)]
pub(super) struct Uses(Mutex<Found>);

#[derive(Debug, Default)]
struct Found {
    /// When somebody has begun to look last.
    since: Option<Instant>,
    /// By number of the session.
    live: HashMap<u64, Usage>,
    /// Seconds of processor time since the gateway started, as far as somebody has looked, by server and by tenant.
    cpu: Cpu,
}

/// Seconds of processor time.
#[derive(Clone, Debug, Default)]
pub(super) struct Cpu {
    pub(super) by_server: BTreeMap<String, f64>,
    pub(super) by_tenant: BTreeMap<String, f64>,
}

/// Who looks more often than this sees the same again.
const FRESH: Duration = Duration::from_secs(2);

impl Uses {
    /// Looks, unless somebody has just done so.
    pub(super) async fn look(&self, sessions: &Sessions, operator: &Operator) {
        let now = Instant::now();
        {
            let mut found = self.found();
            if found.since.is_some_and(|since| now.saturating_duration_since(since) < FRESH) {
                return;
            }
            found.since = Some(now);
        }
        let views = sessions.views(operator);
        let usage = sessions.usage(operator, &views).await;
        let mut found = self.found();
        // Whoever has begun later has seen more.
        if found.since == Some(now) {
            found.take(&views, &usage);
        }
    }

    /// What a session was found to use.
    pub(super) fn of(&self, number: u64) -> Option<Usage> {
        self.found().live.get(&number).copied()
    }

    /// What children have had of the processor so far.
    pub(super) fn cpu(&self) -> Cpu {
        self.found().cpu.clone()
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Found {
    fn take(&mut self, views: &[View], usage: &HashMap<u32, Usage>) {
        let before = std::mem::take(&mut self.live);
        for view in views {
            let Some(usage) = view.process.and_then(|process| usage.get(&process)) else {
                // Not seen is not gone, or all of it would count once more.
                if let Some(known) = before.get(&view.number) {
                    self.live.insert(view.number, *known);
                }
                continue;
            };
            self.live.insert(view.number, *usage);
            // Of processes that have ended in between, what they have used goes with them.
            let more = (usage.cpu - before.get(&view.number).map_or(0.0, |usage| usage.cpu)).max(0.0);
            *self.cpu.by_server.entry(view.server.clone()).or_default() += more;
            *self.cpu.by_tenant.entry(view.tenant.clone()).or_default() += more;
        }
    }
}
