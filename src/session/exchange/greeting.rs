//! Our own first request to a backend, where there is one: the handshake for a client that reconnected, or
//! the question which era the backend speaks. What clients send meanwhile is held.

use super::super::Transport;
use super::offered::Admitted;
use super::{Exchange, FromBackend, MAX_HELD, Stage, Unfit};
use crate::mcp::{
    Code, Era, Failure, Frame, Kind, Misfit, RequestId, STATELESS_VERSIONS, agreed_revision, discover,
    era_shown, initialized,
};

impl Exchange {
    /// The backend's era is not known: this asks it, and clients wait for what it shows.
    pub(in crate::session) fn probe(&mut self) -> Frame {
        let (frame, greeting) = discover();
        self.stage = Stage::Greeting { greeting, held: Vec::new(), bytes: 0 };
        frame
    }

    pub(super) fn hold(&mut self, said: Admitted<'_>) -> Result<(), Unfit> {
        let Stage::Greeting { bytes, .. } = &self.stage else { return Ok(()) };
        // One message may be as large as the limit for messages allows.
        if *bytes > 0 && *bytes + said.frame.bytes().len() > MAX_HELD {
            return Err(Unfit::TooMuch);
        }
        let is_request = matches!(said.frame.kind(), Kind::Request(..));
        let frame = if is_request { self.expect(said)? } else { said.frame };
        if let Stage::Greeting { held, bytes, .. } = &mut self.stage {
            *bytes += frame.bytes().len() + 1;
            held.push(frame);
        }
        Ok(())
    }

    /// The backend has answered our own first request.
    pub(super) fn greeted(&mut self, answer: &Frame) -> FromBackend {
        let Stage::Greeting { held, .. } = std::mem::replace(&mut self.stage, Stage::Open) else {
            return FromBackend::Drop;
        };
        if self.transport == Transport::Stateless {
            let era = era_shown(answer);
            self.shown = Some(era);
            return match era {
                Era::Stateless => FromBackend::Reply(held),
                // The session ends over it, and tells everybody so.
                Era::Handshake => FromBackend::Drop,
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

    /// Lets go of a request that is held. Says whether there was one.
    pub(super) fn release(&mut self, id: &RequestId) -> bool {
        let Stage::Greeting { held, bytes, .. } = &mut self.stage else { return false };
        let is_it = |frame: &Frame| matches!(frame.kind(), Kind::Request(own, _) if own == id);
        let Some(at) = held.iter().position(is_it) else { return false };
        *bytes -= held.remove(at).bytes().len() + 1;
        true
    }

    /// Whether the backend's era is still being found out.
    pub(in crate::session) fn is_probing(&self) -> bool {
        self.transport == Transport::Stateless && matches!(self.stage, Stage::Greeting { .. })
    }
}

/// The server speaks the handshake era only, and this client the other.
pub(in crate::session) fn wrong_era() -> Failure {
    Failure::from(&Misfit::version(STATELESS_VERSIONS[0], Era::Handshake))
}
