//! One live session, as the operator sees it.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use tokio::time::Instant;

use super::figures::{Distribution, Queues, Stage, Times, Traffic};
use super::ledger::Totals;
use super::{Session, Sessions, Transport};
use crate::access::{Intent, Operator};
use crate::audit::{self, Event};
use crate::backend::Usage;
use crate::mcp::Era;

/// A live session. Times are in seconds.
#[derive(Clone, Debug, Serialize)]
pub struct View {
    /// What the operator ends it by. Nobody else can do anything with it.
    pub number: u64,
    /// Eight hexadecimal digits, as in the log.
    pub tag: String,
    /// Whose it is.
    pub tenant: String,
    /// What it talks to.
    pub server: String,
    /// How its client speaks to us.
    pub transport: Transport,
    /// What its backend speaks; `None` until that is known.
    pub era: Option<Era>,
    /// How far it is.
    pub stage: Stage,
    /// Since it was opened.
    pub age: f64,
    /// Since its client has said something.
    pub idle: f64,
    /// What has passed through it.
    pub traffic: Traffic,
    /// What waits in it.
    pub queues: Queues,
    /// How long half of its calls took in the backend, and all but one in a hundred: upper bounds.
    pub backend: Quantiles,
    /// How long they took in the gateway, both ways together.
    pub gateway: Quantiles,
    /// The first of its processes, if it has any of ours.
    #[serde(skip)]
    pub process: Option<u32>,
    /// What its processes use, if that is known.
    pub usage: Option<Usage>,
}

/// Upper bounds of what some of the durations were, in seconds; `None` if there were none, or beyond any bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// Of half of them.
    pub p50: Option<f64>,
    /// Of all but one in a hundred.
    pub p99: Option<f64>,
}

impl Quantiles {
    /// Of these.
    pub fn of(durations: &Distribution) -> Self {
        let at = |share| durations.quantile(share).filter(|bound| bound.is_finite());
        Self { p50: at(0.5), p99: at(0.99) }
    }
}

impl Sessions {
    /// The live sessions, oldest first, for the operator.
    pub fn views(&self, _operator: &Operator) -> Vec<View> {
        let now = Instant::now();
        let mut views: Vec<View> =
            self.registry.ledger.live().iter().map(|session| session.view(now)).collect();
        views.sort_by_key(|view| view.number);
        views
    }

    /// What there has been of sessions since the gateway started, for the operator.
    pub fn totals(&self, _operator: &Operator) -> Totals {
        self.registry.ledger.totals()
    }

    /// What the processes of these sessions use, by the first of each, for the operator.
    pub async fn usage(&self, _operator: &Operator, views: &[View]) -> HashMap<u32, Usage> {
        self.starter.usage(views.iter().filter_map(|view| view.process).collect()).await
    }

    /// Ends a session because the operator wants it to. Says whether there was such a session.
    pub fn end(&self, _intent: &Intent, number: u64) -> bool {
        let live = self.registry.ledger.live();
        let Some(session) = live.iter().find(|session| session.number == number) else { return false };
        audit::record(Event::OperatorActed("end a session", Some(session.of())));
        session.dismiss();
        true
    }
}

impl Session {
    fn view(self: &Arc<Self>, now: Instant) -> View {
        let mut times = Times::default();
        self.figures.add_times(&mut times);
        let mut gateway = times.way_in;
        gateway.join(&times.way_out);
        View {
            number: self.number,
            tag: self.tag.to_string(),
            tenant: self.plan.tenant().to_string(),
            server: self.plan.server().to_string(),
            transport: self.transport,
            era: self.figures.era(),
            stage: self.figures.stage(),
            age: now.saturating_duration_since(self.opened).as_secs_f64(),
            idle: now.saturating_duration_since(self.figures.last_message()).as_secs_f64(),
            traffic: self.figures.traffic(),
            queues: self.figures.queues(),
            backend: Quantiles::of(&times.backend),
            gateway: Quantiles::of(&gateway),
            process: self.figures.process(),
            usage: None,
        }
    }
}
