//! One JSON-RPC message: its bytes, and what its envelope says it is. The bytes are never rebuilt; `splice`
//! changes them in places.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::beside::Beside;
use super::id::RequestId;
use super::members::{decode, members};

/// One message on its way between a client and a backend.
///
/// The bytes hold no raw CR or LF, so a frame fits on one line of stdio and in one SSE `data:` field.
#[derive(Clone, Debug)]
pub struct Frame {
    pub(super) bytes: Bytes,
    pub(super) kind: Kind,
    /// Where the `id` token stands; empty if there is none.
    pub(super) id: Range<usize>,
    /// Where the `method` token stands; empty if there is none.
    pub(super) method: Range<usize>,
    /// Where the value of `params`, `result` or `error` stands; empty if there is none.
    pub(super) payload: Range<usize>,
    /// The payload is an `error`.
    pub(super) failed: bool,
    /// What goes beside it, if something does.
    pub(super) beside: Option<Arc<Beside>>,
}

/// What a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Expects a response with this id.
    Request(RequestId, Method),
    /// Expects none.
    Notification(Method),
    /// Answers the request with this id; `None` answers nobody (an error without an id).
    Response(Option<RequestId>),
}

/// The methods that the way of a message depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// `initialize`
    Initialize,
    /// `ping`
    Ping,
    /// `tools/call`
    CallTool,
    /// `subscriptions/listen`, which is answered when the subscription ends.
    Listen,
    /// `notifications/cancelled`, with the request it names if it names one.
    Cancelled(Option<RequestId>),
    /// `notifications/progress`
    Progress,
    /// `notifications/message`, a line of the server's log.
    Log,
    /// `notifications/tools/list_changed`
    ToolsChanged,
    /// Any other.
    Other,
}

/// Why a text is not one message, or not the messages of a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not JSON at all.
    #[error("the message is not valid JSON: {0}")]
    NotJson(String),
    /// An array of messages.
    #[error("a batch (a JSON array) is not accepted here: send one message at a time")]
    Batch,
    /// A batch of more than so many.
    #[error("the batch has more than {0} members; send several")]
    TooMany(usize),
    /// JSON, but not a JSON-RPC 2.0 message of MCP.
    #[error("not a JSON-RPC 2.0 message: {0}")]
    NotMessage(&'static str),
}

// === impl Frame ===

impl Frame {
    /// Reads one message. A byte order mark at the start is dropped; line breaks, which valid JSON has
    /// between tokens only, become spaces.
    ///
    /// # Errors
    /// If the bytes are not one JSON-RPC message.
    pub fn parse(bytes: Bytes) -> Result<Self, Malformed> {
        let bytes = strip_bom(bytes);
        let text = std::str::from_utf8(&bytes).map_err(|e| Malformed::NotJson(e.to_string()))?;
        let envelope = match text.bytes().find(|b| !b.is_ascii_whitespace()) {
            Some(b'{') => Envelope::read(text).map_err(|e| fault(text, &e))?,
            Some(b'[') if is_json(text) => return Err(Malformed::Batch),
            _ if is_json(text) => return Err(Malformed::NotMessage("it is not an object")),
            _ => return Err(Malformed::NotJson("it does not begin with `{`".into())),
        };
        let kind = envelope.kind()?;
        let place = |token: Option<&str>| token.map_or(0..0, |token| place(text, token));
        let payload = match kind {
            Kind::Response(_) => envelope.result.or(envelope.error),
            Kind::Request(..) | Kind::Notification(_) => envelope.params,
        };
        let (id, method, payload) = (place(envelope.id), place(envelope.method), place(payload));
        let failed = envelope.error.is_some();
        Ok(Self { bytes: one_line(bytes), kind, id, method, payload, failed, beside: None })
    }

    /// The text of `params`, `result` or `error`; empty if there is none.
    pub fn payload(&self) -> &str {
        self.text(self.payload.clone())
    }

    /// Where in the message a part of its payload stands.
    pub(super) fn place_of(&self, part: &str) -> Range<usize> {
        let inside = place(self.payload(), part);
        self.payload.start + inside.start..self.payload.start + inside.end
    }

    /// The message, without a line break at its end.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What the message is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Whether it is the request with this id.
    pub fn is_request(&self, id: &RequestId) -> bool {
        matches!(&self.kind, Kind::Request(own, _) if own == id)
    }

    /// Whether it is an error response.
    pub fn is_error(&self) -> bool {
        self.failed
    }

    /// The method of a request or notification; empty for a response.
    pub fn method(&self) -> Cow<'_, str> {
        decode(self.text(self.method.clone())).unwrap_or_default()
    }

    /// The whole message.
    pub(super) fn whole(&self) -> &str {
        self.text(0..self.bytes.len())
    }

    fn text(&self, place: Range<usize>) -> &str {
        std::str::from_utf8(&self.bytes[place]).unwrap_or_default()
    }
}

/// Where `part`, which must be a slice of `whole`, stands in it.
pub(super) fn place(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
    start..start + part.len()
}

/// The members that decide what a message is, each a slice of its text.
struct Envelope<'a> {
    jsonrpc: Option<&'a str>,
    id: Option<&'a str>,
    method: Option<&'a str>,
    params: Option<&'a str>,
    result: Option<&'a str>,
    error: Option<&'a str>,
}

