//! Any bytes are one message, several, or none, and what a message says of itself is what its bytes say.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use lockgate::mcp::{
    Frame, IdScanner, Kind, Malformed, Origin, RequestId, agreed_revision, era_shown, error_code, progress,
    subscription,
};
use lockgate_fuzz::{SUBSCRIPTION, Text, at, same, spliced};

/// As for clients.
const MAX_BATCH: usize = 100;

const ASKED: &str =
    r#"{"jsonrpc":"2.0","id":"a\/b","method":"m","params":{"_meta":{"progressToken":"t\/1"}}}"#;

fuzz_target!(|text: Text| {
    let bytes = Bytes::from(text.0);
    let said = Frame::read_all(bytes.clone());
    said.iter().for_each(check);
    match Frame::parse(bytes.clone()) {
        Ok(one) => {
            assert!(matches!(&said[..], [only] if same(only, &one)));
            assert!(Frame::parse_all(bytes, usize::MAX).is_err(), "one message is no batch");
        }
        Err(Malformed::Batch) => match Frame::parse_all(bytes.clone(), MAX_BATCH) {
            Ok(all) => {
                assert!(all.len() <= MAX_BATCH && all.len() == said.len());
                assert!(all.iter().zip(&said).all(|(one, other)| same(one, other)));
            }
            Err(Malformed::TooMany(max)) => assert_eq!(max, MAX_BATCH),
            Err(_) => assert!(Frame::parse_all(bytes, usize::MAX).is_err(), "a fault stays one"),
        },
        Err(_) => assert!(Frame::parse_all(bytes, usize::MAX).is_err(), "no message is no batch"),
    }
});

fn read(text: &str) -> Frame {
    Frame::parse(Bytes::copy_from_slice(text.as_bytes())).expect("this is a message")
}

fn check(frame: &Frame) {
    let text = std::str::from_utf8(frame.bytes()).expect("a message is text");
    assert!(!text.contains(['\r', '\n']));
    consistent(frame);

    let member = |name| at(text, &[name]).expect("a member of a message is there once");
    let (id, payload) = match frame.kind() {
        Kind::Request(id, _) => (Some(id), member("params")),
        Kind::Notification(_) => (None, member("params")),
        Kind::Response(id) => (id.as_ref(), member("result").or(member("error"))),
    };
    assert_eq!(frame.payload(), payload.unwrap_or_default());
    assert!(payload.is_none_or(|json| serde_json::from_str::<serde::de::IgnoredAny>(json).is_ok()));
    assert_eq!(id.map(RequestId::token), member("id").filter(|_| id.is_some()));
    assert_eq!(
        member("method").map_or(String::new(), |name| serde_json::from_str(name).unwrap()),
        frame.method()
    );

    match frame.kind() {
        Kind::Request(id, _) => request(frame, text, id),
        Kind::Notification(_) => notification(frame, text),
        Kind::Response(id) => response(frame, text, id.as_ref()),
    }
}

fn consistent(frame: &Frame) {
    let again = Frame::parse(frame.bytes().clone()).expect("a message is one once it is read");
    assert!(same(frame, &again), "{frame:?} is read as {again:?}");
}

fn request(frame: &Frame, text: &str, id: &RequestId) {
    let number = RequestId::number(u64::MAX);
    let (origin, numbered) = Origin::renumber(frame, id.clone(), &number);
    consistent(&numbered);
    assert!(matches!(numbered.kind(), Kind::Request(new, _) if *new == number));
    // Where members are doubled, the checks of the stateless era come before.
    if let Ok(token) = at(text, &["params", "_meta", "progressToken"])
        && at(text, &["params", "_meta", "io.modelcontextprotocol/logLevel"]).is_ok()
    {
        let own = at(text, &["id"]).expect("it is there once");
        assert_eq!(numbered.bytes(), &spliced(text, &[(own, number.token()), (token, number.token())]));
        let note = read(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{}}}}}"#,
            number.token()
        ));
        let restored = origin.restore_progress(&note);
        restored.iter().for_each(consistent);
        let restored = restored.as_ref().map(|note| at(note.payload(), &["progressToken"]).unwrap().unwrap());
        assert_eq!(restored, token.filter(|token| token.len() <= 256));
    }
    let end = read(&format!(
        r#"{{"result":{{"_meta":{{"{SUBSCRIPTION}":{0}}},"of":{1}}},"id":{0},"jsonrpc":"2.0"}}"#,
        number.token(),
        Some(frame.payload()).filter(|json| !json.is_empty()).unwrap_or("null")
    ));
    let restored = origin.restore_response(&end);
    consistent(&restored);
    assert!(matches!(restored.kind(), Kind::Response(Some(own)) if own.token() == id.token()));
    assert_eq!(subscription(&restored).as_ref(), Some(id));
    assert_eq!(at(restored.payload(), &["of"]).unwrap(), at(end.payload(), &["of"]).unwrap());
}

fn asked() -> (Origin, RequestId) {
    let id = RequestId::parse(r#""a\/b""#).expect("it is a string");
    (Origin::renumber(&read(ASKED), id.clone(), &RequestId::number(1)).0, id)
}

fn notification(frame: &Frame, text: &str) {
    let (origin, id) = asked();
    let restored = origin.restore_subscription(frame);
    consistent(&restored);
    if let Ok(token) = at(text, &["params", "_meta", SUBSCRIPTION]) {
        assert_eq!(restored.bytes(), &spliced(text, &[(token, id.token())]));
    }
    let restored = origin.restore_progress(frame);
    restored.iter().for_each(consistent);
    if let Ok(token) = at(text, &["params", "progressToken"]) {
        let expected = token.map(|token| spliced(text, &[(Some(token), r#""t\/1""#)]));
        assert_eq!(restored.as_ref().map(|note| &note.bytes()[..]), expected.as_deref().map(str::as_bytes));
    }
    assert!(progress(frame).is_none() || restored.is_some());
}

fn response(frame: &Frame, text: &str, answered: Option<&RequestId>) {
    // Nothing is known of what they find; they must only not fail.
    let _ = (agreed_revision(frame), era_shown(frame), error_code(frame));
    let (origin, id) = asked();
    let restored = origin.restore_response(frame);
    consistent(&restored);
    assert_eq!(restored.kind(), &Kind::Response(answered.map(|_| id.clone())));
    let payload = if frame.is_error() { "error" } else { "result" };
    if let Ok(token) = at(text, &[payload, "_meta", SUBSCRIPTION]) {
        let own = at(text, &["id"]).expect("it is there once").filter(|_| answered.is_some());
        assert_eq!(restored.bytes(), &spliced(text, &[(own, id.token()), (token, id.token())]));
    }
    // The scanner does not know escapes in names.
    if !text.contains("\\u") {
        let mut scanner = IdScanner::default();
        text.as_bytes().chunks(7).for_each(|chunk| scanner.feed(chunk));
        assert_eq!(scanner.response_id().as_ref(), answered);
    }
}
