//! What becomes of a message.

use tokio::time::Instant;

use super::super::outbox::StreamId;
use super::requests::Settled;
use crate::catalog::Offer;
use crate::mcp::{Failure, Frame};
use crate::telemetry::Span;

/// A message of a client, with what came beside it.
#[derive(Debug)]
pub(in crate::session) struct Said<'a> {
    pub(in crate::session) frame: Frame,
    /// Where its answers go.
    pub(in crate::session) stream: StreamId,
    /// The protocol version that the request's header named.
    pub(in crate::session) revision: Option<&'a str>,
    pub(in crate::session) now: Instant,
    /// What it may use and see, beside what its session may.
    pub(in crate::session) offer: &'a Offer,
    /// Lasts until it is answered.
    pub(in crate::session) span: Span,
}

/// What becomes of a client's message.
#[derive(Debug)]
pub(in crate::session) enum FromClient {
    /// It goes to the backend.
    Forward(Frame),
    /// It is held; this goes to the backend first, if anything.
    Hold(Option<Frame>),
    /// It is answered here.
    Answer(Addressed),
    /// It goes to the backend, and what it calls off is answered no more: clients take a late answer for
    /// an error.
    Cancel(Frame, Addressed),
    /// Nobody waits for it any more.
    Drop,
}

/// What becomes of a backend's message.
#[derive(Debug)]
pub(in crate::session) enum FromBackend {
    /// It goes to the client.
    Forward(Addressed),
    /// These go to the backend.
    Reply(Vec<Frame>),
    /// This goes to the backend, unless that does not even read what it has.
    Refuse(Frame),
    /// These go to the client instead.
    Answer(Vec<Addressed>),
    /// Nobody waits for it.
    Drop,
}

/// What goes to the client, and on which of its streams.
#[derive(Debug)]
pub(in crate::session) struct Addressed {
    pub(in crate::session) stream: StreamId,
    pub(in crate::session) frame: Option<Frame>,
    /// Whether the stream ends with it.
    pub(in crate::session) last: bool,
    /// When what it answers went to the backend.
    pub(in crate::session) asked_at: Option<Instant>,
}

/// Why a message cannot be taken. The client is at fault, or in too much of a hurry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum Unfit {
    /// A request with this id is still open.
    DuplicateId,
    /// Nothing but a request can begin a conversation.
    NotBegun,
    /// Too much is open or held.
    TooMuch,
    /// The conversation has begun already.
    Begun,
}

impl Addressed {
    pub(super) fn message(stream: StreamId, frame: Frame) -> Self {
        Self { stream, frame: Some(frame), last: false, asked_at: None }
    }

    pub(super) fn answer(settled: &Settled, frame: Frame) -> Self {
        let Settled { request, last, .. } = settled;
        Self { stream: request.stream, frame: Some(frame), last: *last, asked_at: request.asked_at }
    }

    pub(super) fn failure(settled: &Settled, failure: &Failure) -> Self {
        Self::answer(settled, failure.frame(settled.request.client_id(&settled.id)))
    }

    pub(super) fn end(settled: &Settled) -> Self {
        Self { stream: settled.request.stream, frame: None, last: settled.last, asked_at: None }
    }
}
