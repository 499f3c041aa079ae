//! Clients of the stateless era, and a backend of which nobody knows the era: it is asked first, and what the clients
//! say waits. An error shows that it speaks the other era; so does silence, or that it ends over the question, as
//! some do (protocol.md section 4). One that is only late is asked to begin in the other era behind the first
//! question: what it says to that counts then.

use std::time::Duration;

use super::passed::Passed;
use super::{Era, Frame, Sides};
use crate::mcp::discover::{discover, era_shown};
use crate::mcp::error::{Code, error_frame};
use crate::mcp::frame::{Kind, Method};
use crate::mcp::id::RequestId;
use crate::mcp::splice;

/// How long a backend may take to show its era.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Asking {
    sides: Sides,
    question: RequestId,
    held: Vec<Frame>,
    bytes: usize,
    deadline: Option<Duration>,
}

impl Asking {
    pub(super) fn begin(sides: Sides, out: &mut Passed) -> Self {
        let (frame, question) = discover();
        out.to_backend.push(frame);
        Self { sides, question, held: Vec::new(), bytes: 0, deadline: None }
    }

    /// What has been called off before it was sent never reaches the backend.
    pub(super) fn client_says(&mut self, frame: Frame) {
        if let Kind::Notification(Method::Cancelled(Some(id))) = frame.kind() {
            self.held.retain(|held| !matches!(held.kind(), Kind::Request(own, _) if own == id));
        } else {
            self.held.push(frame);
        }
        self.bytes = self.held.iter().map(|held| held.bytes().len()).sum();
    }

    /// What the backend is, if this tells.
    pub(super) fn backend_says(&self, frame: &Frame) -> Option<Era> {
        let answers = matches!(frame.kind(), Kind::Response(Some(id)) if *id == self.question);
        answers.then(|| era_shown(frame))
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

    pub(super) fn held(&self) -> usize {
        self.bytes
    }

    pub(super) fn into_held(self) -> Vec<Frame> {
        self.held
    }

    pub(super) fn into_parts(self) -> (Sides, Vec<Frame>) {
        (self.sides, self.held)
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
