//! One client's conversation with one backend.
//!
//! [`Sessions::open`] turns a [`LaunchPlan`] into a [`Reader`], the client's end, and starts the task that
//! owns the session until nothing of it is left. The task runs on the worker that holds the client's
//! stream, so that what a backend says reaches the socket without changing threads. What a client says
//! comes in on whichever worker its request reached; [`Session::deliver`] hands it to the backend right
//! there, under a lock that is held for a table look-up and one non-blocking write.

mod end;
mod exchange;
mod intake;
mod outbox;
mod registry;
mod task;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

pub use self::outbox::Delivery;

use self::exchange::{Exchange, FromClient, Unfit};
use self::outbox::Outbox;
use self::registry::Registry;
use crate::backend::{Outlet, Sent, StartFailed, Starter};
use crate::catalog::LaunchPlan;
use crate::ids::{ServerName, SessionId, SessionTag, TenantId};
use crate::lifecycle::Lifecycle;
use crate::mcp::{Frame, Kind};
use crate::settings::{Limits, Settings, Timeouts};

/// All sessions of this gateway.
#[derive(Clone, Debug)]
pub struct Sessions {
    registry: Arc<Registry>,
    starter: Arc<Starter>,
    lifecycle: Lifecycle,
    limits: Limits,
    timeouts: Timeouts,
}

/// One session, as requests see it.
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    tenant: TenantId,
    server: ServerName,
    max_queue: usize,
    start_timeout: Duration,
    /// Held for short, synchronous sections only: by the session's task, by requests that deliver a
    /// message, and by the client's stream when it takes some.
    state: Mutex<State>,
    /// Tells the task that there is something for it to do.
    work: Notify,
}

#[derive(Debug)]
struct State {
    exchange: Exchange,
    /// `None` until the backend runs, and again once the session ends.
    outlet: Option<Outlet>,
    to_backend: VecDeque<Bytes>,
    to_backend_bytes: usize,
    outbox: Outbox,
    last_message: Instant,
    /// When the client first asked for something that the backend must answer.
    first_request: Option<Instant>,
    /// When the task looks at the clock next by itself.
    task_wakes_at: Instant,
    /// The client's stream is gone.
    abandoned: bool,
    /// Nothing is taken any more.
    ended: bool,
}

/// The client's end of a session. Dropping it ends the session.
#[derive(Debug)]
pub struct Reader(Arc<Session>);

/// Which limit a new session would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// `limits.sessions`
    Host,
    /// `limits.sessions_per_tenant`
    Tenant,
    /// `limits.sessions_per_server`, or the server's own
    Server,
}

/// Why a session cannot be opened. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    /// The gateway is shutting down.
    #[error("the gateway is shutting down and opens no sessions; try again shortly")]
    Draining,
    /// A limit is reached.
    #[error("{}", .0.reason())]
    Full(Full),
    /// The command did not start.
    #[error("the server {0} cannot be started: {reason}; tell the operator, whose log has the detail", reason = .1.public())]
    Start(ServerName, StartFailed),
    /// No random numbers to be had.
    #[error("the host has no random numbers for a session id")]
    NoRandom,
}

/// Why a message cannot be taken. Nothing of it reached the backend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// The session has ended.
    #[error("no such session: it has ended, or never was, or belongs to somebody else; open a new one")]
    NoSession,
    /// The backend does not keep up.
    #[error("the server does not keep up with this session's messages; wait for replies, then send again")]
    Busy,
    /// Requests are not taken while shutting down.
    #[error("the gateway is shutting down; open a new session shortly")]
    Draining,
    /// The id is in use.
    #[error("a request with this id is still open in this session; use a new id for each request")]
    DuplicateId,
    /// Not before `initialize`.
    #[error("session {0} has not been initialized: send an `initialize` request first")]
    NotBegun(SessionTag),
}

// === impl Sessions ===

impl Sessions {
    /// No sessions yet.
    pub fn new(settings: &Settings, starter: Arc<Starter>, lifecycle: Lifecycle) -> Self {
        Self {
            registry: Arc::new(Registry::new(&settings.limits)),
            starter,
            lifecycle,
            limits: settings.limits.clone(),
            timeouts: settings.timeouts.clone(),
        }
    }

    /// Opens a session. Comes back once the command runs; where others are being started, at once, and a
    /// failure is then told on the stream.
    ///
    /// # Errors
    /// If it must not or cannot be opened.
    pub async fn open(&self, plan: LaunchPlan) -> Result<Reader, NotOpened> {
        if self.lifecycle.is_draining() {
            return Err(NotOpened::Draining);
        }
        let seat = self.registry.seat(&plan).map_err(NotOpened::Full)?;
        let session = Arc::new(Session::new(&plan, &self.limits, &self.timeouts)?);
        self.registry.insert(session.clone());
        let reader = Reader(session.clone());
        let server = plan.server().clone();
        let slot = self.starter.try_slot();
        let waits = slot.is_some();
        let (started, outcome) = oneshot::channel();
        let task = task::Task::new(session, plan, seat, self);
        self.lifecycle.spawn(task.run(slot, started));
        if waits && let Ok(Err(failed)) = outcome.await {
            return Err(NotOpened::Start(server, failed));
        }
        Ok(reader)
    }

