//! JSON-RPC error codes, and error messages as frames.

use serde_json::Value;

use super::frame::Frame;
use super::id::RequestId;
use super::members::members;
use super::splice;

/// The error codes that Lockgate itself uses: JSON-RPC 2.0 section 5.1; −32000 and −32001 as the official
/// SDKs use them; −32020 to −32022 of MCP 2026-07-28.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The body is not JSON.
    Parse,
    /// The body is JSON, but no JSON-RPC message, or one that cannot be sent now.
    InvalidRequest,
    /// The backend or the gateway failed.
    Internal,
    /// The request was refused before it reached a backend.
    Refused,
    /// There is no such session.
    NoSession,
    /// There is no such method.
    NoMethod,
    /// The parameters are not what the method demands.
    InvalidParams,
    /// A header that mirrors the body is missing or says something else.
    HeaderMismatch,
    /// What the server needs of the client, the client has not declared.
    MissingCapability,
    /// The protocol version is not served.
    UnsupportedVersion,
}

impl Code {
    /// The number on the wire.
    pub fn number(self) -> i32 {
        match self {
            Self::Parse => -32700,
            Self::InvalidRequest => -32600,
            Self::Internal => -32603,
            Self::Refused => -32000,
            Self::NoSession => -32001,
            Self::NoMethod => -32601,
            Self::InvalidParams => -32602,
            Self::HeaderMismatch => -32020,
            Self::MissingCapability => -32021,
            Self::UnsupportedVersion => -32022,
        }
    }

    /// The text of an error response; `id` is null where the request's id is not known.
    pub fn body(self, id: Option<&RequestId>, message: &str) -> String {
        Failure::new(self, message).body(id)
    }
}

/// What goes into the `error` of a response.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What kind it is.
    pub code: Code,
    /// The text for people.
    pub message: String,
    /// What programs may want to know beside the code.
    pub data: Option<Value>,
}

impl Failure {
    /// One without data.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// The error response to a request.
    pub fn frame(&self, id: &RequestId) -> Frame {
        splice::error_response(id, &self.object())
    }

    /// The text of an error response; `id` is null where the request's id is not known.
    pub fn body(&self, id: Option<&RequestId>) -> String {
        let id = id.map_or("null", RequestId::token);
        format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{}}}"#, self.object())
    }

    fn object(&self) -> String {
        let (code, message) = (self.code.number(), Value::from(&*self.message));
        let data = self.data.as_ref().map_or(String::new(), |data| format!(r#","data":{data}"#));
        format!(r#"{{"code":{code},"message":{message}{data}}}"#)
    }
}

/// Errors that say what is wrong with an envelope (MCP 2026-07-28). Where the envelope is not between those who see them,
/// they would be taken for ours.
pub(super) const OF_ENVELOPES: [i64; 3] = [-32020, -32021, -32022];

/// An error response to the request `id`, as a frame of our own making.
pub fn error_frame(id: &RequestId, code: Code, message: &str) -> Frame {
    Failure::new(code, message).frame(id)
}

/// The answer to a request of a backend of the stateless era, where there is none that it could send (MCP 2026-07-28).
pub fn asks_in_vain(id: &RequestId) -> Frame {
    let reason = "a server of protocol version 2026-07-28 sends no requests; it returns `input_required`";
    error_frame(id, Code::NoMethod, reason)
}

/// The code of an error response.
pub fn error_code(frame: &Frame) -> Option<i64> {
    let [code] = members(Some(frame).filter(|frame| frame.is_error())?.payload(), ["code"]).ok()?;
    code?.parse().ok()
}

/// The text of an error response.
pub(super) fn error_message(frame: &Frame) -> Option<String> {
    let [message] = members(Some(frame).filter(|frame| frame.is_error())?.payload(), ["message"]).ok()?;
    serde_json::from_str(message?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_escaped_and_the_id_echoed() {
        let id = RequestId::parse(r#""a\/b""#).unwrap();
        let frame = error_frame(&id, Code::Internal, "a \"quoted\"\nline");
        assert_eq!(
            frame.bytes(),
            r#"{"jsonrpc":"2.0","id":"a\/b","error":{"code":-32603,"message":"a \"quoted\"\nline"}}"#
        );
        assert_eq!(
            (error_code(&frame), error_message(&frame).as_deref()),
            (Some(-32603), Some("a \"quoted\"\nline"))
        );
    }
}
