//! Remote servers: what a session has of one is the same as of a child.
//!
//! `conversation` owns what is between one session and its remote server. `errand` is one message and all that
//! comes of it, `listening` the stream beside them; `legacy` is the transport of 2024-11-05. `on_the_way` is how much
//! is under way at once. `request` is how everything is asked for, `reply` reads what comes back, `inbound` takes it
//! to the session, `fault` is what can go wrong, `trouble` what the operator hears of it.
//!
//! A `destination` is a URL that may be asked, by the HTTP client that a thread has for it (`client`). `address` says
//! where servers may be, `unreachable` why one did not answer. `oauth` gets tokens to show to them.

mod address;
mod client;
mod conversation;
mod destination;
mod errand;
mod fault;
mod inbound;
mod legacy;
mod listening;
mod oauth;
mod on_the_way;
mod outbound;
mod reply;
mod request;
#[cfg(test)]
mod stand_in;
mod trouble;
mod unreachable;

pub use self::address::Forbidden;
pub use self::client::blank as http_client;
pub use self::destination::Misplaced;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::address::Reach;
use self::conversation::Conversation;
use self::destination::Destination;
use self::inbound::{Inbound, Message};
use self::oauth::Tokens;
use self::outbound::Outbound;
use self::request::{Peer, Waits};
use self::trouble::Trouble;
use super::backlog::Backlog;
use super::child::{Exit, Line};
use super::link::{Link, Sent};
use crate::catalog::{Endpoint, Grant};
use crate::lifecycle::Lifecycle;
use crate::mcp::Frame;
use crate::settings::{Settings, Timeouts};
use crate::telemetry;

/// Begins conversations, and keeps what they have in common.
#[derive(Debug)]
pub(super) struct Remotes {
    /// The largest message that a remote server may send, in bytes.
    max_message: usize,
    /// What may be on the way to one of them, in bytes: one message that is not taken leaves room for others.
    max_on_the_way: usize,
    tokens: Mutex<HashMap<(Arc<Grant>, Reach), Tokens>>,
    /// Connections for requests, and for what stays.
    calls: Outbound,
    streams: Outbound,
    timeouts: Timeouts,
}

/// Messages towards a remote server.
#[derive(Clone, Debug)]
pub(super) struct Outlet(mpsc::Sender<Frame>);

/// Messages from a remote server.
#[derive(Debug)]
pub(super) struct Inlet {
    messages: mpsc::Receiver<Message>,
    /// The one that was waited for.
    next: Option<Message>,
    ended: bool,
}

/// The life of a conversation. Dropping it ends it at once.
#[derive(Debug)]
pub(super) struct Life {
    /// Cancelled when it shall end.
    ending: CancellationToken,
    /// Cancelled when it has ended.
    ended: CancellationToken,
    /// Why, if it was not asked to.
    reason: Arc<OnceLock<String>>,
    trouble: Arc<Trouble>,
    task: AbortOnDropHandle<()>,
}

/// Messages between a session and its conversation: the rest waits where it is counted.
const BETWEEN: usize = 8;
/// How long a remote server may take to let go of a session.
const LEAVE: Duration = Duration::from_secs(10);
/// Of the descriptors that there may be, one in so many for each kind of connection to remote servers, and no more
/// than so many.
const PART: u64 = 8;
const MOST: usize = 1 << 16;
/// How much longer than its session a request may wait for its answer.
const GRACE: Duration = Duration::from_secs(5);
/// Grants that are remembered, before those are forgotten that nobody uses.
const MAX_GRANTS: usize = 256;

impl Remotes {
    pub(super) fn new(settings: &Settings) -> Self {
        // As many of each kind as leaves the greater part to clients and children.
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let connections = usize::try_from(descriptors / PART).unwrap_or(usize::MAX).clamp(16, MOST);
        let bytes = |size: bytesize::ByteSize| usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
        Self {
            max_message: bytes(settings.limits.line),
            max_on_the_way: bytes(settings.limits.queue) + bytes(settings.limits.message),
            tokens: Mutex::default(),
            calls: Outbound::new(connections),
            streams: Outbound::new(connections),
            timeouts: settings.timeouts.clone(),
        }
    }

