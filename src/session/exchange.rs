//! What is open between a client and a backend: which requests wait for an answer, in each direction, and
//! whether the conversation has begun. A state machine without I/O: time comes in as an argument.
//!
//! ```text
//! Fresh ── initialize from the client ──────────────────────────────▶ Open
//!   └──── anything else of a client that reconnected ──▶ Greeting ──▶ Open, then what was held
//!                   a backend of unknown era, asked ──────▲
//! ```
//! A client that reconnects believes itself initialized (protocol.md 1.2), so the handshake with the new
//! backend is performed for it, and what it sends meanwhile is held. Clients of the stateless era wait in
//! the same way until a backend has shown that it speaks their era, where that is not known.

mod requests;
mod route;
#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use self::requests::{Purpose, Request, Requests, Settled};
use super::Transport;
use super::outbox::StreamId;
use crate::mcp::{
    Code, Era, Failure, Frame, Kind, Method, Misfit, Origin, RequestId, STATELESS_VERSIONS, agreed_revision,
    asked_progress, cancelled, discover, era_shown, error_frame, initialize, initialized,
};

/// The state of one conversation.
#[derive(Debug)]
pub(super) struct Exchange {
    transport: Transport,
    stage: Stage,
    /// The client's requests.
    requests: Requests,
    /// The backend's requests to the client.
    asked: HashSet<RequestId>,
    /// Those of them that no stream has taken yet, with when we answer for the client.
    parked: VecDeque<(Instant, RequestId)>,
    /// The revision that both sides agreed on.
    revision: Option<String>,
    /// What the backend has shown itself to be, where we asked.
    shown: Option<Era>,
    /// The number that the next request of a shared backend gets.
    next_number: u64,
}

#[derive(Debug)]
enum Stage {
    Fresh,
    /// Our own first request is on its way; what clients send is held.
    Greeting {
        greeting: RequestId,
        held: Vec<Frame>,
        bytes: usize,
    },
    Open,
}

/// What becomes of a client's message.
#[derive(Debug)]
pub(super) enum FromClient {
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
pub(super) enum FromBackend {
    /// It goes to the client.
    Forward(Addressed),
    /// These go to the backend.
    Reply(Vec<Frame>),
    /// These go to the client instead.
    Answer(Vec<Addressed>),
    /// Nobody waits for it.
    Drop,
}

/// What goes to the client, and on which of its streams.
#[derive(Debug)]
pub(super) struct Addressed {
    pub(super) stream: StreamId,
    pub(super) frame: Option<Frame>,
    /// Whether the stream ends with it.
    pub(super) last: bool,
}

/// Why a message cannot be taken. The client is at fault, or in too much of a hurry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// A request with this id is still open.
    DuplicateId,
    /// Nothing but a request can begin a conversation.
    NotBegun,
    /// Too much is open or held.
    TooMuch,
    /// The conversation has begun already.
    Begun,
}

/// Requests that may be open in one direction.
const MAX_OPEN: usize = 1024;
/// What may be held while we perform a handshake, in bytes.
const MAX_HELD: usize = 1 << 20;

impl Addressed {
    fn message(stream: StreamId, frame: Frame) -> Self {
        Self { stream, frame: Some(frame), last: false }
    }

    fn answer(settled: &Settled, frame: Frame) -> Self {
        Self { stream: settled.request.stream, frame: Some(frame), last: settled.last }
    }

    fn failure(settled: &Settled, failure: &Failure) -> Self {
        Self::answer(settled, failure.frame(settled.request.client_id(&settled.id)))
    }

    fn end(settled: &Settled) -> Self {
        Self { stream: settled.request.stream, frame: None, last: settled.last }
    }
}

impl Exchange {
    pub(super) fn new(transport: Transport, timeout: Duration) -> Self {
        // A client of the stateless era does not begin; it just asks.
        let stage = if transport == Transport::Stateless { Stage::Open } else { Stage::Fresh };
        Self {
            transport,
            stage,
            requests: Requests::new(timeout),
            asked: HashSet::new(),
            parked: VecDeque::new(),
            revision: None,
            shown: None,
            next_number: 1,
        }
    }

    /// The backend's era is not known: this asks it, and clients wait for what it shows.
    pub(super) fn probe(&mut self) -> Frame {
        let (frame, greeting) = discover();
        self.stage = Stage::Greeting { greeting, held: Vec::new(), bytes: 0 };
        frame
    }

