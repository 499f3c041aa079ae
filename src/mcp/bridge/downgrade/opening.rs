//! What a client of the handshake era begins with: its `initialize` becomes a `server/discover`, whose answer
//! becomes that of `initialize`.

use std::collections::VecDeque;

use super::answers;
use super::envelope::Envelope;
use crate::mcp::bridge::waiting::Waiting;
use crate::mcp::discover::era_shown;
use crate::mcp::edits::Edits;
use crate::mcp::error::{Code, Failure, error_frame};
use crate::mcp::frame::Frame;
use crate::mcp::id::RequestId;
use crate::mcp::introduction::Introduction;
use crate::mcp::members::{decode, members};
use crate::mcp::profile::Profile;
use crate::mcp::splice;
use crate::mcp::version::{Era, agree};

/// An `initialize` that waits for what the backend says of itself.
#[derive(Debug)]
pub(super) struct Opening {
    /// The client's id.
    pub(super) id: RequestId,
    /// Ours for the backend.
    pub(super) number: RequestId,
    pub(super) envelope: Envelope,
    revision: &'static str,
    /// What the client has said meanwhile.
    held: Waiting,
}

/// How large a client's introduction may be in bytes, as each of its requests carries it.
const MAX_INTRODUCTION: usize = 64 << 10;

impl Opening {
    /// With the request for the backend.
    ///
    /// # Errors
    /// If the client does not introduce itself as it must.
    pub(super) fn begin(
        initialize: &Frame,
        id: &RequestId,
        number: RequestId,
    ) -> Result<(Self, Frame), Failure> {
        let refused = |words| Err(Failure::new(Code::InvalidParams, words));
        if initialize.payload().len() > MAX_INTRODUCTION {
            return refused("what a client says of itself in `initialize` must be at most 64 KiB long");
        }
        let Some(introduction) = Introduction::read(initialize) else {
            return refused("`initialize` must say what the client can do in `capabilities`, an object");
        };
        let asked =
            members(initialize.payload(), ["protocolVersion"]).ok().and_then(|[token]| decode(token?));
        let revision = agree(asked.as_deref());
        let envelope = Envelope::new(introduction, revision);
        let params = format!(r#"{{"_meta":{}}}"#, envelope.meta());
        let discover = splice::request(&number, "server/discover", &params);
        Ok((Self { id: id.clone(), number, envelope, revision, held: Waiting::default() }, discover))
    }

    /// The answer to `initialize`, and what the backend is, if it is what it must be.
    pub(super) fn agreed(&self, discovered: &Frame, server: &str) -> Option<(Frame, Profile)> {
        let profile =
            Some(discovered).filter(|answer| era_shown(answer) == Era::Stateless).and_then(Profile::read)?;
        Some((self.agree(&profile, server)?, profile))
    }

    /// The answer to `initialize` of a backend that is not. What it has said to the client's own words comes first.
    pub(super) fn refused(&self, discovered: &Frame, refusal: Option<&Frame>) -> Frame {
        match refusal {
            Some(refusal) => refusal.addressed_to(&self.id),
            None if discovered.is_error() => answers::error(&self.id, discovered),
            None => {
                let words = "the server does not say that it speaks a protocol version which is served here; \
                             tell the operator";
                error_frame(&self.id, Code::Internal, words)
            }
        }
    }

    /// Without what cannot be had through a bridge.
    fn agree(&self, profile: &Profile, server: &str) -> Option<Frame> {
        let result = format!(r#"{{"protocolVersion":"{}",{}}}"#, self.revision, profile.introduce(server));
        let answer = splice::response(&self.id, &result);
        let [capabilities] = members(answer.payload(), ["capabilities"]).ok()?;
        let mut edits = Edits::of(&answer);
        edits.reshape(capabilities?, |name| matches!(name, "extensions" | "tasks"), "").ok()?;
        Some(edits.done(None))
    }

    /// Holds what the client says too early. Says whether there is room for it.
    pub(super) fn hold(&mut self, frame: Frame) -> bool {
        self.held.push(frame)
    }

    /// Lets go of a request that is held.
    pub(super) fn release(&mut self, id: &RequestId) {
        self.held.remove(id);
    }

    pub(super) fn holds(&self, id: &RequestId) -> bool {
        self.held.holds(id)
    }

    pub(super) fn held(&self) -> usize {
        self.held.bytes()
    }

    /// What the client has said, in its order.
    pub(super) fn take_held(&mut self) -> VecDeque<Frame> {
        self.held.take()
    }
}
