//! A client of the handshake era, and a backend of the stateless era (protocol.md section 5.2).
//!
//! ```text
//! Fresh ── initialize: server/discover goes out ──▶ Discovering ── it is answered ──▶ Open
//!   ▲         (what else the client says is held)        │
//!   └──────── it is refused, or called off ──────────────┘
//!        (if `initialize` itself was refused before, the bridge watches again)
//!
//! A request of the client, once open:
//!                      ┌────────── input_required with questions ──▶ Asking the client
//!           ┌────▶ Sent, under a number of ours ◀── its answers, ────────┘   │
//!           │          │        │                   another number           │ an error
//!    a second later    │        └──── a result or an error ──▶ Answered ◀────┘
//!           │          │                                    (or called off, at any time)
//!         Paced ◀──────┘ input_required without a question
//! ```
//! The backend never sees an id of the client, nor the client one of the backend: both have numbers of ours. What the
//! client is told unasked is in `listening`.

mod answers;
mod envelope;
mod listening;
mod opening;
mod requests;
mod rounds;
#[cfg(test)]
mod tests;
mod traffic;

use std::time::Duration;

use self::envelope::Envelope;
use self::listening::Listening;
use self::opening::Opening;
use self::requests::Requests;
use super::Frame;
use super::passed::Passed;
use crate::mcp::error::{Code, asks_in_vain, error_frame};
use crate::mcp::frame::{Kind, Method};
use crate::mcp::id::RequestId;
use crate::mcp::related::{cancelled, reason};
use crate::mcp::splice;

/// One client and its backend.
#[derive(Debug)]
pub(super) struct Downgrade {
    server: String,
    /// What the backend has said to the client's own `initialize`, if that was tried.
    refusal: Option<Frame>,
    stage: Stage,
    requests: Requests,
    listening: Listening,
    numbers: Numbers,
}

#[derive(Debug)]
enum Stage {
    Fresh,
    Discovering(Box<Opening>),
    Open(Box<Envelope>),
}

/// Where the numbers begin if the backend has seen ids of the client: most clients count from the bottom.
const AFTER_REFUSAL: u64 = 1 << 32;
const EMPTY: &str = "{}";

/// What the backend knows our requests by.
#[derive(Debug)]
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> RequestId {
        self.0 += 1;
        RequestId::number(self.0)
    }

    /// Goes on where most clients never come to.
    fn after_refusal(&mut self) {
        self.0 = self.0.max(AFTER_REFUSAL);
    }

    /// Whether this has been drawn after a refusal. Some clients take the time for an id, which is larger.
    fn is_ours(&self, id: &RequestId) -> bool {
        id.token().parse::<u64>().is_ok_and(|number| (AFTER_REFUSAL + 1..=self.0).contains(&number))
    }
}

impl Downgrade {
    pub(super) fn new(server: String) -> Self {
        Self {
            server,
            refusal: None,
            stage: Stage::Fresh,
            requests: Requests::default(),
            listening: Listening::default(),
            numbers: Numbers(0),
        }
    }

    /// The backend has refused `initialize`. If it does not speak the other era either, that is what the client hears.
    pub(super) fn after_refusal(
        &mut self,
        initialize: Frame,
        refusal: Frame,
        now: Duration,
        out: &mut Passed,
    ) {
        self.refusal = Some(refusal);
        self.numbers.after_refusal();
        self.client_says(initialize, now, out);
    }

    /// Whether the backend has refused to begin in either era, of which the client has been told.
    pub(super) fn is_refused(&self) -> bool {
        self.refusal.is_some() && matches!(self.stage, Stage::Fresh)
    }

    /// The session ends. If the backend has ended over our question, its client still hears what it said before.
    pub(super) fn ends(&mut self, out: &mut Passed) {
        if let (Stage::Discovering(opening), Some(refusal)) = (&self.stage, &self.refusal) {
            out.to_client.push(refusal.addressed_to(&opening.id).into());
            self.stage = Stage::Fresh;
        }
    }

    /// Takes a message of the client, of whose open requests no two have the same id, and which has not too many open:
    /// the session sees to both.
    pub(super) fn client_says(&mut self, frame: Frame, now: Duration, out: &mut Passed) {
        match frame.kind() {
            Kind::Request(id, method) => {
                let id = id.clone();
                match (&mut self.stage, method) {
                    (_, Method::Ping) => out.to_client.push(splice::response(&id, EMPTY).into()),
                    (Stage::Fresh, Method::Initialize) => self.open(&frame, &id, out),
                    (_, Method::Initialize) => {
                        let words = "the session is initialized already, or about to be; go on with it";
                        out.to_client.push(error_frame(&id, Code::InvalidRequest, words).into());
                    }
                    (Stage::Fresh, _) => out.to_client.push(not_begun(&id).into()),
                    (Stage::Discovering(opening), _) => {
                        if !opening.hold(frame) {
                            out.to_client.push(not_begun(&id).into());
                        }
                    }
                    (Stage::Open(_), _) => self.ask(&frame, &id, out),
                }
            }
            Kind::Notification(Method::Cancelled(Some(id))) => self.call_off(id, &frame, now, out),
            Kind::Notification(_) if frame.method() == "notifications/initialized" => self.begin(frame),
            Kind::Response(Some(question)) => self.client_answers(question, &frame, out),
            Kind::Notification(_) | Kind::Response(None) => {}
        }
        self.catch_up(now, out);
    }

