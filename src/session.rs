//! One client's conversation with one backend.
//!
//! [`Sessions::open`] turns a [`LaunchPlan`] into a session and starts the task that owns it until nothing
//! of it is left. The task runs on the worker that opened it, so that what a backend says reaches an `sse`
//! client's socket without changing threads. What a client says comes in on whichever worker its request
//! reached; [`Session::deliver`] hands it to the backend right there, under a lock that is held for a table
//! look-up and one non-blocking write. What comes back waits in the outbox, a queue for each stream of the
//! client, for its [`Reader`].
//!
//! Clients of the stateless era have no session of their own: those of one tenant who would start the same
//! backend share one ([`Sessions::call`]).

mod end;
mod era;
mod exchange;
mod intake;
mod opening;
mod outbox;
mod reader;
mod refusal;
mod registry;
mod shared;
mod task;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

pub use self::opening::{Opened, Sessions};
pub use self::outbox::{Delivery, EventId};
pub use self::reader::Reader;
pub use self::refusal::{Full, NotCalled, NotOpened, NotResumed, Undelivered};
pub use self::registry::Census;

use self::exchange::{Addressed, Exchange, FromClient, Said, Unfit};
use self::outbox::{Outbox, StreamId};
use self::shared::Tools;
use crate::access::SecretHash;
use crate::audit::Of;
use crate::backend::{Backlog, Outlet, Sent};
use crate::catalog::{LaunchPlan, Offer};
use crate::ids::SessionId;
use crate::lifecycle::Lifecycle;
use crate::mcp::{Code, Failure, Frame, Kind, error_frame};
use crate::settings::{Limits, Timeouts};

/// How the client speaks to us, which decides what its streams are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// 2024-11-05: one stream for everything; the session lasts as long as it.
    Sse,
    /// 2025-03-26 to 2025-11-25: a stream for each request and one beside them; each can be resumed.
    Streamable,
    /// 2026-07-28: a stream for each request, of many clients; closing it cancels the request.
    Stateless,
}

/// One session, as requests see it.
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    plan: LaunchPlan,
    transport: Transport,
    max_queue: usize,
    start_timeout: Duration,
    lifecycle: Lifecycle,
    /// Held for short, synchronous sections only: by the session's task, by requests that deliver a
    /// message, and by the client's streams when they take some.
    state: Mutex<State>,
    /// Tells the task that there is something for it to do.
    work: Notify,
    /// What is known of the backend's tools, for sessions that are shared.
    tools: Tools,
    /// Bytes of requests that wait for it.
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct State {
    exchange: Exchange,
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
    /// Nothing is taken any more.
    ended: bool,
    /// What whoever waited was told at the end.
    failure: Option<Failure>,
}

// === impl Session ===

impl Session {
    fn new(
        plan: LaunchPlan,
        transport: Transport,
        limits: &Limits,
        timeouts: &Timeouts,
        lifecycle: Lifecycle,
    ) -> Result<Self, NotOpened> {
        let now = Instant::now();
        let request_timeout = plan.timeout().unwrap_or(timeouts.request);
        let max_queue = usize::try_from(limits.queue.as_u64()).unwrap_or(usize::MAX);
        // What one request may see says nothing of others that share the backend.
        let is_shared = transport == Transport::Stateless;
        let offer = if is_shared { Offer::EVERYTHING } else { plan.offer().clone() };
        Ok(Self {
            id: SessionId::draw().map_err(|_| NotOpened::NoRandom)?,
            plan,
            transport,
            max_queue,
            start_timeout: timeouts.start,
            lifecycle,
            state: Mutex::new(State {
                exchange: Exchange::new(transport, request_timeout, offer),
                outlet: None,
                to_backend: Backlog::default(),
                outbox: Outbox::new(max_queue, transport == Transport::Streamable, now),
                callers: BTreeMap::new(),
                last_message: now,
                first_request: None,
                task_wakes_at: now,
                abandoned: false,
                ended: false,
                failure: None,
            }),
            work: Notify::new(),
            tools: Tools::default(),
            waiting: AtomicUsize::new(0),
        })
    }

