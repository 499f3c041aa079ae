//! What is open between a client and a backend: which requests wait for an answer, in each direction, and
//! whether the conversation has begun. A state machine without I/O: time comes in as an argument.
//!
//! ```text
//! Fresh ── initialize from the client ──────────────────────────────▶ Open
//!   └──── anything else of a client that reconnected ──▶ Greeting ──▶ Open, then what was held
//! ```
//! A client that reconnects believes itself initialized (protocol.md 1.2), so `initialize` is performed for it
//! with the new backend, and what it sends meanwhile is held. Clients that share a session do not begin; they
//! just ask. To an exchange, a backend speaks as its clients do: what is between them is [`crate::mcp::Bridge`].

mod greeting;
mod offered;
mod requests;
mod route;
mod ruling;
#[cfg(test)]
mod tests;
mod unanswered;

use std::collections::{HashSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub(in crate::session) use self::ruling::{Addressed, FromBackend, FromClient, Said, Unfit};

use self::offered::Admitted;
use self::requests::{Purpose, Request, Requests};
use super::Transport;
use super::outbox::{EventId, StreamId};
use crate::catalog::Offer;
use crate::mcp::{
    Code, ForClient, Frame, Kind, Method, Origin, RequestId, agreed_revision, asked_progress, asks_in_vain,
    error_frame, initialize, subscription_ended,
};

/// The state of one conversation.
#[derive(Debug)]
pub(super) struct Exchange {
    transport: Transport,
    /// What may be seen and used by every message.
    offer: Offer,
    stage: Stage,
    /// The client's requests.
    requests: Requests,
    /// The backend's requests to the client.
    asked: HashSet<RequestId>,
    /// Those of them that nobody was there to read, as which event, and when we answer for the client.
    parked: VecDeque<(Instant, RequestId, EventId)>,
    /// The revision that both sides agreed on.
    revision: Option<Arc<str>>,
    /// Whether the backend has agreed to `initialize`; `None` until it has answered.
    initialized: Option<bool>,
    /// The number that the next request of a shared backend gets.
    next_number: u64,
}

#[derive(Debug)]
enum Stage {
    Fresh,
    /// Our own `initialize` is on its way; what the client sends is held.
    Greeting {
        greeting: RequestId,
        held: Vec<Frame>,
        bytes: usize,
    },
    Open,
}

/// Requests that may be open in one direction.
const MAX_OPEN: usize = 1024;
/// What may be held while we perform `initialize`, in bytes.
const MAX_HELD: usize = 1 << 20;

impl Exchange {
    pub(super) fn new(transport: Transport, timeout: Duration, offer: Offer) -> Self {
        let stage = if transport.is_shared() { Stage::Open } else { Stage::Fresh };
        Self {
            transport,
            offer,
            stage,
            requests: Requests::new(timeout),
            asked: HashSet::new(),
            parked: VecDeque::new(),
            revision: None,
            initialized: None,
            next_number: 1,
        }
    }

    /// Takes a message of the client. `not_begun` is the text for a request that comes before `initialize`.
    pub(super) fn client_says(
        &mut self,
        said: Said<'_>,
        not_begun: impl FnOnce() -> String,
    ) -> Result<FromClient, Unfit> {
        let said = match self.admit(said)? {
            ControlFlow::Continue(said) => said,
            ControlFlow::Break(ruling) => return Ok(ruling),
        };
        match (&mut self.stage, said.frame.kind(), said.revision) {
            (Stage::Open, Kind::Request(_, Method::Initialize), _) if self.initialized == Some(true) => {
                Err(Unfit::Begun)
            }
            (Stage::Open, ..) => self.forward(said),
            (Stage::Fresh, Kind::Request(_, Method::Ping), None) => self.forward(said),
            (Stage::Fresh, Kind::Request(_, Method::Initialize), _) => {
                let ruling = self.forward(said)?;
                self.stage = Stage::Open;
                Ok(ruling)
            }
            (Stage::Fresh, Kind::Request(id, _), None) => {
                let error = error_frame(id, Code::InvalidRequest, &not_begun());
                Ok(FromClient::Answer(Addressed::message(said.stream, error)))
            }
            (Stage::Fresh, _, None) => Err(Unfit::NotBegun),
            (Stage::Fresh, _, Some(revision)) => {
                let (initialize, greeting) = initialize(revision);
                self.stage = Stage::Greeting { greeting, held: Vec::new(), bytes: 0 };
                self.hold(said).inspect_err(|_| self.stage = Stage::Fresh)?;
                Ok(FromClient::Hold(Some(initialize)))
            }
            (Stage::Greeting { .. }, ..) => self.hold(said).map(|()| FromClient::Hold(None)),
        }
    }

    fn forward(&mut self, said: Admitted<'_>) -> Result<FromClient, Unfit> {
        match said.frame.kind() {
            Kind::Request(..) => return self.expect(said).map(FromClient::Forward),
            Kind::Response(Some(id)) if !self.asked.remove(id) => return Ok(FromClient::Drop),
            Kind::Response(None) => return Ok(FromClient::Drop),
            Kind::Notification(Method::Cancelled(Some(id))) => {
                if self.requests.get(id).is_some_and(|request| request.purpose == Purpose::Initialize) {
                    return Ok(FromClient::Drop);
                }
                let settled = self.requests.remove(id).filter(|s| s.request.stream != StreamId::LISTENING);
                if let Some(settled) = settled {
                    return Ok(FromClient::Cancel(said.frame, Addressed::end(&settled)));
                }
            }
            Kind::Response(Some(_)) | Kind::Notification(_) => {}
        }
        Ok(FromClient::Forward(said.frame))
    }

    /// Notes down a request; as it goes to the backend.
    fn expect(&mut self, said: Admitted<'_>) -> Result<Frame, Unfit> {
        let Admitted { frame, stream, now, offer, span, .. } = said;
        let Kind::Request(id, method) = frame.kind() else { return Ok(frame) };
        if self.requests.len() >= MAX_OPEN {
            return Err(Unfit::TooMuch);
        }
        let purpose = match method {
            Method::Initialize => Purpose::Initialize,
            Method::Listen if self.transport.is_shared() => Purpose::Listen,
            _ => Purpose::Other,
        };
        let mut request = Request::new(stream, purpose, span);
        request.show(&frame, offer);
        if self.transport.is_shared() {
            let number = RequestId::number(self.next_number);
            self.next_number += 1;
            let (origin, frame) = Origin::renumber(&frame, id.clone(), &number);
            request.origin = Some(origin);
            self.requests.insert(number, request, now);
            return Ok(frame);
        }
        if self.requests.contains(id) {
            return Err(Unfit::DuplicateId);
        }
        if self.transport == Transport::Streamable {
            request.token = asked_progress(&frame);
        }
        self.requests.insert(id.clone(), request, now);
        Ok(frame)
    }

    /// Takes a message of the backend. `listening` says whether somebody reads the listening stream.
    pub(super) fn backend_says(&mut self, said: ForClient, listening: bool) -> FromBackend {
        let ForClient { frame, about } = said;
        match frame.kind() {
            Kind::Response(Some(id)) => {
                if matches!(&self.stage, Stage::Greeting { greeting, .. } if greeting == id) {
                    return self.greeted(&frame);
                }
                self.answer(frame)
            }
            Kind::Response(None) => FromBackend::Drop,
            Kind::Request(id, _) if self.transport.is_shared() => FromBackend::Refuse(asks_in_vain(id)),
            Kind::Request(id, _) if self.asked.len().max(self.parked.len()) >= MAX_OPEN => {
                let refusal = "too many requests to this client are open";
                FromBackend::Refuse(error_frame(id, Code::Internal, refusal))
            }
            Kind::Notification(_) if self.transport.is_shared() => self.route_shared(frame, about.as_ref()),
            Kind::Notification(_) if !self.offer.may_tell(&frame) => FromBackend::Drop,
            Kind::Request(id, _) => {
                self.asked.insert(id.clone());
                FromBackend::Forward(self.addressed(frame, about.as_ref(), listening))
            }
            Kind::Notification(method) => {
                if let Method::Cancelled(Some(id)) = method {
                    self.asked.remove(id);
                }
                FromBackend::Forward(self.addressed(frame, about.as_ref(), listening))
            }
        }
    }

    fn addressed(&self, frame: Frame, about: Option<&RequestId>, listening: bool) -> Addressed {
        match self.transport {
            Transport::Streamable => self.route(frame, about, listening),
            _ => Addressed::message(StreamId::LISTENING, frame),
        }
    }

    fn answer(&mut self, frame: Frame) -> FromBackend {
        let Kind::Response(Some(id)) = frame.kind() else { return FromBackend::Drop };
        let Some(settled) = self.requests.remove(id) else { return FromBackend::Drop };
        if frame.is_error() {
            settled.request.span.fail();
        }
        if settled.request.purpose == Purpose::Initialize {
            self.revision = agreed_revision(&frame);
            self.initialized = Some(!frame.is_error());
        }
        let frame = settled.request.shown(frame);
        let frame = match &settled.request.origin {
            Some(origin) => origin.restore_response(&frame),
            None => frame,
        };
        FromBackend::Forward(Addressed::answer(&settled, frame))
    }

    /// Nobody was there to read a request of the backend: it waits as this event, and so long.
    pub(super) fn park(&mut self, id: RequestId, event: EventId, due: Instant) {
        self.parked.push_back((due, id, event));
    }

    /// Answers the backend's requests that nobody came to take.
    pub(super) fn answer_parked(&mut self, now: Instant, unread: impl Fn(EventId) -> bool) -> Vec<Frame> {
        let mut answers = Vec::new();
        while let Some((_, id, event)) = self.parked.pop_front_if(|(due, ..)| *due <= now) {
            if unread(event) && self.asked.remove(&id) {
                let reason = "the client has no stream open on which it could be asked";
                answers.push(error_frame(&id, Code::Internal, reason));
            }
        }
        answers
    }

    /// The stream does not end with an answer until it may.
    pub(super) fn keep_open(&mut self, stream: StreamId) {
        self.requests.hold(stream);
    }

    /// It may again. Says whether it still waits for an answer.
    pub(super) fn let_close(&mut self, stream: StreamId) -> bool {
        self.requests.release(stream);
        self.requests.has_stream(stream)
    }

    /// When something is due by itself.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let parked = self.parked.front().map(|(due, ..)| *due);
        self.requests.next_deadline().into_iter().chain(parked).min()
    }

    /// Whether the client waits for nothing but the end of subscriptions.
    pub(super) fn is_idle(&self) -> bool {
        self.requests.is_idle()
    }

    /// How many requests of the client wait for something else than the end of a subscription.
    pub(super) fn open(&self) -> usize {
        self.requests.waiting()
    }

    /// Whether the client waits for nothing at all.
    pub(super) fn is_quiet(&self) -> bool {
        self.requests.len() == 0
    }

    /// Whether something was sent that the backend must answer.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.stage, Stage::Fresh) && !self.requests.is_idle()
    }

    /// The revision that both sides agreed on.
    pub(super) fn revision(&self) -> Option<&Arc<str>> {
        self.revision.as_ref()
    }

    /// Ends the subscriptions as clients expect it of a server that stops.
    pub(super) fn end_subscriptions(&mut self) -> Vec<Addressed> {
        let ended = self.requests.take_if(|request| request.purpose == Purpose::Listen);
        ended
            .iter()
            .map(|settled| {
                Addressed::answer(settled, subscription_ended(settled.request.client_id(&settled.id)))
            })
            .collect()
    }

    /// Whether the conversation cannot begin: the client of a session of `streamable` would have to open
    /// another one, while that of `sse` may try again.
    pub(super) fn is_refused(&self) -> bool {
        self.initialized == Some(false) && self.transport == Transport::Streamable
    }

    /// Whether the backend has agreed to `initialize`.
    pub(super) fn is_initialized(&self) -> bool {
        self.initialized == Some(true)
    }
}