    /// The session with this id, if it belongs to this tenant and server.
    ///
    /// # Errors
    /// [`Undelivered::NoSession`], whatever the reason.
    pub fn find(
        &self,
        id: &SessionId,
        tenant: &TenantId,
        server: &ServerName,
    ) -> Result<Arc<Session>, Undelivered> {
        let session = self.registry.find(id).ok_or(Undelivered::NoSession)?;
        let theirs = session.tenant == *tenant && session.server == *server;
        if theirs { Ok(session) } else { Err(Undelivered::NoSession) }
    }

    /// How many sessions there are now.
    pub fn active(&self) -> usize {
        self.registry.active()
    }

    /// How many there have been.
    pub fn total(&self) -> u64 {
        self.registry.total()
    }

    /// Whether the gateway is shutting down.
    pub fn is_draining(&self) -> bool {
        self.lifecycle.is_draining()
    }
}

// === impl Session ===

impl Session {
    fn new(plan: &LaunchPlan, limits: &Limits, timeouts: &Timeouts) -> Result<Self, NotOpened> {
        let now = Instant::now();
        let max_queue = usize::try_from(limits.queue.as_u64()).unwrap_or(usize::MAX);
        Ok(Self {
            id: SessionId::draw().map_err(|_| NotOpened::NoRandom)?,
            tenant: plan.tenant().clone(),
            server: plan.server().clone(),
            max_queue,
            start_timeout: timeouts.start,
            state: Mutex::new(State {
                exchange: Exchange::new(timeouts.request),
                outlet: None,
                to_backend: VecDeque::new(),
                to_backend_bytes: 0,
                outbox: Outbox::new(max_queue, now),
                last_message: now,
                first_request: None,
                task_wakes_at: now,
                abandoned: false,
                ended: false,
            }),
            work: Notify::new(),
        })
    }

    /// Takes a message of the client: it has reached the backend or waits for it in order. `revision` is
    /// the protocol version that the request's header named, the sign of a client that has reconnected.
    ///
    /// # Errors
    /// If it cannot be taken; then nothing of it was.
    pub fn deliver(&self, frame: Frame, revision: Option<&str>, draining: bool) -> Result<(), Undelivered> {
        let now = Instant::now();
        let mut state = self.state();
        if state.ended || state.abandoned {
            return Err(Undelivered::NoSession);
        }
        if draining && matches!(frame.kind(), Kind::Request(..)) {
            return Err(Undelivered::Draining);
        }
        if state.to_backend_bytes >= self.max_queue || !state.outbox.has_room() {
            return Err(Undelivered::Busy);
        }
        let not_begun = || Undelivered::NotBegun(self.id.tag()).to_string();
        let ruling =
            state.exchange.client_says(frame, revision, now, not_begun).map_err(|unfit| match unfit {
                Unfit::DuplicateId => Undelivered::DuplicateId,
                Unfit::NotBegun => Undelivered::NotBegun(self.id.tag()),
                Unfit::TooMuch => Undelivered::Busy,
            })?;
        state.last_message = now;
        if state.first_request.is_none() && state.exchange.has_begun() {
            state.first_request = Some(now);
        }
        let start_due = state.first_request.map(|at| at + self.start_timeout);
        let due = [state.exchange.next_deadline(), start_due].into_iter().flatten().min();
        let wake = due.is_some_and(|due| due > now && due < state.task_wakes_at);
        let blocked = match ruling {
            FromClient::Forward(frame) | FromClient::Hold(Some(frame)) => state.forward([frame]) != Sent::All,
            FromClient::Answer(frame) => {
                state.outbox.push(frame, now);
                false
            }
            FromClient::Hold(None) | FromClient::Drop => false,
        };
        drop(state);
        if blocked || wake {
            self.work.notify_one();
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    /// Queues messages for the backend and hands over what it takes now.
    fn forward(&mut self, frames: impl IntoIterator<Item = Frame>) -> Sent {
        for frame in frames {
            self.to_backend.push_back(frame.bytes().clone());
            self.to_backend.push_back(Bytes::from_static(b"\n"));
        }
        self.flush()
    }

    fn flush(&mut self) -> Sent {
        let sent = match &self.outlet {
            Some(outlet) => outlet.send(&mut self.to_backend),
            None => Sent::Some,
        };
        self.to_backend_bytes = self.to_backend.iter().map(Bytes::len).sum();
        sent
    }
}

// === impl Reader ===

impl Reader {
    /// The session's id.
    pub fn id(&self) -> &SessionId {
        &self.0.id
    }

    /// The next messages for the client, or a sign of life; `None` at the end of the session.
    pub fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<Delivery>> {
        let mut state = self.0.state();
        let had_room = state.outbox.has_room();
        let next = state.outbox.poll(cx);
        let has_room = state.outbox.has_room();
        drop(state);
        if !had_room && has_room {
            self.0.work.notify_one();
        }
        next
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.state().abandoned = true;
        self.0.work.notify_one();
    }
}

// === impl Full ===

impl Full {
    fn reason(self) -> &'static str {
        match self {
            Self::Host => "this gateway has as many sessions as it may have; try again later",
            Self::Tenant => "this tenant has as many sessions as it may have; close one, then try again",
            Self::Server => "this server has as many sessions as it may have; try again later",
        }
    }
}
