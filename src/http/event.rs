//! Server-sent events as bytes: each one a single piece, ready for the socket.

use actix_web::web::{Bytes, BytesMut};

use crate::mcp::Frame;

/// The comment that shows an idle stream to be alive.
pub(super) const HEARTBEAT: &[u8] = b": keepalive\n\n";

const HEAD: &[u8] = b"event: message\ndata: ";
const TAIL: &[u8] = b"\n\n";

/// The first event of the `sse` transport: where to post messages.
pub(super) fn endpoint(uri: &str) -> Bytes {
    Bytes::from(format!("event: endpoint\ndata: {uri}\n\n"))
}

/// One `message` event for each frame, one behind the other.
pub(super) fn messages(frames: &[Frame]) -> Bytes {
    let size = frames.iter().map(|frame| HEAD.len() + frame.bytes().len() + TAIL.len()).sum();
    let mut out = BytesMut::with_capacity(size);
    for frame in frames {
        out.extend_from_slice(HEAD);
        extend_escaped(&mut out, frame.bytes());
        out.extend_from_slice(TAIL);
    }
    out.freeze()
}

/// Copies JSON text. U+0085, U+2028 and U+2029, which JSON has inside strings only, are escaped there: old
/// clients take them for line ends (httpx-sse 0.4.0). A frame has no CR or LF.
fn extend_escaped(out: &mut BytesMut, mut text: &[u8]) {
    let mut from = 0;
    while let Some(at) = memchr::memchr2(0xc2, 0xe2, &text[from..]).map(|at| from + at) {
        let (length, escape): (usize, &[u8]) = match text[at..] {
            [0xc2, 0x85, ..] => (2, b"\\u0085"),
            [0xe2, 0x80, 0xa8, ..] => (3, b"\\u2028"),
            [0xe2, 0x80, 0xa9, ..] => (3, b"\\u2029"),
            _ => {
                from = at + 1;
                continue;
            }
        };
        out.extend_from_slice(&text[..at]);
        out.extend_from_slice(escape);
        text = &text[at + length..];
        from = 0;
    }
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_data_line_that_means_the_same() {
        let text = "{\"jsonrpc\":\"2.0\",\"method\":\"a\u{85}b\u{2028}\u{2029}c\u{e2}\u{20ac}\u{a2}\"}";
        let frame = Frame::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap();
        let event = String::from_utf8(messages(&[frame.clone(), frame]).to_vec()).unwrap();
        let events: Vec<&str> = event.split_terminator("\n\n").collect();
        assert_eq!(events.len(), 2);
        let data = events[1].strip_prefix("event: message\ndata: ").unwrap();
        assert!(
            data.contains(r"a\u0085b\u2028\u2029c") && !data.contains(['\n', '\r', '\u{85}', '\u{2028}'])
        );
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(data), value(text));
    }
}
