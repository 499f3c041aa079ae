//! Clients of the stateless era, and a backend of the handshake era (protocol.md section 5.3).
//!
//! The conversation with the backend:
//! ```text
//! Beginning ── it agrees to `initialize` ───────────▶ Open, then what was held
//!     ├─────── it refuses, and shows the other era ──▶ OtherEra: the bridge opens directly
//!     └─────── it refuses ───────────────────────────▶ Refused, and so is whatever clients ask
//! ```
//! A call in which the backend may ask the client something, where clients can be asked:
//! ```text
//! Queued ──▶ Running ── a question ──▶ Asking ── 50 ms later: `input_required` ──▶ Parked
//!             │   ▲                      │ ▲                                        │  └ 5 min; 30 s, if
//!             │   │      all withdrawn   │ └── (questions of nobody, at its begin)   │  others wait ▶ called off
//!             │   ├──────────────────────┘                                          │
//!             │   └───────────────── the client brings everything ──────────────────┤
//!             ▼                                                                     │
//!          Answered ◀──────────── the client is back, the answer was there first ───┘
//! ```
//! A client that is back without everything is asked for the rest at once: Parked again, with another state. Only one
//! call is out of Queued; every other request passes at once. A backend that may ask nothing gets all calls at once.
//!
//! Clients' requests come with numbers that are unique in the session, and the backend knows them by these; requests
//! of our own have ids that are strings. What a client calls off is called off at the backend.

mod answers;
mod calls;
mod forward;
mod meta;
mod opening;
mod questions;
mod request_state;
mod requests;
mod subscriptions;
#[cfg(test)]
mod tests;
mod unasked;
mod waiting;

use std::time::Duration;

pub(super) use self::calls::may_ask;

use self::calls::Calls;
use self::questions::Questions;
use self::request_state::{Means, RequestState};
use self::requests::{OwnIds, Requests};
use self::subscriptions::Subscriptions;
use self::waiting::Waiting;
use super::passed::Passed;
use super::{Era, Frame, Sides};
use crate::mcp::discover::era_shown;
use crate::mcp::error::{Code, Failure, error_frame};
use crate::mcp::frame::{Kind, Method};
use crate::mcp::handshake::initialized;
use crate::mcp::id::RequestId;
use crate::mcp::level::Level;
use crate::mcp::profile::Profile;
use crate::mcp::splice;

/// One backend, and the clients that share it.
#[derive(Debug)]
pub(super) struct Upgrade {
    sides: Sides,
    stage: Stage,
    /// What clients said before the backend has agreed to anything.
    held: Waiting,
    ids: OwnIds,
    /// The id of our `initialize`.
    opening: RequestId,
    /// What clients are told of a backend that has refused it.
    refusal: Option<Failure>,
    /// Who the backend is: JSON text, which goes into each result.
    info: Box<str>,
    requests: Requests,
    calls: Calls,
    questions: Questions,
    /// From which level on the backend was told to keep its log.
    level: Option<Level>,
    subscriptions: Subscriptions,
}

/// How far the conversation with the backend is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// `initialize` is on its way; what clients say waits.
    Beginning,
    Open,
    /// The backend has refused it, and clients have been told.
    Refused,
    /// The backend has refused it, because it speaks the era of the clients. What they have said waits.
    OtherEra,
}

impl Upgrade {
    /// With `initialize` for the backend.
    pub(super) fn begin(sides: Sides, out: &mut Passed) -> Self {
        let mut ids = OwnIds::default();
        let opening = ids.next();
        out.to_backend.push(opening::initialize(&opening, &sides.introduction));
        Self {
            sides,
            stage: Stage::Beginning,
            held: Waiting::default(),
            ids,
            opening,
            refusal: None,
            info: Box::default(),
            requests: Requests::default(),
            calls: Calls::default(),
            questions: Questions::default(),
            level: None,
            subscriptions: Subscriptions::default(),
        }
    }

    pub(super) fn client_says(&mut self, frame: Frame, now: Duration, out: &mut Passed) {
        match frame.kind() {
            Kind::Request(..) if self.stage == Stage::Open => self.take(frame, now, out),
            Kind::Request(id, _) => match (&self.refusal, &self.sides.profile) {
                (Some(refusal), _) => out.to_client.push(refusal.frame(id).into()),
                (None, Some(profile)) if frame.method() == "server/discover" => {
                    out.to_client.push(opening::discovered(id, profile, &self.sides.server).into());
                }
                _ if self.held.push(frame.clone()) => {}
                _ => self.refuse_waiting(&frame, out),
            },
            Kind::Notification(Method::Cancelled(Some(id))) => self.call_off(id, &frame, now, out),
            // The backend would not know what to make of others; answers go another way in this era.
            Kind::Notification(_) | Kind::Response(_) => {}
        }
    }

