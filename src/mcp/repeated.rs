//! The headers in which we, as a client of the stateless era, repeat parts of a request (MCP 2026-07-28,
//! transports): the other side of [`Mirror`](super::Mirror).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::frame::{Frame, Kind};
use super::ladder::VERSION;
use super::members::{decode, members};

/// What the headers of one request say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// `MCP-Protocol-Version`
    pub version: String,
    /// `Mcp-Method`
    pub method: String,
    /// `Mcp-Name`, of what the request uses by name.
    pub name: Option<String>,
}

impl Repeated {
    /// Of a request that carries the envelope of the stateless era; others have none of these headers.
    pub fn of(request: &Frame) -> Option<Self> {
        if !matches!(request.kind(), Kind::Request(..)) {
            return None;
        }
        let [meta, name, uri] = members(request.payload(), ["_meta", "name", "uri"]).ok()?;
        let [version] = members(meta?, [VERSION]).ok()?;
        let version = decode(version?)?.into_owned();
        let method = request.method().into_owned();
        let named = match &*method {
            "tools/call" | "prompts/get" => name,
            "resources/read" => uri,
            _ => None,
        };
        Some(Self { version, name: named.and_then(decode).map(|name| wrap(&name)), method })
    }
}

/// The tool that a request calls, if it calls one.
pub fn called_tool(request: &Frame) -> Option<Cow<'_, str>> {
    if request.method() != "tools/call" {
        return None;
    }
    members(request.payload(), ["name"]).ok().and_then(|[name]| decode(name?))
}

/// A text as the value of a header: as it is, if it can be.
pub(super) fn wrap(text: &str) -> String {
    let is_plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let is_trimmed = text.trim() == text && !text.is_empty();
    if is_plain && is_trimmed && !text.starts_with("=?base64?") {
        return text.to_owned();
    }
    format!("=?base64?{}?=", STANDARD.encode(text))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::mcp::{Enveloped, Mirror};

    #[test]
    fn what_is_repeated_passes_our_own_check() {
        for name in ["echo", "é", " x", "=?base64?x?=", "", "a\nb"] {
            let name = serde_json::Value::from(name);
            let text = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"tools\/call","params":{{"name":{name},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
            );
            let frame = Frame::parse(Bytes::from(text)).unwrap();
            let repeated = Repeated::of(&frame).unwrap();
            let sent = repeated.name.unwrap();
            let mirror = Mirror {
                version: vec![repeated.version.as_bytes()],
                method: vec![repeated.method.as_bytes()],
                name: vec![sent.as_bytes()],
                params: Vec::new(),
            };
            assert_eq!(called_tool(&frame).as_deref(), name.as_str());
            assert_eq!(Enveloped::check(frame, &mirror).map(drop), Ok(()), "{name}");
        }
        let bare = Frame::parse(Bytes::from(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)).unwrap();
        assert_eq!((Repeated::of(&bare), called_tool(&bare)), (None, None));
    }
}
