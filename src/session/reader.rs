//! The client's end of one stream.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Instant;

use super::outbox::{Delivery, EventId, StreamId};
use super::refusal::NotResumed;
use super::{Session, Transport};
use crate::access::Lost;
use crate::catalog::LaunchPlan;
use crate::mcp::Kind;

/// Reads one stream of a session.
///
/// What dropping it means is the transport's affair: it ends a session of `sse`, cancels a request where clients
/// share the session, and leaves a `streamable` session as it is, whose client may come back for the rest.
#[derive(Debug)]
pub struct Reader {
    session: Arc<Session>,
    ticket: u64,
    /// The event before the first that this reader gets.
    origin: EventId,
    /// The client knows how to come back for this stream.
    resumable: bool,
}

impl Reader {
    pub(super) fn new(session: Arc<Session>, (ticket, origin): (u64, EventId)) -> Self {
        Self { session, ticket, origin, resumable: origin.stream == StreamId::LISTENING }
    }

    /// Ties the request of a client that shares the session to the secret it came with, which may have been revoked since
    /// it was admitted.
    pub(super) fn called_by(self, plan: &LaunchPlan) -> Result<Self, Lost> {
        let permit = plan.permit();
        self.session.state().callers.insert(self.origin.stream, *permit.key());
        // From here on the session's task sees to it.
        permit.still_opens(plan.server()).map(|()| self)
    }

    /// The session.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The id of the event before the first that comes.
    pub fn origin(&self) -> EventId {
        self.origin
    }

    /// The next messages for the client; `None` at the end of the stream.
    pub fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<Delivery>> {
        let mut state = self.session.state();
        let had_room = state.outbox.has_room();
        let next = state.outbox.poll(self.origin.stream, self.ticket, cx);
        let has_room = state.outbox.has_room();
        if let Poll::Ready(Some(delivery)) = &next {
            let answers = delivery.frames.iter().filter(|frame| matches!(frame.kind(), Kind::Response(_)));
            answers.for_each(|_| self.session.figures.taken(delivery.waited));
        }
        drop(state);
        if !had_room && has_room {
            self.session.work.notify_one();
        }
        next
    }

    /// Whether everything was read, and nothing more comes.
    pub fn has_ended(&self) -> bool {
        self.session.state().outbox.has_ended(self.origin.stream, self.ticket)
    }

    /// Whether the stream has ended because the gateway does, while others go on: its client had better come back
    /// soon. Whose requests each stand for themselves has no stream to come back for.
    pub fn is_sent_away(&self) -> bool {
        !self.session.transport.is_shared() && self.session.state().sent_away
    }

    /// The next messages, for callers that wait.
    pub async fn next(&mut self) -> Option<Delivery> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The client is about to learn the ids of this stream's events, if that is of use to it. Says whether.
    pub fn make_resumable(&mut self) -> bool {
        self.resumable = self.session.transport == Transport::Streamable;
        self.resumable
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.session.state();
        let had_room = state.outbox.has_room();
        let mut wake = false;
        match self.session.transport {
            Transport::Sse => {
                state.abandoned = true;
                wake = true;
            }
            // Until `initialize` is answered nobody else could come for the session.
            Transport::Streamable if !state.exchange.is_initialized() => {
                state.abandoned = true;
                wake = true;
            }
            Transport::Streamable if self.resumable => state.outbox.detach(self.origin.stream, self.ticket),
            Transport::Streamable => state.outbox.forget(self.origin.stream, Some(self.ticket)),
            Transport::Stateless => {
                state.outbox.forget(self.origin.stream, None);
                state.callers.remove(&self.origin.stream);
                let cancelled = state.exchange.abandon(self.origin.stream);
                wake = !cancelled.is_empty();
                self.session.forward(&mut state, cancelled, Instant::now());
            }
        }
        wake |= !had_room && state.outbox.has_room();
        drop(state);
        if wake {
            self.session.work.notify_one();
        }
    }
}

impl Session {
    /// Reads what belongs to no request. Whoever did so before reads no more.
    ///
    /// # Errors
    /// If the session has ended.
    pub fn listen(self: &Arc<Self>) -> Result<Reader, NotResumed> {
        self.attach(StreamId::LISTENING, None)
    }

    /// Reads a stream from behind the event that the client saw last.
    ///
    /// # Errors
    /// If there is nothing to be had.
    pub fn resume(self: &Arc<Self>, last: EventId) -> Result<Reader, NotResumed> {
        let mut reader = self.attach(last.stream, Some(last.number))?;
        reader.resumable = true;
        Ok(reader)
    }

    fn attach(self: &Arc<Self>, stream: StreamId, seen: Option<u64>) -> Result<Reader, NotResumed> {
        let mut state = self.state();
        if state.ended || state.abandoned {
            return Err(NotResumed::NoSession);
        }
        if seen.is_some_and(|seen| state.outbox.is_exhausted(stream, seen)) {
            return Err(NotResumed::Exhausted);
        }
        let place = state.outbox.attach(stream, seen, Instant::now()).map_err(|_| NotResumed::Lost)?;
        drop(state);
        Ok(Reader::new(self.clone(), place))
    }
}
