//! Messages that are made here, and messages that change in places: the rest of their bytes stays as it was.

use std::ops::Range;

use super::frame::{Frame, Kind, method_of};
use super::id::RequestId;

/// How a message of our own making with an id begins.
const HEAD: &str = r#"{"jsonrpc":"2.0","id":"#;

/// A request of our own making; `params` is JSON text on one line.
pub(super) fn request(id: &RequestId, name: &str, params: &str) -> Frame {
    let head = format!(r#"{HEAD}{},"method":"#, id.token());
    let method = head.len()..head.len() + name.len() + 2;
    let text = format!(r#"{head}"{name}","params":{params}}}"#);
    let kind = Kind::Request(id.clone(), method_of(name, Some(params)));
    own(text, kind, id_place(id), method, params, false)
}

/// A notification of our own making; `params` is JSON text on one line.
pub(super) fn notification(name: &str, params: &str) -> Frame {
    const HEAD: &str = r#"{"jsonrpc":"2.0","method":"#;
    let method = HEAD.len()..HEAD.len() + name.len() + 2;
    let text = format!(r#"{HEAD}"{name}","params":{params}}}"#);
    own(text, Kind::Notification(method_of(name, Some(params))), 0..0, method, params, false)
}

/// A response of our own making; `result` is JSON text on one line.
pub(super) fn response(id: &RequestId, result: &str) -> Frame {
    let text = format!(r#"{HEAD}{},"result":{result}}}"#, id.token());
    own(text, Kind::Response(Some(id.clone())), id_place(id), 0..0, result, false)
}

/// An error response of our own making; `error` is JSON text on one line.
pub(super) fn error_response(id: &RequestId, error: &str) -> Frame {
    let text = format!(r#"{HEAD}{},"error":{error}}}"#, id.token());
    own(text, Kind::Response(Some(id.clone())), id_place(id), 0..0, error, true)
}

/// A message whose payload is the last thing before the closing brace.
fn own(
    text: String,
    kind: Kind,
    id: Range<usize>,
    method: Range<usize>,
    payload: &str,
    failed: bool,
) -> Frame {
    let end = text.len() - 1;
    Frame { bytes: text.into(), kind, id, method, payload: end - payload.len()..end, failed, beside: None }
}

fn id_place(id: &RequestId) -> Range<usize> {
    HEAD.len()..HEAD.len() + id.token().len()
}

impl Frame {
    /// The same request or response with this id. An error that answers nobody answers this id's request then.
    pub fn addressed_to(&self, id: &RequestId) -> Self {
        match self.kind {
            Kind::Response(None) => error_response(id, self.payload()),
            _ => self.respelled(Some(id), &[]),
        }
    }

    /// The same message with another id, if it has one, and with replacements inside its payload: where,
    /// and by what. They must not overlap.
    pub(super) fn respelled(&self, id: Option<&RequestId>, replacements: &[(Range<usize>, &str)]) -> Self {
        let mut edits: Vec<(Range<usize>, &str)> = replacements.to_vec();
        let mut kind = self.kind.clone();
        if let (Some(new), Kind::Request(old, _) | Kind::Response(Some(old))) = (id, &mut kind) {
            edits.push((self.id.clone(), new.token()));
            *old = new.clone();
        }
        edits.sort_by_key(|(range, _)| range.start);
        let mut text = Vec::with_capacity(self.bytes.len() + 64);
        let mut from = 0;
        for (range, new) in &edits {
            text.extend_from_slice(&self.bytes[from..range.start]);
            text.extend_from_slice(new.as_bytes());
            from = range.end;
        }
        text.extend_from_slice(&self.bytes[from..]);
        let moved = |place: &Range<usize>| shifted(place.start, &edits)..shifted(place.end, &edits);
        let (id, method, payload) = (moved(&self.id), moved(&self.method), moved(&self.payload));
        let (failed, beside) = (self.failed, self.beside.clone());
        Self { bytes: text.into(), kind, id, method, payload, failed, beside }
    }
}

/// Where a place is after the edits before it.
fn shifted(place: usize, edits: &[(Range<usize>, &str)]) -> usize {
    let before = edits.iter().filter(|(range, _)| range.end <= place);
    before.fold(place, |place, (range, new)| place + new.len() - range.len())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn id(token: &str) -> RequestId {
        RequestId::parse(token).unwrap()
    }

    /// What a message made here says of itself is what reading it says.
    fn consistent(frame: &Frame) {
        let read = Frame::parse(frame.bytes().clone()).unwrap();
        assert_eq!(read.kind(), frame.kind());
        assert_eq!(
            (read.id, read.method, read.payload),
            (frame.id.clone(), frame.method.clone(), frame.payload.clone())
        );
        assert_eq!(read.failed, frame.failed);
    }

    #[test]
    fn messages_made_here_are_what_they_say() {
        consistent(&request(&id("7"), "tools/list", r#"{"a":1}"#));
        consistent(&notification("notifications/cancelled", r#"{"requestId":"x"}"#));
        consistent(&response(&id("-1"), "[1]"));
        consistent(&error_response(&id(r#""a\/b""#), r#"{"code":-1,"message":"m"}"#));
    }

    proptest! {
        #[test]
        fn a_respelled_message_differs_in_its_places_only(
            new in "0|[1-9][0-9]{0,8}|\"[a-z]{0,9}\"",
            token in "0|[1-9][0-9]{0,8}|\"[a-z]{0,9}\"",
            last in any::<bool>(),
        ) {
            let params = r#""params":{"x":[1e400,"\ud800"],"t":12345,"y":0}"#;
            let text = if last {
                format!(r#"{{"jsonrpc":"2.0",{params},"method":"m","id":42}}"#)
            } else {
                format!(r#"{{"id":42,"jsonrpc":"2.0","method":"m",{params}}}"#)
            };
            let frame = Frame::parse(Bytes::from(text.clone())).unwrap();
            let at = text.find("12345").unwrap();
            let respelled = frame.respelled(Some(&id(&new)), &[(at..at + 5, &token)]);
            let expected = text.replace("12345", &token).replace("42", &new);
            let same = respelled.bytes() == expected.as_bytes();
            // The replacements themselves may hold what is replaced.
            prop_assert!(same || token.contains("42"));
            consistent(&respelled);
        }
    }
}