    /// Begins a conversation, on the caller's runtime.
    ///
    /// # Errors
    /// If no server may be where it is.
    pub(super) fn reach(&self, endpoint: Endpoint, lifecycle: &Lifecycle) -> Result<Link, Misplaced> {
        let (outlet, frames) = mpsc::channel(BETWEEN);
        let (inbound, messages) = Inbound::new(self.max_message, BETWEEN);
        let lines = [&self.calls, &self.streams].map(|all| all.of(endpoint.tenant()));
        let request = endpoint.timeout().unwrap_or(self.timeouts.request);
        // The session gives it up first, and tells its client so.
        let request = (!request.is_zero()).then(|| request + GRACE);
        let waits = Waits { request, start: self.timeouts.start };
        let tokens = |grant: &Arc<Grant>, reach| self.tokens(grant, reach, lifecycle);
        let peer = Arc::new(Peer::new(endpoint, inbound, lines, waits, tokens)?);
        let (ending, ended) = (CancellationToken::new(), CancellationToken::new());
        let reason = Arc::new(OnceLock::new());
        let trouble = peer.trouble.clone();
        let mut conversation = Conversation::new(peer, frames, self.max_on_the_way);
        let task = lifecycle.spawn_bound(telemetry::follow(None, {
            let (ending, ended, reason) = (ending.clone(), ended.clone().drop_guard(), reason.clone());
            async move {
                if let Some(why) = conversation.run(ending).await {
                    let _ = reason.set(why);
                }
                // In this order: the session, which hears of the end, asks how and why.
                drop(ended);
                drop(conversation);
            }
        }));
        let inlet = Inlet { messages, next: None, ended: false };
        Ok(Link::to_remote(Outlet(outlet), inlet, Life { ending, ended, reason, trouble, task }))
    }

    /// Who asks for tokens by this grant, for all sessions.
    fn tokens(&self, grant: &Arc<Grant>, reach: Reach, lifecycle: &Lifecycle) -> Result<Tokens, Misplaced> {
        let mut all = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (grant.clone(), reach);
        if let Some(known) = all.get(&key) {
            return Ok(known.clone());
        }
        let token_url = Destination::new(grant.token_url.clone(), reach)?;
        let tokens = Tokens::new(grant.clone(), token_url, lifecycle.clone());
        if all.len() >= MAX_GRANTS {
            all.retain(|_, tokens| tokens.are_in_use());
        }
        all.insert(key, tokens.clone());
        Ok(tokens)
    }
}

impl Outlet {
    pub(super) fn send(&self, backlog: &mut Backlog) -> Sent {
        while !backlog.is_empty() {
            match self.0.try_reserve() {
                Ok(room) => {
                    if let Some(frame) = backlog.pop() {
                        room.send(frame);
                    }
                }
                Err(TrySendError::Full(())) => return Sent::Some,
                Err(TrySendError::Closed(())) => return Sent::Closed,
            }
        }
        Sent::All
    }

    pub(super) async fn ready(&self) {
        // That nobody is there shows at the next `send`.
        drop(self.0.reserve().await);
    }
}

impl Inlet {
    pub(super) async fn read(&mut self) {
        if self.next.is_none() {
            self.next = self.messages.recv().await;
            self.ended = self.next.is_none();
        }
    }

    pub(super) fn try_read(&mut self) -> bool {
        self.next = self.next.take().or_else(|| self.messages.try_recv().ok());
        self.next.is_some()
    }

    pub(super) fn next_line(&mut self) -> Option<Line> {
        let next = self.next.take().or_else(|| self.messages.try_recv().ok());
        next.map(|message| Line::Message(message.frame))
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }
}

impl Life {
    pub(super) async fn ended(&self) -> Exit {
        self.ended.cancelled().await;
        Exit::Lost
    }

    pub(super) fn last_words(&self) -> Option<String> {
        self.reason.get().cloned()
    }

    /// Why the server could not be used, for the operator.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.reason().or_else(|| self.last_words())
    }

    /// Lets the conversation take leave, for so long at most.
    pub(super) async fn stop(mut self, limit: Duration) -> Exit {
        self.ending.cancel();
        let _ = timeout(limit.min(LEAVE), &mut self.task).await;
        Exit::Unknown
    }
}
