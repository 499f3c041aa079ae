//! What is open between a client and a backend: which requests wait for an answer, in each direction, and
//! whether the conversation has begun. A state machine without I/O: time comes in as an argument.
//!
//! ```text
//! Fresh ── initialize from the client ──────────────────────────────▶ Open
//!   └──── anything else of a client that reconnected ──▶ Resuming ──▶ Open, then what was held
//! ```
//! A client that reconnects believes itself initialized (protocol.md 1.2), so the handshake with the new
//! backend is performed for it, and what it sends meanwhile is held.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::mcp::{Code, Frame, Kind, Method, RequestId, error_frame, initialize, initialized};

/// The state of one conversation.
#[derive(Debug)]
pub(super) struct Exchange {
    stage: Stage,
    /// The client's requests, with when each one's time is up.
    pending: HashMap<RequestId, Option<Instant>>,
    /// The same in the order they came, which is the order their time is up. May name settled ones.
    order: VecDeque<(Instant, RequestId)>,
    /// The backend's requests to the client.
    asked: HashSet<RequestId>,
    /// How long a request may take; `None` for ever.
    timeout: Option<Duration>,
}

#[derive(Debug)]
enum Stage {
    Fresh,
    Resuming { handshake: RequestId, held: Vec<Frame>, bytes: usize },
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
    Answer(Frame),
    /// Nobody waits for it any more.
    Drop,
}

/// What becomes of a backend's message.
#[derive(Debug)]
pub(super) enum FromBackend {
    /// It goes to the client.
    Forward(Frame),
    /// These go to the backend.
    Reply(Vec<Frame>),
    /// These go to the client instead.
    Answer(Vec<Frame>),
    /// Nobody waits for it.
    Drop,
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
}

/// Requests that may be open in one direction.
const MAX_OPEN: usize = 1024;
/// What may be held while we perform a handshake, in bytes.
const MAX_HELD: usize = 1 << 20;