impl<'a> Envelope<'a> {
    fn read(text: &'a str) -> Result<Self, serde_json::Error> {
        let [jsonrpc, id, method, params, result, error] =
            members(text, ["jsonrpc", "id", "method", "params", "result", "error"])?;
        Ok(Self { jsonrpc, id, method, params, result, error })
    }

    fn kind(&self) -> Result<Kind, Malformed> {
        const BAD_ID: Malformed =
            Malformed::NotMessage("`id` must be a string or an integer of at most 256 bytes");
        let fault = |reason| Err(Malformed::NotMessage(reason));
        if self.jsonrpc != Some(r#""2.0""#) {
            return fault("`jsonrpc` must be \"2.0\"");
        }
        let id = |token| RequestId::parse(token).ok_or(BAD_ID);
        match (self.method.map(decode), self.id, self.result, self.error) {
            (Some(None), ..) => fault("`method` must be a string"),
            (Some(_), _, Some(_), _) | (Some(_), _, _, Some(_)) => {
                fault("it has a `method` and a `result` or `error`")
            }
            (Some(Some(method)), Some(token), ..) => {
                Ok(Kind::Request(id(token)?, method_of(&method, self.params)))
            }
            (Some(Some(method)), None, ..) => Ok(Kind::Notification(method_of(&method, self.params))),
            (None, _, Some(_), Some(_)) => fault("it has both a `result` and an `error`"),
            (None, _, None, None) => fault("it has neither `method` nor `result` nor `error`"),
            (None, None | Some("null"), None, Some(_)) => Ok(Kind::Response(None)),
            (None, None, Some(_), None) => fault("a result needs the `id` that it answers"),
            (None, Some(token), ..) => Ok(Kind::Response(Some(id(token)?))),
        }
    }
}

pub(super) fn method_of(method: &str, params: Option<&str>) -> Method {
    match method {
        "initialize" => Method::Initialize,
        "ping" => Method::Ping,
        "tools/call" => Method::CallTool,
        "subscriptions/listen" => Method::Listen,
        "notifications/tools/list_changed" => Method::ToolsChanged,
        "notifications/progress" => Method::Progress,
        "notifications/message" => Method::Log,
        "notifications/cancelled" => Method::Cancelled(
            params
                .and_then(|params| members(params, ["requestId"]).ok())
                .and_then(|[id]| RequestId::parse(id?)),
        ),
        _ => Method::Other,
    }
}

/// Tells a text that is no JSON from an object that is no message.
fn fault(text: &str, error: &serde_json::Error) -> Malformed {
    if error.is_data() && is_json(text) {
        Malformed::NotMessage("a member is of the wrong type or stands there twice")
    } else {
        Malformed::NotJson(error.to_string())
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

pub(super) fn strip_bom(mut bytes: Bytes) -> Bytes {
    if bytes.starts_with("\u{feff}".as_bytes()) {
        bytes::Buf::advance(&mut bytes, 3);
    }
    bytes
}

fn one_line(bytes: Bytes) -> Bytes {
    if memchr::memchr2(b'\r', b'\n', &bytes).is_none() {
        return bytes;
    }
    bytes.iter().map(|&b| if matches!(b, b'\r' | b'\n') { b' ' } else { b }).collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Frame, Malformed> {
        Frame::parse(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn kind(text: &str) -> Kind {
        parse(text).unwrap().kind
    }

    fn id(token: &str) -> RequestId {
        RequestId::parse(token).unwrap()
    }

    #[test]
    fn every_kind_is_told_apart_in_any_key_order() {
        assert_eq!(kind(r#"{"id":1,"method":"ping","jsonrpc":"2.0"}"#), Kind::Request(id("1"), Method::Ping));
        assert_eq!(kind(r#"{"result":{},"jsonrpc":"2.0","id":0}"#), Kind::Response(Some(id("0"))));
        assert_eq!(kind(r#"{"jsonrpc":"2.0","error":{},"id":null}"#), Kind::Response(None));
        assert_eq!(
            kind(r#"{"jsonrpc":"2.0","method":"notifications\/cancelled","params":{"x":1,"requestId":"q"}}"#),
            Kind::Notification(Method::Cancelled(Some(id(r#""q""#))))
        );
    }

    #[test]
    fn what_is_no_message_is_named() {
        for text in [
            r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#,
            r#"{"jsonrpc":"1.0","id":1,"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":1,"error":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
            "7",
        ] {
            assert!(matches!(parse(text), Err(Malformed::NotMessage(_))), "{text}: {:?}", parse(text));
        }
        for text in ["", "hello", "{", r#"{"a":NaN}"#, "{} x", "[1"] {
            assert!(matches!(parse(text), Err(Malformed::NotJson(_))), "{text}");
        }
        assert_eq!(parse("[]").unwrap_err(), Malformed::Batch);
    }

    #[test]
    fn payload_bytes_pass_untouched() {
        let deep = "[".repeat(5_000) + &"]".repeat(5_000);
        for params in [
            "12345678901234567890123",
            "1e400",
            r#""\ud800""#,
            r#"{"a":1,"a":2}"#,
            "0.1000000000000000055",
            &deep,
        ] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":[{params}]}}"#);
            assert_eq!(parse(&text).unwrap().bytes(), &text);
        }
    }

    #[test]
    fn line_breaks_and_a_byte_order_mark_go() {
        let frame = parse("\u{feff}{\r\n\"jsonrpc\":\"2.0\",\n\"method\":\"m\"}").unwrap();
        assert_eq!(frame.bytes(), "{  \"jsonrpc\":\"2.0\", \"method\":\"m\"}");
    }
}