    /// Takes a message of the client, whose answers go to `stream`. `revision` is the protocol version that
    /// the request's header named, and `not_begun` the text for a request that comes before `initialize`.
    pub(super) fn client_says(
        &mut self,
        frame: Frame,
        stream: StreamId,
        revision: Option<&str>,
        now: Instant,
        not_begun: impl FnOnce() -> String,
    ) -> Result<FromClient, Unfit> {
        match (&mut self.stage, frame.kind(), revision) {
            (Stage::Open, Kind::Request(_, Method::Initialize), _) if self.revision.is_some() => {
                Err(Unfit::Begun)
            }
            (Stage::Open, ..) => self.forward(frame, stream, now),
            (Stage::Fresh, Kind::Request(_, Method::Ping), None) => self.forward(frame, stream, now),
            (Stage::Fresh, Kind::Request(_, Method::Initialize), _) => {
                let ruling = self.forward(frame, stream, now)?;
                self.stage = Stage::Open;
                Ok(ruling)
            }
            (Stage::Fresh, Kind::Request(id, _), None) => {
                let error = error_frame(id, Code::InvalidRequest, &not_begun());
                Ok(FromClient::Answer(Addressed::message(stream, error)))
            }
            (Stage::Fresh, _, None) => Err(Unfit::NotBegun),
            (Stage::Fresh, _, Some(revision)) => {
                let (handshake, greeting) = initialize(revision);
                self.stage = Stage::Greeting { greeting, held: Vec::new(), bytes: 0 };
                self.hold(frame, stream, now).inspect_err(|_| self.stage = Stage::Fresh)?;
                Ok(FromClient::Hold(Some(handshake)))
            }
            (Stage::Greeting { .. }, ..) => self.hold(frame, stream, now).map(|()| FromClient::Hold(None)),
        }
    }

    fn forward(&mut self, frame: Frame, stream: StreamId, now: Instant) -> Result<FromClient, Unfit> {
        match frame.kind() {
            Kind::Request(..) => return self.expect(frame, stream, now).map(FromClient::Forward),
            Kind::Response(Some(id)) if !self.asked.remove(id) => return Ok(FromClient::Drop),
            Kind::Response(None) => return Ok(FromClient::Drop),
            Kind::Notification(Method::Cancelled(Some(id))) => {
                if self.requests.get(id).is_some_and(|request| request.purpose == Purpose::Initialize) {
                    return Ok(FromClient::Drop);
                }
                let settled = self.requests.remove(id).filter(|s| s.request.stream != StreamId::LISTENING);
                if let Some(settled) = settled {
                    return Ok(FromClient::Cancel(frame, Addressed::end(&settled)));
                }
            }
            Kind::Response(Some(_)) | Kind::Notification(_) => {}
        }
        Ok(FromClient::Forward(frame))
    }

    fn hold(&mut self, frame: Frame, stream: StreamId, now: Instant) -> Result<(), Unfit> {
        let Stage::Greeting { bytes, .. } = &self.stage else { return Ok(()) };
        // One message may be as large as the limit for messages allows.
        if *bytes > 0 && *bytes + frame.bytes().len() > MAX_HELD {
            return Err(Unfit::TooMuch);
        }
        let is_request = matches!(frame.kind(), Kind::Request(..));
        let frame = if is_request { self.expect(frame, stream, now)? } else { frame };
        if let Stage::Greeting { held, bytes, .. } = &mut self.stage {
            *bytes += frame.bytes().len() + 1;
            held.push(frame);
        }
        Ok(())
    }