    /// The session's id.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// How the operator knows it.
    fn of(&self) -> Of<'_> {
        Of { tenant: self.plan.tenant(), server: self.plan.server(), session: self.id.tag() }
    }

    /// How its clients speak to us.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// The revision that client and backend have agreed on; `None` until they have.
    pub fn revision(&self) -> Option<Arc<str>> {
        self.state().exchange.revision().cloned()
    }

    /// Takes messages of the client: they have reached the backend or wait for it in order. `revision` is
    /// the protocol version that the request's header named, the sign of a client that has reconnected; `offer`
    /// is what the request may use and see, of what the session may.
    ///
    /// Where each request has a stream of its own, its reader comes back. Several messages are a batch:
    /// then only a fault of the first stops it; a later request with one is answered on the stream.
    ///
    /// # Errors
    /// If the first cannot be taken; then nothing of any was.
    pub fn deliver(
        self: &Arc<Self>,
        frames: impl IntoIterator<Item = Frame>,
        revision: Option<&str>,
        offer: &Offer,
    ) -> Result<Option<Reader>, Undelivered> {
        let now = Instant::now();
        let mut state = self.state();
        if state.ended || state.abandoned {
            return Err(Undelivered::NoSession);
        }
        if state.to_backend.bytes() >= self.max_queue || !state.outbox.has_room() {
            return Err(Undelivered::Busy);
        }
        let mut own = None;
        let mut blocked = false;
        for (position, frame) in frames.into_iter().enumerate() {
            let asks = match frame.kind() {
                Kind::Request(id, _) => Some(id.clone()),
                _ => None,
            };
            if asks.is_some() && self.transport != Transport::Sse && own.is_none() {
                own = Some(state.outbox.open(now));
            }
            let said = Said { frame, stream: own.unwrap_or(StreamId::LISTENING), revision, now, offer };
            match (self.take(&mut state, said), asks) {
                (Ok(stuck), _) => blocked |= stuck,
                (Err(fault), _) if position == 0 => {
                    own.into_iter().for_each(|stream| state.outbox.forget(stream, None));
                    return Err(fault);
                }
                (Err(fault), Some(id)) => {
                    let error = error_frame(&id, Code::InvalidRequest, &fault.to_string());
                    let _ = state.outbox.push(own.unwrap_or(StreamId::LISTENING), error, now);
                }
                (Err(_), None) => {}
            }
        }
        if let Some(stream) = own.filter(|stream| !state.exchange.awaits(*stream)) {
            state.outbox.complete(stream);
        }
        let reader = own.and_then(|stream| state.outbox.attach(stream, None, now).ok());
        let wake = self.note(&mut state, now);
        drop(state);
        if blocked || wake {
            self.work.notify_one();
        }
        Ok(reader.map(|place| Reader::new(self.clone(), place)))
    }

    /// Takes one message. Says whether the backend has not taken everything yet.
    fn take(&self, state: &mut State, said: Said<'_>) -> Result<bool, Undelivered> {
        let now = said.now;
        if matches!(said.frame.kind(), Kind::Request(..)) && self.lifecycle.is_draining() {
            return Err(Undelivered::Draining);
        }
        let not_begun = || Undelivered::NotBegun(self.id.tag()).to_string();
        let ruling = state.exchange.client_says(said, not_begun);
        let ruling = ruling.map_err(|unfit| match unfit {
            Unfit::DuplicateId => Undelivered::DuplicateId,
            Unfit::NotBegun => Undelivered::NotBegun(self.id.tag()),
            Unfit::Begun => Undelivered::Begun(self.id.tag()),
            Unfit::TooMuch => Undelivered::Busy,
        })?;
        Ok(match ruling {
            FromClient::Forward(frame) | FromClient::Hold(Some(frame)) => state.forward([frame]) != Sent::All,
            FromClient::Answer(addressed) => {
                let _ = state.address(addressed, now);
                false
            }
            FromClient::Cancel(frame, addressed) => {
                let _ = state.address(addressed, now);
                state.forward([frame]) != Sent::All
            }
            FromClient::Hold(None) | FromClient::Drop => false,
        })
    }

    /// Notes that the client has said something. Says whether the task must look at the clock anew.
    fn note(&self, state: &mut State, now: Instant) -> bool {
        state.last_message = now;
        if state.first_request.is_none() && state.exchange.has_begun() {
            state.first_request = Some(now);
        }
        let start_due = state.first_request.map(|at| at + self.start_timeout);
        let dues = [state.exchange.next_deadline(), start_due].into_iter().flatten();
        dues.filter(|due| *due > now).min().is_some_and(|due| due < state.task_wakes_at)
    }

    /// Ends the session: its client wants no more of it.
    pub fn end(&self) {
        self.state().abandoned = true;
        self.work.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    /// Queues messages for the backend and hands over what it takes now.
    fn forward(&mut self, frames: impl IntoIterator<Item = Frame>) -> Sent {
        frames.into_iter().for_each(|frame| self.to_backend.push(frame));
        self.flush()
    }

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
        let Addressed { mut stream, frame, last } = addressed;
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
