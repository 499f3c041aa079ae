//! Requests of our own to a backend of the stateless era: what it is, and what tools it has.

use serde_json::{Value, json};

use super::error::{Code, error_code};
use super::frame::{Frame, Kind};
use super::id::RequestId;
use super::introduction::own_info;
use super::ladder::{CAPABILITIES, CLIENT, VERSION};
use super::members::members;
use super::splice;
use super::version::{Era, STATELESS_VERSIONS};

/// An id that no SDK draws.
const DISCOVER_ID: &str = r#""lockgate-discover""#;
const TOOLS_ID: &str = r#""lockgate-tools""#;

/// A `server/discover` request, and its id. Only a server of the stateless era answers with a result; one
/// of the other may end itself over it (rmcp 1.5), so it is for processes that nobody else uses.
pub(super) fn discover() -> (Frame, RequestId) {
    let id = RequestId::literal(DISCOVER_ID);
    (splice::request(&id, "server/discover", &json!({ "_meta": envelope() }).to_string()), id)
}

/// Whether this is such a request of ours, and no client's.
pub fn is_probe(request: &Frame) -> bool {
    matches!(request.kind(), Kind::Request(id, _) if id.token() == DISCOVER_ID)
        && request.method() == "server/discover"
}

/// What the answer to `server/discover` shows (protocol.md section 4).
pub fn era_shown(answer: &Frame) -> Era {
    let unsupported = i64::from(Code::UnsupportedVersion.number());
    let member = |text, name| members(text, [name]).ok().and_then(|[token]| token);
    let versions = match error_code(answer) {
        None => member(answer.payload(), "supportedVersions"),
        Some(code) if code == unsupported => {
            member(answer.payload(), "data").and_then(|data| member(data, "supported"))
        }
        Some(_) => None,
    };
    let versions = versions.and_then(|token| serde_json::from_str::<Vec<&str>>(token).ok());
    let stateless = versions.is_some_and(|all| all.iter().any(|one| STATELESS_VERSIONS.contains(one)));
    if stateless { Era::Stateless } else { Era::Handshake }
}

/// A `tools/list` request for one page.
pub fn list_tools(cursor: Option<&str>) -> Frame {
    let mut params = json!({ "_meta": envelope() });
    if let Some(cursor) = cursor {
        params["cursor"] = cursor.into();
    }
    splice::request(&RequestId::literal(TOOLS_ID), "tools/list", &params.to_string())
}

fn envelope() -> Value {
    json!({
        VERSION: STATELESS_VERSIONS[0],
        CAPABILITIES: {},
        CLIENT: own_info(),
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn only_a_version_of_the_stateless_era_shows_it() {
        let era = |rest: &str| {
            let text = format!(r#"{{"jsonrpc":"2.0","id":1,{rest}}}"#);
            era_shown(&Frame::parse(Bytes::from(text)).unwrap())
        };
        assert_eq!(era(r#""result":{"supportedVersions":["2025-11-25","2026-07-28"]}"#), Era::Stateless);
        assert_eq!(era(r#""result":{"supportedVersions":["2025-11-25"]}"#), Era::Handshake);
        assert_eq!(era(r#""result":{}"#), Era::Handshake);
        let error = |code: i64, version: &str| {
            era(&format!(r#""error":{{"code":{code},"message":"","data":{{"supported":["{version}"]}}}}"#))
        };
        assert_eq!(error(-32022, "2026-07-28"), Era::Stateless);
        assert_eq!(error(-32022, "2025-11-25"), Era::Handshake);
        assert_eq!(error(-32601, "2026-07-28"), Era::Handshake);
    }
}
