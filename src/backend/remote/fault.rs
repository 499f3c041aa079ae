//! What can go wrong with a remote server, as its client is told.

use reqwest::StatusCode;

use super::unreachable::Unreachable;

/// Why one message came to nothing. The texts go on after the server's name, and hold nothing of the inside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// No connection.
    #[error("cannot be reached; try again shortly, or tell the operator, whose log has the detail")]
    Unreachable,
    /// No connection that is safe.
    #[error("cannot be reached safely; tell the operator, whose log has the detail")]
    Unsafe,
    /// Its address is none that the settings allow.
    #[error(
        "has an address that the gateway does not connect to; tell the operator, whose log has the detail"
    )]
    Forbidden,
    /// The connection broke.
    #[error("closed the connection before it answered; call again, or tell the operator")]
    Broken,
    /// What came back ended without the answer.
    #[error("ended its reply before it answered; call again, or tell the operator")]
    Unanswered,
    /// It has taken a request as if it were a notification.
    #[error("took the request without answering it (HTTP {0}); tell the operator")]
    NoReply(StatusCode),
    /// The HTTP status says no.
    #[error("answered with HTTP {0}; call again later, or tell the operator")]
    Status(StatusCode),
    /// It wants another credential, or none of ours.
    #[error("refused the gateway's credential (HTTP {0}); tell the operator")]
    Credential(StatusCode),
    /// The client must send one of its own, and has not, or it cannot be told what for.
    #[error("was not called: {0}")]
    NotCalled(String),
    /// There is no token for it.
    #[error("cannot be called: {0}")]
    NoToken(&'static str),
    /// It sends us elsewhere.
    #[error(
        "redirects to another place, which is not followed; tell the operator, who can set its `url` to that"
    )]
    Redirected,
    /// It answers in a form that is none of MCP's.
    #[error("answered with {0} instead of JSON or an event stream; its `url` may be wrong")]
    Form(String),
    /// It answers with JSON that is no message.
    #[error("answered with what is no JSON-RPC message; tell the operator")]
    Malformed,
    /// There are too many of a kind under way that stays.
    #[error("has as many streams open for this tenant as it may have; end a session or a subscription first")]
    Crowded,
    /// What it calls the session cannot be sent back.
    #[error("gave a session id that cannot be sent back; tell the operator")]
    Session,
    /// A message is too large.
    #[error("sent a reply of more than the {0} bytes that limits.line allows")]
    TooLong(usize),
    /// The session is unknown to it, also once it was begun anew.
    #[error("has ended the session, and does not take it up again; open a new session")]
    Forgotten,
    /// It answers `initialize` with an error.
    #[error("refuses to be initialized; open a new session")]
    Refusing,
    /// Its session could not be begun anew.
    #[error("has ended the session, and could not be initialized again: it {0}")]
    NotBegun(Box<Self>),
    /// The old transport's stream says nothing of where to send messages.
    #[error("names no endpoint of its own to send messages to; tell the operator")]
    NoEndpoint,
    /// It speaks the old transport, which has no other era than its own.
    #[error("speaks HTTP with SSE (2024-11-05)")]
    Older,
    /// The old transport's stream is over, and the session with it.
    #[error("ended its stream; open a new session")]
    Ended,
    /// It took too long.
    #[error("did not answer in time; call again later")]
    Late,
}

impl From<&Unreachable> for Fault {
    fn from(reason: &Unreachable) -> Self {
        match reason {
            Unreachable::Forbidden(_) => Self::Forbidden,
            Unreachable::Unresolved(_) | Unreachable::Unconnected(_) => Self::Unreachable,
            Unreachable::Untrusted(_) | Unreachable::Unequipped(_) => Self::Unsafe,
            Unreachable::Slow => Self::Late,
            Unreachable::Broken(_) => Self::Broken,
        }
    }
}
