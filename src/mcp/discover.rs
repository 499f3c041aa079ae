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

/// What this message shows, if it is the answer to such a request of ours.
pub(super) fn shown_by(message: &Frame) -> Option<Era> {
    let answers = matches!(message.kind(), Kind::Response(Some(id)) if id.token() == DISCOVER_ID);
    answers.then(|| era_shown(message))
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
    if versions.is_some_and(has_stateless) { Era::Stateless } else { Era::Handshake }
}

/// Whether a server that answers `initialize` with this error may speak the stateless era: it says so, or does not
/// know what it is asked. Some that only dislike what they are told say the same, so that this is no proof; and as
/// one of them may end itself over [`discover`], all other errors are taken for what they say.
pub(super) fn may_be_stateless(refusal: &Frame) -> bool {
    let unknown = [Code::NoMethod, Code::InvalidRequest, Code::InvalidParams, Code::UnsupportedVersion]
        .map(Code::number);
    let says_so = || {
        let [data] = members(refusal.payload(), ["data"]).ok()?;
        let [supported] = members(data?, ["supported"]).ok()?;
        supported.map(has_stateless)
    };
    error_code(refusal)
        .is_some_and(|code| unknown.iter().any(|own| i64::from(*own) == code) || says_so() == Some(true))
}

/// Whether a list of versions, as JSON text, has one of the stateless era that is served.
fn has_stateless(versions: &str) -> bool {
    let versions = serde_json::from_str::<Vec<&str>>(versions);
    versions.is_ok_and(|all| all.iter().any(|one| STATELESS_VERSIONS.contains(one)))
}

/// A `tools/list` request for one page, of a client of the stateless era.
pub fn list_tools(cursor: Option<&str>) -> Frame {
    list_tools_in(Era::Stateless, cursor).0
}

/// The same in either era, and its id.
pub(super) fn list_tools_in(era: Era, cursor: Option<&str>) -> (Frame, RequestId) {
    let mut params = match era {
        Era::Handshake => json!({}),
        Era::Stateless => json!({ "_meta": envelope() }),
    };
    if let Some(cursor) = cursor {
        params["cursor"] = cursor.into();
    }
    let id = RequestId::literal(TOOLS_ID);
    (splice::request(&id, "tools/list", &params.to_string()), id)
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

    #[test]
    fn who_does_not_know_initialize_or_names_a_version_may_be_of_the_stateless_era() {
        let may = |rest: &str| {
            may_be_stateless(
                &Frame::parse(Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":1,{rest}}}"#))).unwrap(),
            )
        };
        let error = |code: i64, data: &str| may(&format!(r#""error":{{"code":{code},"message":""{data}}}"#));
        for code in [-32601, -32600, -32602, -32022] {
            assert!(error(code, ""), "{code}");
        }
        for code in [-32000, -32603, -32700, 7] {
            assert!(!error(code, ""), "{code}");
            assert!(error(code, r#","data":{"supported":["2025-11-25","2026-07-28"]}"#), "{code}");
            for data in [r#"{"supported":["2025-11-25"]}"#, r#"{"supported":7}"#, r#"["2026-07-28"]"#, "null"]
            {
                assert!(!error(code, &format!(r#","data":{data}"#)), "{code}, {data}");
            }
        }
        assert!(!may(r#""result":{"supportedVersions":["2026-07-28"]}"#), "it has agreed");
    }
}
