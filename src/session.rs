//! One client's conversation with one backend.
//!
//! [`Sessions::open`] turns a [`LaunchPlan`] into a session and starts the task that owns it until nothing
//! of it is left. The task runs on the worker that opened it, so that what a backend says reaches an `sse`
//! client's socket without changing threads. What a client says comes in on whichever worker its request
//! reached; [`Session::deliver`] hands it to the backend right there, under a lock that is held for a table
//! look-up and one non-blocking write. What comes back waits in the outbox, a queue for each stream of the
//! client, for its [`Reader`]. A [`Bridge`] stands between the two where they do not understand each other.
//!
//! Clients whose requests each stand for themselves have no session of their own: those of one tenant who would
//! start the same backend share one ([`Sessions::call`]).

mod end;
mod era;
mod exchange;
mod figures;
mod held;
mod intake;
mod ledger;
mod opening;
mod outbox;
mod passing;
mod reader;
mod refusal;
mod registry;
mod shared;
mod task;
mod traced;
mod view;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use self::figures::{Distribution, Queues, Stage, Times, Traffic};
pub use self::ledger::{Account, Starts, TenantAccount, Totals, Trouble};
pub use self::opening::{Opened, Sessions};
pub use self::outbox::{Delivery, EventId};
pub use self::reader::Reader;
pub use self::refusal::{Full, NotCalled, NotOpened, NotResumed, Undelivered};
pub use self::registry::Census;
pub use self::view::{Quantiles, View};

use self::era::Known;
use self::exchange::{Addressed, Exchange};
use self::figures::Figures;
use self::held::Held;
use self::outbox::{Outbox, StreamId};
use self::shared::Tools;
use crate::access::SecretHash;
use crate::audit::Of;
use crate::backend::{Backlog, Outlet, Sent};
use crate::catalog::{LaunchPlan, Offer};
use crate::ids::{Mint, SessionId, SessionTag, draw_key};
use crate::lifecycle::Lifecycle;
use crate::mcp::{Bridge, Era, Failure, Kind, Seal, Sides};
use crate::settings::{Limits, Timeouts};

/// How the client speaks to us, which decides what its streams are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// 2024-11-05: one stream for everything; the session lasts as long as it.
    Sse,
    /// 2025-03-26 to 2025-11-25: a stream for each request and one beside them; each can be resumed.
    Streamable,
    /// 2026-07-28: a stream for each request, of many clients; closing it cancels the request.
    Stateless,
}

impl Transport {
    /// What its clients speak.
    fn era(self) -> Era {
        match self {
            Self::Sse | Self::Streamable => Era::Handshake,
            Self::Stateless => Era::Stateless,
        }
    }

    /// Whether its clients share sessions, and each of their requests stands for itself.
    pub fn is_shared(self) -> bool {
        self == Self::Stateless
    }
}

/// One session, as requests see it.
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    /// What the operator knows it by.
    number: u64,
    tag: SessionTag,
    plan: LaunchPlan,
    transport: Transport,
    opened: Instant,
    max_queue: usize,
    start_timeout: Duration,
    /// How long a question of the backend waits for somebody who reads it.
    patience: Duration,
    lifecycle: Lifecycle,
    /// Held for short, synchronous sections only: by the session's task, by requests that deliver a
    /// message, and by the client's streams when they take some.
    state: Mutex<State>,
    /// What is counted of it.
    figures: Figures,
    /// Tells the task that there is something for it to do.
    work: Notify,
    /// What is known of the backend's tools, for sessions that are shared.
    tools: Tools,
    /// Bytes of requests that wait for it.
    waiting: AtomicUsize,
    /// Hears when the backend may take another such call, if it takes them one at a time.
    freed: OnceLock<Arc<Notify>>,
}

#[derive(Debug)]
struct State {
    exchange: Exchange,
    bridge: Bridge,
    /// A call is on its way here in which the backend may ask something.
    reserved: bool,
    /// `None` until the backend runs, and again once the session ends.
    outlet: Option<Outlet>,
    to_backend: Backlog,
    outbox: Outbox,
    /// With which secret each stream of a shared session was asked for.
    callers: BTreeMap<StreamId, SecretHash>,
    last_message: Instant,
    /// When the client first asked for something that the backend must answer.
    first_request: Option<Instant>,
    /// When the task looks at the clock next by itself.
    task_wakes_at: Instant,
    /// Its client is gone for good, or has ended it.
    abandoned: bool,
    /// The operator has ended it.
    dismissed: bool,
    /// Nothing is taken any more.
    ended: bool,
    /// It has ended because the gateway does, and its client finds another where this one was.
    sent_away: bool,
    /// What whoever waited was told at the end.
    failure: Option<Failure>,
}

