//! The messages that begin a conversation of the handshake era, for a client that cannot send them itself
//! any more, and what the answer says.

use std::sync::Arc;

use super::frame::Frame;
use super::id::RequestId;
use super::introduction::own_info;
use super::members::{decode, members};
use super::profile::SERVER_INFO;
use super::splice;

/// An id that no SDK draws: they count, or draw UUIDs.
const HANDSHAKE_ID: &str = r#""lockgate-handshake""#;

/// Longer than any revision is called.
const MAX_REVISION: usize = 64;

/// An `initialize` request for a client of this revision, which offers nothing; and its id.
pub fn initialize(revision: &str) -> (Frame, RequestId) {
    let id = RequestId::literal(HANDSHAKE_ID);
    let params = format!(
        r#"{{"protocolVersion":{},"capabilities":{{}},"clientInfo":{}}}"#,
        serde_json::Value::from(revision),
        own_info()
    );
    (splice::request(&id, "initialize", &params), id)
}

/// The notification that ends the handshake.
pub fn initialized() -> Frame {
    splice::notification("notifications/initialized", "{}")
}

/// Tells a client that the server has forgotten what it knew of the session: a line of its log, and that its lists
/// may be others now.
pub fn started_over(server: &str) -> [Frame; 4] {
    let text = format!(
        "the remote server {server} had ended the session and was initialized again; what it remembered of it is lost"
    );
    let log = serde_json::json!({ "level": "warning", "logger": "lockgate", "data": text });
    [
        splice::notification("notifications/message", &log.to_string()),
        splice::notification("notifications/tools/list_changed", "{}"),
        splice::notification("notifications/resources/list_changed", "{}"),
        splice::notification("notifications/prompts/list_changed", "{}"),
    ]
}

/// What a server calls itself, and its version: in the answer to `initialize`, or to `server/discover`, where
/// it stands in `_meta`.
pub(super) fn server_info(answer: &Frame) -> Option<(String, String)> {
    let member = |text, name| members(text, [name]).ok().and_then(|[token]| token);
    let result = Some(answer).filter(|answer| !answer.is_error())?.payload();
    let meta = || member(member(result, "_meta")?, SERVER_INFO);
    let [name, version] = members(member(result, "serverInfo").or_else(meta)?, ["name", "version"]).ok()?;
    Some((decode(name?)?.into_owned(), decode(version?)?.into_owned()))
}

/// The revision that the answer to `initialize` settles on; `None` if it is an error or settles on none.
pub fn agreed_revision(answer: &Frame) -> Option<Arc<str>> {
    let [revision] =
        members(Some(answer).filter(|answer| !answer.is_error())?.payload(), ["protocolVersion"]).ok()?;
    let revision = decode(revision.filter(|token| token.len() <= MAX_REVISION)?)?;
    Some(revision.into())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_server_says_who_it_is_in_either_era() {
        let says = |result: &str| {
            let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
            server_info(&Frame::parse(Bytes::from(text)).unwrap())
        };
        let expected = Some(("a".to_owned(), "1".to_owned()));
        let info = r#"{"name":"a","version":"1"}"#;
        assert_eq!(says(&format!(r#"{{"serverInfo":{info}}}"#)), expected);
        assert_eq!(
            says(&format!(r#"{{"_meta":{{"io.modelcontextprotocol/serverInfo":{info}}}}}"#)),
            expected
        );
        assert_eq!(says("{}"), None);
    }
}
