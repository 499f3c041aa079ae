//! The two messages that begin a conversation of the handshake era, for a client that cannot send them
//! itself any more.

use bytes::Bytes;

use super::frame::{Frame, Method};
use super::id::RequestId;

/// An id that no SDK draws: they count, or draw UUIDs.
const HANDSHAKE_ID: &str = r#""lockgate-handshake""#;

/// An `initialize` request for a client of this revision, which offers nothing; and its id.
pub fn initialize(revision: &str) -> (Frame, RequestId) {
    let revision = serde_json::Value::from(revision);
    let text = format!(
        concat!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"initialize","params":{{"protocolVersion":{},"#,
            r#""capabilities":{{}},"clientInfo":{{"name":"lockgate","version":"{}"}}}}}}"#
        ),
        HANDSHAKE_ID,
        revision,
        env!("CARGO_PKG_VERSION")
    );
    let id = RequestId::literal(HANDSHAKE_ID);
    (Frame::request(Bytes::from(text), id.clone(), Method::Initialize), id)
}

/// The notification that ends the handshake.
pub fn initialized() -> Frame {
    Frame::notification(Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#))
}