    /// Whether the client waits for the answer to a request with this id.
    fn expects(&self, id: &RequestId) -> bool {
        let is_opening = match &self.stage {
            Stage::Discovering(opening) => opening.id == *id || opening.holds(id),
            Stage::Fresh | Stage::Open(_) => false,
        };
        is_opening || self.requests.contains(id) || self.listening.expects(id)
    }

    /// The client begins.
    fn open(&mut self, initialize: &Frame, id: &RequestId, out: &mut Passed) {
        match Opening::begin(initialize, id, self.numbers.next()) {
            Ok((opening, discover)) => {
                out.to_backend.push(discover);
                self.stage = Stage::Discovering(Box::new(opening));
            }
            Err(failure) => out.to_client.push(failure.frame(id).into()),
        }
    }

    /// The backend has said what it is, or that it will not.
    fn discovered(&mut self, answer: &Frame, now: Duration, out: &mut Passed) {
        let Stage::Discovering(mut opening) = std::mem::replace(&mut self.stage, Stage::Fresh) else {
            return;
        };
        let held = opening.take_held();
        let answer = match opening.agreed(answer, &self.server) {
            Some((agreed, profile)) => {
                self.listening = Listening::of(&profile);
                self.stage = Stage::Open(Box::new(opening.envelope));
                agreed
            }
            None => opening.refused(answer, self.refusal.as_ref()),
        };
        out.to_client.push(answer.into());
        held.into_iter().for_each(|frame| self.client_says(frame, now, out));
    }

    /// The client is ready to be told of changes.
    fn begin(&mut self, initialized: Frame) {
        match &mut self.stage {
            Stage::Fresh => {}
            // Without room for it there is none for anything that could change.
            Stage::Discovering(opening) => drop(opening.hold(initialized)),
            Stage::Open(_) => self.listening.begin(),
        }
    }

    /// Whoever waited for the answer to this request does so no more.
    fn call_off(&mut self, id: &RequestId, cancel: &Frame, now: Duration, out: &mut Passed) {
        let reason = reason(cancel);
        if let Stage::Discovering(opening) = &mut self.stage {
            if opening.id != *id {
                return opening.release(id);
            }
            out.to_backend.push(cancelled(&opening.number, &reason));
            let held = opening.take_held();
            self.stage = Stage::Fresh;
            return held.into_iter().for_each(|frame| self.client_says(frame, now, out));
        }
        if !self.listening.call_off(id) {
            self.drop_request(id, &reason, out);
        }
    }

    /// Asks the backend for what the client wants to be told now.
    fn catch_up(&mut self, now: Duration, out: &mut Passed) {
        if let Stage::Open(envelope) = &self.stage
            && self.listening.is_behind()
        {
            self.listening.catch_up(&envelope.meta(), || self.numbers.next(), now, out);
        }
    }

    /// Takes a message of the backend.
    pub(super) fn backend_says(&mut self, frame: Frame, now: Duration, out: &mut Passed) {
        match frame.kind() {
            Kind::Response(Some(number)) => self.backend_answers(number, &frame, now, out),
            Kind::Response(None) => {}
            Kind::Request(id, _) => out.to_backend.push(asks_in_vain(id)),
            Kind::Notification(_) => self.backend_tells(frame, now, out),
        }
        self.catch_up(now, out);
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Duration, out: &mut Passed) {
        while let Some(id) = self.requests.take_due(now) {
            self.send_again(&id, out);
        }
        self.listening.tick(now, out);
        self.catch_up(now, out);
    }

    /// When something is due by itself.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.requests.next_deadline().into_iter().chain(self.listening.next_deadline()).min()
    }

    /// Bytes of what waits until the backend has said what it is. What is kept of requests that it works on, in case
    /// they must be sent again, does not wait.
    pub(super) fn held(&self) -> usize {
        match &self.stage {
            Stage::Discovering(opening) => opening.held(),
            Stage::Fresh | Stage::Open(_) => 0,
        }
    }
}

fn not_begun(id: &RequestId) -> Frame {
    let words = "the session is not initialized yet; send `initialize`, and wait for its answer";
    error_frame(id, Code::InvalidRequest, words)
}
