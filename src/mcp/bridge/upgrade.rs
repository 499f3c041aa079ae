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
//!         ┌── the queue is full ──▶ refused
//!      Queued ── its turn, and questions of nobody wait already ──┐
//!         │ its turn                                              ▼
//!         ▼   ┌── a question ─────────────────────────────▶ Gathering ── 50 ms: `input_required` ──▶ Parked
//!      Running ◀── all are withdrawn ──────────────────────────┘  │                                    │
//!         │   ▲                                                   │                                    │
//!         │   └── the client brings everything ───────────────────┼────────────────────────────────────┤
//!         ▼                                                       │                                    │
//!      Answered ◀── the backend needs no answer after all ────────┘                                    │
//!         ▲                                                                                            │
//!         └── the client is back, and the backend has answered meanwhile ──────────────────────────────┘
//! ```
//! Parked is left only by the client, or by time: after 5 minutes, or 30 seconds where another call waits for its
//! turn, the call is called off. Until then an answer of the backend is kept (then nothing is called off), and
//! questions that it withdraws are not asked again. A client that is back without everything is asked for the rest
//! at once: Parked again, with another state. What its client calls off ends in any other state, too; in Queued
//! the backend never hears of it. A backend that has not answered a call which ended may still be at work on it,
//! so no other call of this kind comes to it then (`is_spent`). Error -32042 of the backend, which wants URLs
//! opened first, is an answer: the client gets `input_required`, and its retry is a new call, Queued.
//!
//! Only one call is out of Queued; every other request passes at once. Where clients can be asked nothing, so do calls.
//!
//! Clients' requests come with numbers that are unique in the session, and the backend knows them by these; requests
//! of our own have ids that are strings. What a client calls off is called off at the backend.

mod answers;
mod beginning;
mod calls;
mod conversation;
mod forward;
mod opening;
mod questions;
mod request_state;
mod requests;
mod subscriptions;
#[cfg(test)]
mod tests;
mod unasked;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

pub(super) use self::calls::may_ask;

use self::beginning::{Beginning, Begun};
use self::conversation::Conversation;
use self::request_state::{Means, RequestState};
use super::passed::Passed;
use super::waiting::Waiting;
use super::{Era, Frame, Sides};
use crate::mcp::error::{Code, Failure, error_frame};
use crate::mcp::frame::{Kind, Method};
use crate::mcp::profile::Profile;
use crate::mcp::splice;

/// One backend, and the clients that share it.
#[derive(Debug)]
pub(super) struct Upgrade {
    sides: Arc<Sides>,
    stage: Stage,
}

/// How far the conversation with the backend is.
#[derive(Debug)]
enum Stage {
    /// `initialize` is on its way; what clients say waits.
    Beginning(Box<Beginning>),
    Open(Box<Conversation>),
    /// The backend has refused it, which clients have been told so.
    Refused(Failure),
    /// The backend has refused it, because it speaks the era of the clients. What they have said waits.
    OtherEra(Waiting),
}

const TOO_EARLY: &str = "no client can be asked before the server is initialized";

impl Upgrade {
    /// With `initialize` for the backend.
    pub(super) fn begin(sides: Sides, out: &mut Passed) -> Self {
        let sides = Arc::new(sides);
        Self { stage: Stage::Beginning(Box::new(Beginning::new(&sides, out))), sides }
    }

    pub(super) fn client_says(&mut self, frame: Frame, now: Duration, out: &mut Passed) {
        match &mut self.stage {
            Stage::Open(conversation) => conversation.client_says(frame, now, out),
            Stage::Beginning(beginning) => beginning.client_says(frame, out),
            Stage::OtherEra(held) => held.hold(frame, out),
            Stage::Refused(refusal) => {
                if let Kind::Request(id, _) = frame.kind() {
                    out.to_client.push(refusal.frame(id).into());
                }
            }
        }
    }

    pub(super) fn backend_says(&mut self, frame: Frame, now: Duration, out: &mut Passed) {
        match (&mut self.stage, frame.kind()) {
            (_, Kind::Request(id, Method::Ping)) => out.to_backend.push(splice::response(id, "{}")),
            (Stage::Open(conversation), _) => conversation.backend_says(frame, now, out),
            (Stage::Beginning(beginning), _) => match beginning.backend_says(&frame, now, out) {
                None => {}
                Some(Begun::Open(conversation)) => self.stage = Stage::Open(conversation),
                Some(Begun::Refused(refusal)) => self.stage = Stage::Refused(refusal),
                Some(Begun::OtherEra(held)) => self.stage = Stage::OtherEra(held),
            },
            (Stage::Refused(_), Kind::Request(id, _)) => {
                out.to_backend.push(error_frame(id, Code::Internal, TOO_EARLY));
            }
            (Stage::Refused(_) | Stage::OtherEra(_), _) => {}
        }
    }

