//! One JSON-RPC message: its bytes, and what its envelope says it is. The bytes are never rebuilt.

use bytes::Bytes;

use super::envelope::Envelope;
use super::id::RequestId;

/// One message on its way between a client and a backend.
///
/// The bytes hold no raw CR or LF, so a frame fits on one line of stdio and in one SSE `data:` field.
#[derive(Clone, Debug)]
pub struct Frame {
    bytes: Bytes,
    kind: Kind,
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
    /// `notifications/cancelled`, with the request it names if it names one.
    Cancelled(Option<RequestId>),
    /// Any other.
    Other,
}

/// Why a text is not one message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not JSON at all.
    #[error("the message is not valid JSON: {0}")]
    NotJson(String),
    /// An array of messages.
    #[error("a batch (a JSON array) is not accepted here: send one message at a time")]
    Batch,
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
            Some(b'{') => serde_json::from_str::<Envelope<'_>>(text).map_err(|e| fault(text, &e))?,
            Some(b'[') if is_json(text) => return Err(Malformed::Batch),
            _ if is_json(text) => return Err(Malformed::NotMessage("it is not an object")),
            _ => return Err(Malformed::NotJson("it does not begin with `{`".into())),
        };
        let kind = classify(&envelope)?;
        Ok(Self { bytes: one_line(bytes), kind })
    }

    /// The messages of a batch, one frame or fault each; a single message is a batch of one.
    ///
    /// # Errors
    /// If the bytes are no JSON array and no message either.
    pub fn parse_all(bytes: Bytes) -> Result<Vec<Result<Self, Malformed>>, Malformed> {
        match Self::parse(bytes.clone()) {
            Err(Malformed::Batch) => {}
            other => return other.map(|frame| vec![Ok(frame)]),
        }
        let members: Vec<&serde_json::value::RawValue> =
            serde_json::from_slice(&bytes).map_err(|e| Malformed::NotJson(e.to_string()))?;
        Ok(members.iter().map(|m| Self::parse(bytes.slice_ref(m.get().as_bytes()))).collect())
    }

    /// A request of our own making. `bytes` must be the text of just that request.
    pub(crate) fn request(bytes: Bytes, id: RequestId, method: Method) -> Self {
        Self { bytes, kind: Kind::Request(id, method) }
    }

    /// A notification of our own making.
    pub(crate) fn notification(bytes: Bytes) -> Self {
        Self { bytes, kind: Kind::Notification(Method::Other) }
    }

    /// A response of our own making.
    pub(super) fn error_response(bytes: Bytes, id: RequestId) -> Self {
        Self { bytes, kind: Kind::Response(Some(id)) }
    }

    /// The message, without a line break at its end.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What the message is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Whether it is an error response (read from the text, for the rare places that ask).
    pub fn is_error(&self) -> bool {
        std::str::from_utf8(&self.bytes)
            .ok()
            .and_then(|text| serde_json::from_str::<Envelope<'_>>(text).ok())
            .is_some_and(|envelope| envelope.has_error)
    }
}

fn classify(envelope: &Envelope<'_>) -> Result<Kind, Malformed> {
    const BAD_ID: Malformed =
        Malformed::NotMessage("`id` must be a string or an integer of at most 256 bytes");
    if !envelope.versioned {
        return Err(Malformed::NotMessage("`jsonrpc` must be \"2.0\""));
    }
    match (&envelope.method, envelope.id, envelope.has_result, envelope.has_error) {
        (Some(_), _, true, _) | (Some(_), _, _, true) => {
            Err(Malformed::NotMessage("it has a `method` and a `result` or `error`"))
        }
        (Some(method), Some(id), ..) => {
            let id = RequestId::parse(id).ok_or(BAD_ID)?;
            Ok(Kind::Request(id, method_of(method, envelope.params)))
        }
        (Some(method), None, ..) => Ok(Kind::Notification(method_of(method, envelope.params))),
        (None, _, true, true) => Err(Malformed::NotMessage("it has both a `result` and an `error`")),
        (None, _, false, false) => {
            Err(Malformed::NotMessage("it has neither `method` nor `result` nor `error`"))
        }
        (None, None | Some("null"), false, true) => Ok(Kind::Response(None)),
        (None, None, true, false) => Err(Malformed::NotMessage("a result needs the `id` that it answers")),
        (None, Some(id), ..) => Ok(Kind::Response(Some(RequestId::parse(id).ok_or(BAD_ID)?))),
    }
}

fn method_of(method: &str, params: Option<&str>) -> Method {
    #[derive(serde::Deserialize)]
    struct Target<'a> {
        #[serde(borrow, rename = "requestId")]
        request: &'a serde_json::value::RawValue,
    }
    match method {
        "initialize" => Method::Initialize,
        "ping" => Method::Ping,
        "notifications/cancelled" => Method::Cancelled(
            params
                .and_then(|params| serde_json::from_str::<Target<'_>>(params).ok())
                .and_then(|target| RequestId::parse(target.request.get())),
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

fn strip_bom(mut bytes: Bytes) -> Bytes {
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

    #[test]
    fn a_batch_is_split() {
        let batch = r#"[{"jsonrpc":"2.0","method":"m"}, 3]"#;
        let frames = Frame::parse_all(Bytes::from(batch)).unwrap();
        assert_eq!(frames[0].as_ref().unwrap().bytes(), r#"{"jsonrpc":"2.0","method":"m"}"#);
        assert!(frames[1].is_err());
    }
}