impl Exchange {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            stage: Stage::Fresh,
            pending: HashMap::new(),
            order: VecDeque::new(),
            asked: HashSet::new(),
            timeout: (!timeout.is_zero()).then_some(timeout),
        }
    }

    /// Takes a message of the client. `revision` is the protocol version that its request's header named,
    /// and `not_begun` the text for a request that comes before `initialize`.
    pub(super) fn client_says(
        &mut self,
        frame: Frame,
        revision: Option<&str>,
        now: Instant,
        not_begun: impl FnOnce() -> String,
    ) -> Result<FromClient, Unfit> {
        match (&mut self.stage, frame.kind(), revision) {
            (Stage::Open, ..) => self.forward(frame, now),
            (Stage::Fresh, Kind::Request(_, Method::Ping), None) => self.forward(frame, now),
            (Stage::Fresh, Kind::Request(_, Method::Initialize), _) => {
                let ruling = self.forward(frame, now)?;
                self.stage = Stage::Open;
                Ok(ruling)
            }
            (Stage::Fresh, Kind::Request(id, _), None) => {
                Ok(FromClient::Answer(error_frame(id, Code::InvalidRequest, &not_begun())))
            }
            (Stage::Fresh, _, None) => Err(Unfit::NotBegun),
            (Stage::Fresh, _, Some(revision)) => {
                let (handshake, id) = initialize(revision);
                self.stage = Stage::Resuming { handshake: id, held: Vec::new(), bytes: 0 };
                self.hold(frame, now).inspect_err(|_| self.stage = Stage::Fresh)?;
                Ok(FromClient::Hold(Some(handshake)))
            }
            (Stage::Resuming { .. }, ..) => self.hold(frame, now).map(|()| FromClient::Hold(None)),
        }
    }

    fn forward(&mut self, frame: Frame, now: Instant) -> Result<FromClient, Unfit> {
        match frame.kind() {
            Kind::Request(id, _) => self.expect(id.clone(), now)?,
            Kind::Response(Some(id)) if !self.asked.remove(id) => return Ok(FromClient::Drop),
            Kind::Response(None) => return Ok(FromClient::Drop),
            Kind::Notification(Method::Cancelled(Some(id))) => drop(self.pending.remove(id)),
            Kind::Response(Some(_)) | Kind::Notification(_) => {}
        }
        Ok(FromClient::Forward(frame))
    }

    fn hold(&mut self, frame: Frame, now: Instant) -> Result<(), Unfit> {
        let Stage::Resuming { bytes, .. } = &self.stage else { return Ok(()) };
        // One message may be as large as the limit for messages allows.
        if *bytes > 0 && *bytes + frame.bytes().len() > MAX_HELD {
            return Err(Unfit::TooMuch);
        }
        if let Kind::Request(id, _) = frame.kind() {
            self.expect(id.clone(), now)?;
        }
        if let Stage::Resuming { held, bytes, .. } = &mut self.stage {
            *bytes += frame.bytes().len() + 1;
            held.push(frame);
        }
        Ok(())
    }

    fn expect(&mut self, id: RequestId, now: Instant) -> Result<(), Unfit> {
        if self.pending.contains_key(&id) {
            return Err(Unfit::DuplicateId);
        }
        if self.pending.len() >= MAX_OPEN {
            return Err(Unfit::TooMuch);
        }
        let deadline = self.timeout.map(|timeout| now + timeout);
        if let Some(deadline) = deadline {
            self.order.push_back((deadline, id.clone()));
        }
        self.pending.insert(id, deadline);
        Ok(())
    }

    /// Takes a message of the backend.
    pub(super) fn backend_says(&mut self, frame: Frame) -> FromBackend {
        match frame.kind() {
            Kind::Response(Some(id)) => {
                if matches!(&self.stage, Stage::Resuming { handshake, .. } if handshake == id) {
                    return self.resume(&frame);
                }
                if self.pending.remove(id).is_none() {
                    return FromBackend::Drop;
                }
                self.forget_settled();
                FromBackend::Forward(frame)
            }
            Kind::Response(None) => FromBackend::Drop,
            Kind::Request(id, _) if self.asked.len() >= MAX_OPEN => {
                let refusal = "too many requests to this client are open";
                FromBackend::Reply(vec![error_frame(id, Code::Internal, refusal)])
            }
            Kind::Request(id, _) => {
                self.asked.insert(id.clone());
                FromBackend::Forward(frame)
            }
            Kind::Notification(Method::Cancelled(Some(id))) => {
                self.asked.remove(id);
                FromBackend::Forward(frame)
            }
            Kind::Notification(_) => FromBackend::Forward(frame),
        }
    }

    /// The backend has answered our `initialize`.
    fn resume(&mut self, answer: &Frame) -> FromBackend {
        let Stage::Resuming { held, .. } = std::mem::replace(&mut self.stage, Stage::Open) else {
            return FromBackend::Drop;
        };
        if answer.is_error() {
            self.stage = Stage::Fresh;
            let reason = "the server refused the handshake that was performed for this reconnected client; \
                          open a new session and initialize it";
            return FromBackend::Answer(self.fail_all(Code::Internal, reason));
        }
        // A response that a client sends to a new backend answers a question that nobody asked.
        let held = held.into_iter().filter(|frame| !matches!(frame.kind(), Kind::Response(_)));
        FromBackend::Reply(std::iter::once(initialized()).chain(held).collect())
    }

    /// Settles the requests whose time is up; each one's error for the client, and what tells the backend.
    pub(super) fn expire(&mut self, now: Instant, reason: &str) -> Vec<(Frame, Frame)> {
        let mut expired = Vec::new();
        while let Some((deadline, _)) = self.order.front()
            && *deadline <= now
            && let Some((deadline, id)) = self.order.pop_front()
        {
            if self.pending.get(&id) == Some(&Some(deadline)) {
                self.pending.remove(&id);
                expired.push((error_frame(&id, Code::Internal, reason), cancelled(&id)));
            }
        }
        expired
    }

    /// When the next request's time is up.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.order.front().map(|(deadline, _)| *deadline)
    }

    /// Whether the client waits for anything.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether the requests of the client include one that the backend can answer already.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.stage, Stage::Fresh)
    }

    /// Settles every request of the client with an error.
    pub(super) fn fail_all(&mut self, code: Code, reason: &str) -> Vec<Frame> {
        self.order.clear();
        self.pending.drain().map(|(id, _)| error_frame(&id, code, reason)).collect()
    }

    /// Keeps `order` from growing with requests that were answered.
    fn forget_settled(&mut self) {
        let settled = |(deadline, id): &(Instant, RequestId)| self.pending.get(id) != Some(&Some(*deadline));
        while self.order.front().is_some_and(settled) {
            self.order.pop_front();
        }
        if self.order.len() > 2 * self.pending.len() + 16 {
            let pending = &self.pending;
            self.order.retain(|(deadline, id)| pending.get(id) == Some(&Some(*deadline)));
        }
    }
}

fn cancelled(id: &RequestId) -> Frame {
    let id = id.token();
    Frame::notification(Bytes::from(format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"timed out"}}}}"#
    )))
}

#[cfg(test)]
mod tests;
