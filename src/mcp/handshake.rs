//! The messages that begin a conversation of the handshake era, for a client that cannot send them itself
//! any more, and what the answer says.

use super::frame::Frame;
use super::id::RequestId;
use super::splice;

/// An id that no SDK draws: they count, or draw UUIDs.
const HANDSHAKE_ID: &str = r#""lockgate-handshake""#;

/// An `initialize` request for a client of this revision, which offers nothing; and its id.
pub fn initialize(revision: &str) -> (Frame, RequestId) {
    let id = RequestId::literal(HANDSHAKE_ID);
    let params = format!(
        r#"{{"protocolVersion":{},"capabilities":{{}},"clientInfo":{{"name":"lockgate","version":"{}"}}}}"#,
        serde_json::Value::from(revision),
        env!("CARGO_PKG_VERSION")
    );
    (splice::request(&id, "initialize", &params), id)
}

/// The notification that ends the handshake.
pub fn initialized() -> Frame {
    splice::notification("notifications/initialized", "{}")
}

/// The revision that the answer to `initialize` settles on; `None` if it is an error.
pub fn agreed_revision(answer: &Frame) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Settled {
        #[serde(rename = "protocolVersion")]
        revision: String,
    }
    let settled = serde_json::from_str::<Settled>(answer.payload()).ok().filter(|_| !answer.is_error())?;
    Some(settled.revision)
}