    /// Notes down a request; as it goes to the backend.
    fn expect(&mut self, frame: Frame, stream: StreamId, now: Instant) -> Result<Frame, Unfit> {
        let Kind::Request(id, method) = frame.kind() else { return Ok(frame) };
        if self.requests.len() >= MAX_OPEN {
            return Err(Unfit::TooMuch);
        }
        let purpose = match method {
            Method::Initialize => Purpose::Initialize,
            Method::Listen if self.transport == Transport::Stateless => Purpose::Listen,
            _ => Purpose::Other,
        };
        let mut request = Request::new(stream, purpose);
        if self.transport == Transport::Stateless {
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

    /// Takes a message of the backend. `listening` says whether somebody reads the listening stream, and
    /// `patience` how long a request may wait for somebody to do so.
    pub(super) fn backend_says(
        &mut self,
        frame: Frame,
        listening: bool,
        now: Instant,
        patience: Duration,
    ) -> FromBackend {
        match frame.kind() {
            Kind::Response(Some(id)) => {
                if matches!(&self.stage, Stage::Greeting { greeting, .. } if greeting == id) {
                    return self.greeted(&frame);
                }
                self.answer(frame)
            }
            Kind::Response(None) => FromBackend::Drop,
            Kind::Request(id, _) if self.transport == Transport::Stateless => {
                let refusal = "a server of protocol version 2026-07-28 sends no requests; \
                               it returns `input_required`";
                FromBackend::Reply(vec![error_frame(id, Code::InvalidRequest, refusal)])
            }
            Kind::Request(id, _) if self.asked.len() >= MAX_OPEN => {
                let refusal = "too many requests to this client are open";
                FromBackend::Reply(vec![error_frame(id, Code::Internal, refusal)])
            }
            Kind::Notification(_) if self.transport == Transport::Stateless => self.route_shared(frame),
            Kind::Request(id, _) => {
                let id = id.clone();
                self.asked.insert(id.clone());
                let addressed = self.addressed(frame, listening);
                if addressed.stream == StreamId::LISTENING && !listening {
                    self.parked.push_back((now + patience, id));
                }
                FromBackend::Forward(addressed)
            }
            Kind::Notification(method) => {
                if let Method::Cancelled(Some(id)) = method {
                    self.asked.remove(id);
                }
                FromBackend::Forward(self.addressed(frame, listening))
            }
        }
    }

    fn addressed(&self, frame: Frame, listening: bool) -> Addressed {
        match self.transport {
            Transport::Streamable => self.route(frame, listening),
            _ => Addressed::message(StreamId::LISTENING, frame),
        }
    }

    fn answer(&mut self, frame: Frame) -> FromBackend {
        let Kind::Response(Some(id)) = frame.kind() else { return FromBackend::Drop };
        let Some(settled) = self.requests.remove(id) else { return FromBackend::Drop };
        if settled.request.purpose == Purpose::Initialize {
            self.revision = agreed_revision(&frame);
        }
        let frame = match &settled.request.origin {
            Some(origin) => origin.restore_response(&frame),
            None => frame,
        };
        FromBackend::Forward(Addressed::answer(&settled, frame))
    }

    /// The backend has answered our own first request.
    fn greeted(&mut self, answer: &Frame) -> FromBackend {
        let Stage::Greeting { held, .. } = std::mem::replace(&mut self.stage, Stage::Open) else {
            return FromBackend::Drop;
        };
        if self.transport == Transport::Stateless {
            let era = era_shown(answer);
            self.shown = Some(era);
            return match era {
                Era::Stateless => FromBackend::Reply(held),
                Era::Handshake => FromBackend::Answer(self.fail_all(&wrong_era())),
            };
        }
        if answer.is_error() {
            self.stage = Stage::Fresh;
            let reason = "the server refused the handshake that was performed for this reconnected client; \
                          open a new session and initialize it";
            return FromBackend::Answer(self.fail_all(&Failure::new(Code::Internal, reason)));
        }
        self.revision = agreed_revision(answer);
        // A response that a client sends to a new backend answers a question that nobody asked.
        let held = held.into_iter().filter(|frame| !matches!(frame.kind(), Kind::Response(_)));
        FromBackend::Reply(std::iter::once(initialized()).chain(held).collect())
    }

    /// Settles the requests whose time is up; each one's error for the client, and what tells the backend.
    pub(super) fn expire(&mut self, now: Instant, reason: &str) -> Vec<(Addressed, Frame)> {
        let failure = Failure::new(Code::Internal, reason);
        let expired = self.requests.take_expired(now);
        expired.iter().map(|s| (Addressed::failure(s, &failure), cancelled(&s.id, "timed out"))).collect()
    }

    /// Answers the backend's requests that nobody came to take.
    pub(super) fn answer_parked(&mut self, now: Instant, listening: bool) -> Vec<Frame> {
        let mut answers = Vec::new();
        while let Some((_, id)) = self.parked.pop_front_if(|(due, _)| *due <= now) {
            if !listening && self.asked.remove(&id) {
                let reason = "the client has no stream open on which it could be asked";
                answers.push(error_frame(&id, Code::Internal, reason));
            }
        }
        answers
    }

    /// Whether the stream waits for an answer.
    pub(super) fn awaits(&self, stream: StreamId) -> bool {
        self.requests.has_stream(stream)
    }

    /// The client of this stream has gone; what tells the backend.
    pub(super) fn abandon(&mut self, stream: StreamId) -> Vec<Frame> {
        let settled = self.requests.take_stream(stream);
        settled.iter().map(|s| cancelled(&s.id, "the client closed the connection")).collect()
    }

    /// When something is due by itself.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let parked = self.parked.front().map(|(due, _)| *due);
        self.requests.next_deadline().into_iter().chain(parked).min()
    }

    /// Whether the client waits for nothing but the end of subscriptions.
    pub(super) fn is_idle(&self) -> bool {
        self.requests.is_idle()
    }

    /// Whether the client waits for nothing at all.
    pub(super) fn is_quiet(&self) -> bool {
        self.requests.len() == 0
    }

    /// Whether something was sent that the backend must answer.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.stage, Stage::Fresh) && !self.requests.is_idle()
    }

    /// Whether the backend's era is still being found out.
    pub(super) fn is_probing(&self) -> bool {
        self.transport == Transport::Stateless && matches!(self.stage, Stage::Greeting { .. })
    }

    /// What the backend has shown itself to be, where we asked.
    pub(super) fn shown(&self) -> Option<Era> {
        self.shown
    }

    /// The revision that both sides agreed on.
    pub(super) fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// Settles every request of the client with an error.
    pub(super) fn fail_all(&mut self, failure: &Failure) -> Vec<Addressed> {
        self.requests.take_all().iter().map(|settled| Addressed::failure(settled, failure)).collect()
    }
}

/// The server speaks the handshake era only, and this client the other.
pub(super) fn wrong_era() -> Failure {
    Failure::from(&Misfit::version(STATELESS_VERSIONS[0], Era::Handshake))
}