    pub(super) fn tick(&mut self, now: Duration, out: &mut Passed) {
        match &mut self.stage {
            Stage::Beginning(beginning) => beginning.questions.refuse_due(now, out),
            Stage::Open(conversation) => conversation.tick(now, out),
            Stage::Refused(_) | Stage::OtherEra(_) => {}
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        match &self.stage {
            Stage::Beginning(beginning) => beginning.questions.next_deadline(),
            Stage::Open(conversation) => conversation.next_deadline(),
            Stage::Refused(_) | Stage::OtherEra(_) => None,
        }
    }

    /// Another backend takes the place of one that has ended before it agreed to anything.
    pub(super) fn begin_again(&mut self, out: &mut Passed) {
        if let Stage::Beginning(beginning) = &mut self.stage {
            let mut again = Beginning::new(&self.sides, out);
            again.held = std::mem::take(&mut beginning.held);
            **beginning = again;
        }
    }

    pub(super) fn is_beginning(&self) -> bool {
        matches!(self.stage, Stage::Beginning(_))
    }

    /// Whether the backend has agreed to converse.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(_))
    }

    /// What clients are told of a backend that would not begin.
    pub(super) fn refusal(&self) -> Option<&Failure> {
        match &self.stage {
            Stage::Refused(refusal) => Some(refusal),
            Stage::Beginning(_) | Stage::Open(_) | Stage::OtherEra(_) => None,
        }
    }

    /// What clients have said so far, if the backend has turned out to speak their era.
    pub(super) fn take_for_other_era(&mut self) -> Option<VecDeque<Frame>> {
        match &mut self.stage {
            Stage::OtherEra(held) => Some(held.take()),
            Stage::Beginning(_) | Stage::Open(_) | Stage::Refused(_) => None,
        }
    }

    /// What the backend says of itself, or has said to others before.
    pub(super) fn profile(&self) -> Option<&Profile> {
        match &self.stage {
            Stage::Open(conversation) => Some(&conversation.profile),
            Stage::Beginning(_) | Stage::Refused(_) | Stage::OtherEra(_) => self.sides.profile.as_ref(),
        }
    }

    /// Bytes of requests that wait.
    pub(super) fn held(&self) -> usize {
        match &self.stage {
            Stage::Beginning(beginning) => beginning.held.bytes(),
            Stage::OtherEra(held) => held.bytes(),
            Stage::Open(conversation) => conversation.calls.queue.bytes(),
            Stage::Refused(_) => 0,
        }
    }

    /// Whether a call waits for what its client has still to bring.
    pub(super) fn is_parked(&self) -> bool {
        matches!(&self.stage, Stage::Open(conversation) if conversation.calls.is_parked())
    }

    /// Whether clients can be asked anything, so that calls in which they may be are taken one at a time.
    pub(super) fn takes_turns(&self) -> bool {
        self.sides.introduction.can_be_asked_anything()
    }

    /// Others wait for their turn.
    pub(super) fn hurry(&mut self) {
        if let Stage::Open(conversation) = &mut self.stage {
            conversation.calls.is_wanted = true;
        }
    }

    /// Whether the backend may still be at work on a call that was called off.
    pub(super) fn is_spent(&self) -> bool {
        matches!(&self.stage, Stage::Open(conversation) if conversation.calls.is_doubtful)
    }

    /// Whether a call in which the backend may ask something would have to wait for another.
    pub(super) fn is_taken(&self) -> bool {
        match &self.stage {
            Stage::Open(conversation) => conversation.calls.current.is_some(),
            Stage::Beginning(beginning) => self.takes_turns() && beginning.held.iter().any(may_ask),
            Stage::Refused(_) | Stage::OtherEra(_) => false,
        }
    }

    /// Whether this is a state that was given out here, and is still of use.
    pub(super) fn has_asked(&self, state: &str) -> bool {
        match (RequestState::open(state, &self.sides.seal).map(|state| state.means), &self.stage) {
            (Some(Means::Round(call, round)), Stage::Open(conversation)) => {
                conversation.calls.is_parked_at(&call, round)
            }
            // Whether its time is up shows when it is brought.
            (Some(Means::Again(_)), _) => true,
            (Some(Means::Round(..)) | None, _) => false,
        }
    }
}
