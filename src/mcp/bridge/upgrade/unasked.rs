//! What the backend says of its own accord: questions to clients, progress, and lines of its log.

use std::time::Duration;

use super::Frame;
use super::calls::PATIENCE;
use super::conversation::Conversation;
use crate::mcp::bridge::passed::{ForClient, Passed};
use crate::mcp::edits::Edits;
use crate::mcp::error::Code;
use crate::mcp::id::RequestId;
use crate::mcp::introduction::{Ask, Introduction};
use crate::mcp::level::Level;
use crate::mcp::members::members;
use crate::mcp::related::progress;

impl Conversation {
    /// The backend asks something.
    pub(super) fn asked(
        &mut self,
        id: &RequestId,
        frame: &Frame,
        now: Duration,
    ) -> Result<(), (Code, &'static str)> {
        let ask = may_be_asked(&self.sides.introduction, frame)?;
        if self.calls.is_doubtful {
            let reason = "another call was called off, and it cannot be told to which of them this belongs";
            return Err((Code::Internal, reason));
        }
        let until = match self.calls.current {
            Some(_) => None,
            None => Some(may_wait(ask, now)?),
        };
        self.questions.add(id, frame, until)?;
        self.settle_questions(now);
        Ok(())
    }

    /// A client is told of the progress of what it waits for, if it wants to be.
    pub(super) fn pass_progress(&self, frame: &Frame, out: &mut Passed) {
        let Some(open) = progress(frame).and_then(|token| self.requests.get(&token)) else { return };
        let Some(client) = open.client.as_ref().filter(|_| open.wants_progress) else { return };
        let Ok([Some(token)]) = members(frame.payload(), ["progressToken"]) else { return };
        let mut edits = Edits::of(frame);
        if token != client.token() {
            edits.replace(token, client.token());
        }
        out.to_client.push(edits.done(None).into());
    }

    /// A line of the log belongs to a request only if there is no other to which it could.
    pub(super) fn pass_log(&self, frame: Frame, out: &mut Passed) {
        let Some(open) = self.requests.only_one().filter(|_| !self.subscriptions.is_asking()) else { return };
        if let (Some(client), Some(wanted)) = (&open.client, open.level)
            && Level::of(&frame).is_some_and(|level| level >= wanted)
        {
            out.to_client.push(ForClient::about(client, frame));
        }
    }
}

/// How long what the backend asks while no call is open waits for one. What was meant for the client of a call that is
/// over must not be put to that of the next; roots are of the whole conversation.
///
/// # Errors
/// What the backend is told if it does not wait.
pub(super) fn may_wait(ask: Ask, now: Duration) -> Result<Duration, (Code, &'static str)> {
    match ask {
        Ask::Roots => Ok(now + PATIENCE),
        Ask::Elicitation | Ask::Sampling => {
            Err((Code::Internal, "no call is open in which a client could be asked"))
        }
    }
}

/// What the backend asks, if clients that have introduced themselves so can be asked it.
///
/// # Errors
/// What the backend is told if they cannot.
pub(super) fn may_be_asked(clients: &Introduction, question: &Frame) -> Result<Ask, (Code, &'static str)> {
    let ask = Ask::of(&question.method()).ok_or((Code::NoMethod, "no client knows this method"))?;
    match clients.can_be_asked(ask, question.payload()) {
        Ok(true) => Ok(ask),
        Ok(false) => Err((Code::NoMethod, "the client has not declared that it can be asked this")),
        Err(_) => Err((Code::Internal, "`params` must be an object, each member there once")),
    }
}