// === impl Session ===

impl Session {
    fn new(
        number: u64,
        plan: LaunchPlan,
        transport: Transport,
        known: Known,
        settings: (&Limits, &Timeouts),
        lifecycle: Lifecycle,
        mint: &Mint,
    ) -> Result<Self, NotOpened> {
        let (limits, timeouts) = settings;
        let now = Instant::now();
        let request_timeout = plan.timeout().unwrap_or(timeouts.request);
        let max_queue = usize::try_from(limits.queue.as_u64()).unwrap_or(usize::MAX);
        // What one request may see says nothing of others that share the backend.
        let offer = if transport.is_shared() { Offer::EVERYTHING } else { plan.offer().clone() };
        let (bridge, first) = Bridge::new(Sides {
            client: transport.era(),
            backend: known.era,
            profile: known.profile,
            introduction: known.introduction,
            server: plan.server().to_string(),
            seal: Seal::new(draw_key().map_err(|_| NotOpened::NoRandom)?).marked(mint.mark()),
        });
        let mut to_backend = Backlog::default();
        first.to_backend.into_iter().for_each(|frame| to_backend.push(frame));
        let id = mint.draw().map_err(|_| NotOpened::NoRandom)?;
        Ok(Self {
            tag: id.tag(),
            id,
            number,
            plan,
            transport,
            opened: now,
            max_queue,
            start_timeout: timeouts.start,
            patience: timeouts.stalled_reader,
            lifecycle,
            state: Mutex::new(State {
                exchange: Exchange::new(transport, request_timeout, offer),
                bridge,
                reserved: false,
                outlet: None,
                to_backend,
                outbox: Outbox::new(max_queue, transport == Transport::Streamable, now),
                callers: BTreeMap::new(),
                last_message: now,
                first_request: None,
                task_wakes_at: now,
                abandoned: false,
                dismissed: false,
                ended: false,
                sent_away: false,
                failure: None,
            }),
            figures: Figures::new(now),
            work: Notify::new(),
            tools: Tools::default(),
            waiting: AtomicUsize::new(0),
            freed: OnceLock::new(),
        })
    }

    /// The session's id.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// What the log knows it by.
    pub fn tag(&self) -> SessionTag {
        self.tag
    }

    /// How the operator knows it.
    fn of(&self) -> Of<'_> {
        Of { tenant: self.plan.tenant(), server: self.plan.server(), session: self.tag }
    }

    /// How its clients speak to us.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// The revision that client and backend have agreed on; `None` until they have.
    pub fn revision(&self) -> Option<Arc<str>> {
        self.state().exchange.revision().cloned()
    }

    /// Ends the session: its client wants no more of it.
    pub fn end(&self) {
        self.state().abandoned = true;
        self.work.notify_one();
    }

    /// Ends the session: the operator wants it to.
    fn dismiss(&self) {
        self.state().dismissed = true;
        self.work.notify_one();
    }

    fn state(&self) -> Held<'_> {
        Held::new(
            self.state.lock().unwrap_or_else(PoisonError::into_inner),
            &self.figures,
            self.transport.era(),
        )
    }
}

// === impl State ===

impl State {
    /// Hands over what the backend takes now of what waits for it.
    fn flush(&mut self) -> Sent {
        match &self.outlet {
            Some(outlet) => outlet.send(&mut self.to_backend),
            None => Sent::Some,
        }
    }

    /// Puts a message where the client will find it. A request of the backend whose stream is gone goes to
    /// the listening stream; an answer that nobody can read any more goes nowhere. The event that it has
    /// become, unless somebody is there to read it.
    fn address(&mut self, addressed: Addressed, now: Instant) -> Option<EventId> {
        let Addressed { mut stream, frame, last, asked_at: _ } = addressed;
        if let Some(homeless) = frame.and_then(|frame| self.outbox.push(stream, frame, now))
            && !matches!(homeless.kind(), Kind::Response(_))
        {
            stream = StreamId::LISTENING;
            let _ = self.outbox.push(stream, homeless, now);
        }
        if last {
            self.outbox.complete(stream);
        }
        self.outbox.unread_event(stream)
    }
}
