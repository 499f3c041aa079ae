//! JSON-RPC error codes, and error messages as frames.

use bytes::Bytes;

use super::frame::Frame;
use super::id::RequestId;

/// The error codes that Lockgate itself uses (JSON-RPC 2.0 section 5.1; −32000 and −32001 as the official
/// SDKs use them).
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
        }
    }

    /// The text of an error response; `id` is null where the request's id is not known.
    pub fn body(self, id: Option<&RequestId>, message: &str) -> String {
        let id = id.map_or("null", RequestId::token);
        let message = serde_json::Value::from(message);
        format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{},"message":{message}}}}}"#, self.number())
    }
}

/// An error response to the request `id`, as a frame of our own making.
pub fn error_frame(id: &RequestId, code: Code, message: &str) -> Frame {
    Frame::error_response(Bytes::from(code.body(Some(id), message)), id.clone())
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
    }
}
