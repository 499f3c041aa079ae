//! The messages that begin a conversation of the handshake era, for a client that cannot send them itself
//! any more, and what the answer says.

use std::sync::Arc;

use super::frame::Frame;
use super::id::RequestId;
use super::members::{decode, members};
use super::splice;

/// An id that no SDK draws: they count, or draw UUIDs.
const HANDSHAKE_ID: &str = r#""lockgate-handshake""#;

/// Longer than any revision is called.
const MAX_REVISION: usize = 64;

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

/// The revision that the answer to `initialize` settles on; `None` if it is an error or settles on none.
pub fn agreed_revision(answer: &Frame) -> Option<Arc<str>> {
    let [revision] =
        members(Some(answer).filter(|answer| !answer.is_error())?.payload(), ["protocolVersion"]).ok()?;
    let revision = decode(revision.filter(|token| token.len() <= MAX_REVISION)?)?;
    Some(revision.into())
}