    pub(super) fn backend_says(&mut self, frame: Frame, now: Duration, out: &mut Passed) {
        match frame.kind() {
            Kind::Response(Some(id)) if self.stage == Stage::Beginning => {
                if *id == self.opening {
                    self.introduced(&frame, now, out);
                }
            }
            Kind::Response(Some(id)) => {
                if !self.subscriptions.answered(&frame, id, &mut self.ids, out) {
                    self.answered(&frame, id, now, out);
                }
            }
            Kind::Response(None) => {}
            Kind::Request(id, Method::Ping) => out.to_backend.push(splice::response(id, "{}")),
            Kind::Request(id, _) => {
                if let Err((code, reason)) = self.asked(id, &frame, now) {
                    out.to_backend.push(error_frame(id, code, reason));
                }
            }
            Kind::Notification(Method::Progress) => self.pass_progress(&frame, out),
            Kind::Notification(Method::Log) => self.pass_log(frame, out),
            Kind::Notification(Method::Cancelled(id)) => {
                id.iter().for_each(|id| self.questions.withdraw(id));
                self.settle_questions(now);
            }
            Kind::Notification(_) => self.subscriptions.tell(&frame, out),
        }
    }

    /// The backend has answered `initialize`.
    fn introduced(&mut self, answer: &Frame, now: Duration, out: &mut Passed) {
        if answer.is_error() && era_shown(answer) == Era::Stateless {
            self.stage = Stage::OtherEra;
            return;
        }
        if answer.is_error() {
            self.stage = Stage::Refused;
            let refusal = opening::refusal(answer);
            self.held.take().iter().for_each(|frame| self.refuse(frame, &refusal, out));
            self.refusal = Some(refusal);
            let reason = "no client can be asked before the server is initialized";
            let unasked = self.questions.take_all();
            out.to_backend.extend(unasked.iter().map(|id| error_frame(id, Code::Internal, reason)));
            return;
        }
        self.stage = Stage::Open;
        let profile = Profile::read(answer).unwrap_or_else(opening::silent);
        self.info = profile.info_or(&self.sides.server).into();
        self.sides.profile = Some(profile);
        out.to_backend.push(initialized());
        for frame in self.held.take() {
            self.take(frame, now, out);
        }
    }

    pub(super) fn tick(&mut self, now: Duration, out: &mut Passed) {
        self.subscriptions.tick(now, &mut self.ids, out);
        let reason = "no call came in which a client could have been asked";
        let unasked = self.questions.take_due(now);
        out.to_backend.extend(unasked.iter().map(|id| error_frame(id, Code::Internal, reason)));
        self.tick_call(now, out);
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let due =
            [self.subscriptions.next_deadline(), self.questions.next_deadline(), self.calls.next_deadline()];
        due.into_iter().flatten().min()
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    /// What the backend has said of itself, once it has.
    pub(super) fn profile(&self) -> Option<&Profile> {
        self.sides.profile.as_ref()
    }

    /// Bytes of requests that wait.
    pub(super) fn held(&self) -> usize {
        self.held.bytes() + self.calls.queue.bytes()
    }

    /// What waits, if the backend turns out to speak the era of the clients.
    pub(super) fn into_held(mut self) -> Vec<Frame> {
        self.held.take().into()
    }

    /// The same, with what another conversation would begin with.
    pub(super) fn into_parts(mut self) -> (Sides, Vec<Frame>) {
        let held = self.held.take().into();
        (self.sides, held)
    }

    /// Whether a call waits for what its client has still to bring.
    pub(super) fn is_parked(&self) -> bool {
        self.calls.is_parked()
    }

    /// Whether a call in which the backend may ask something would have to wait for another.
    pub(super) fn is_taken(&self) -> bool {
        self.calls.current.is_some() || (self.takes_turns() && self.held.iter().any(may_ask))
    }

    /// Others wait for their turn.
    pub(super) fn hurry(&mut self) {
        self.calls.is_wanted = true;
    }

    /// Whether the backend may still be at work on a call that was called off.
    pub(super) fn is_spent(&self) -> bool {
        self.calls.is_doubtful
    }

    /// Whether this is a state that was given out here, and is still of use.
    pub(super) fn has_asked(&self, state: &str) -> bool {
        match RequestState::open(state, &self.sides.seal).map(|state| state.means) {
            Some(Means::Round(call, round)) => self.calls.is_parked_at(&call, round),
            // Whether its time is up shows when it is brought.
            Some(Means::Again(_)) => true,
            None => false,
        }
    }

    /// Whether clients can be asked anything, so that calls in which they may be are taken one at a time.
    pub(super) fn takes_turns(&self) -> bool {
        self.sides.introduction.can_be_asked_anything()
    }

    fn refuse(&self, request: &Frame, failure: &Failure, out: &mut Passed) {
        if let Kind::Request(id, _) = request.kind() {
            out.to_client.push(failure.frame(id).into());
        }
    }
}
