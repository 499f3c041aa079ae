//! `initialize` as it is performed for a client that has reconnected. What it sends meanwhile is held.

use super::offered::Admitted;
use super::{Exchange, FromBackend, MAX_HELD, Stage, Unfit};
use crate::mcp::{Code, Failure, Frame, Kind, RequestId, agreed_revision, initialized};

impl Exchange {
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
        if answer.is_error() {
            self.stage = Stage::Fresh;
            let reason = "the server refused to be initialized once more for this reconnected client; \
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
        let Some(at) = held.iter().position(|frame| frame.is_request(id)) else { return false };
        *bytes -= held.remove(at).bytes().len() + 1;
        true
    }
}
