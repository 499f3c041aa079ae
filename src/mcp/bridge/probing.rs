//! Clients of the stateless era, and a backend of which nobody knows the era: it is asked first, and what the clients
//! say waits. An error shows that it speaks the other era; so does silence, or that it ends over the question, as
//! some do (protocol.md section 4). A late one is sent `initialize` behind the question; only the answer to that counts
//! then.

use std::collections::VecDeque;
use std::time::Duration;

use super::passed::Passed;
use super::upgrade::may_ask;
use super::waiting::Waiting;
use super::{Frame, Sides};
use crate::mcp::discover::discover;
use crate::mcp::error::{Code, error_frame};
use crate::mcp::frame::{Kind, Method};
use crate::mcp::splice;

/// How long a backend may take to show its era before it is asked to begin in the other one. Some clients wait 10
/// seconds for all of it.
const PATIENCE: Duration = Duration::from_secs(4);

/// A backend that has been asked for its era, and what waits for the answer.
#[derive(Debug)]
pub(super) struct Probing {
    sides: Sides,
    held: Waiting,
    deadline: Option<Duration>,
}

impl Probing {
    pub(super) fn begin(sides: Sides, out: &mut Passed) -> Self {
        let (question, _) = discover();
        out.to_backend.push(question);
        Self { sides, held: Waiting::default(), deadline: None }
    }

    /// What has been called off before it was sent never reaches the backend, whichever era it is of.
    pub(super) fn client_says(&mut self, frame: Frame, out: &mut Passed) {
        self.held.hold(frame, out);
    }

    pub(super) fn backend_runs(&mut self, now: Duration) {
        self.deadline = Some(now + PATIENCE);
    }

    pub(super) fn is_running(&self) -> bool {
        self.deadline.is_some()
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.deadline.is_some_and(|due| due <= now)
    }

    pub(super) fn takes_turns(&self) -> bool {
        self.sides.introduction.can_be_asked_anything()
    }

    pub(super) fn is_taken(&self) -> bool {
        self.takes_turns() && self.held.iter().any(may_ask)
    }

    pub(super) fn held(&self) -> usize {
        self.held.bytes()
    }

    /// What clients have said so far.
    pub(super) fn take_held(&mut self) -> VecDeque<Frame> {
        self.held.take()
    }

    pub(super) fn sides(&self) -> &Sides {
        &self.sides
    }
}

/// The answer to a request of a backend that has not shown its era: there is nobody whom it could ask.
pub(super) fn too_early(frame: &Frame) -> Option<Frame> {
    match frame.kind() {
        Kind::Request(id, Method::Ping) => Some(splice::response(id, "{}")),
        Kind::Request(id, _) => {
            let words =
                "nobody can be asked before the server has answered `server/discover` or `initialize`";
            Some(error_frame(id, Code::InvalidRequest, words))
        }
        Kind::Notification(_) | Kind::Response(_) => None,
    }
}
