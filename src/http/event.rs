//! Server-sent events as bytes: each one a single piece, ready for the socket.

use std::collections::hash_map::RandomState;
use std::fmt::Write as _;
use std::hash::BuildHasher;

use actix_web::web::{Bytes, BytesMut};

use crate::mcp::Frame;
use crate::session::{Delivery, EventId};

/// The comment that shows an idle stream to be alive.
pub(super) const HEARTBEAT: &[u8] = b": keepalive\n\n";

const HEAD: &[u8] = b"event: message\ndata: ";
const TAIL: &[u8] = b"\n\n";
/// Room for an id.
const ID_SIZE: usize = 16;
/// When clients come back for a stream that broke off, in milliseconds.
const RETRY_MS: u64 = 1000;

/// The first event of the `sse` transport: where to post messages.
pub(super) fn endpoint(uri: &str) -> Bytes {
    Bytes::from(format!("event: endpoint\ndata: {uri}\n\n"))
}

/// The event with which a stream that can be resumed begins: an id, no data, and how long to wait before
/// coming back (MCP 2025-11-25, polling).
pub(super) fn priming(id: EventId) -> Bytes {
    Bytes::from(format!("id: {id}\nretry: {RETRY_MS}\ndata: \n\n"))
}

/// The last of a stream that ends because its gateway does: when to come back, for each client another time, or all
/// would do so in the same moment.
///
/// The field counts at its line end (WHATWG HTML, section 9.2.6), and so TypeScript reads it. Python's SDK, up from
/// the version that heeds it, does at the end of an event; to clients before 2025-11-25, to which an event without
/// data may be an error, that is not sent.
pub(super) fn farewell(as_event: bool) -> Bytes {
    let wait = RETRY_MS / 2 + RandomState::new().hash_one(()) % RETRY_MS;
    let end = if as_event { "\n" } else { "" };
    Bytes::from(format!("retry: {wait}\n{end}"))
}

/// One `message` event for each frame, one behind the other; with ids, if clients can use them.
pub fn messages(delivery: &Delivery, with_ids: bool) -> Bytes {
    let frames = &delivery.frames;
    let size = frames.iter().map(|frame| ID_SIZE + size(frame)).sum();
    let mut out = BytesMut::with_capacity(size);
    let mut id = delivery.first;
    for frame in frames {
        if with_ids {
            let _ = writeln!(out, "id: {id}");
            id.number += 1;
        }
        push(&mut out, frame);
    }
    out.freeze()
}

/// One `message` event without an id.
pub(super) fn message(frame: &Frame) -> Bytes {
    let mut out = BytesMut::with_capacity(size(frame));
    push(&mut out, frame);
    out.freeze()
}

fn size(frame: &Frame) -> usize {
    HEAD.len() + frame.bytes().len() + TAIL.len()
}

fn push(out: &mut BytesMut, frame: &Frame) {
    out.extend_from_slice(HEAD);
    extend_escaped(out, frame.bytes());
    out.extend_from_slice(TAIL);
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
    use crate::mcp::Frame;

    #[test]
    fn a_farewell_says_when_to_come_back_and_not_the_same_to_all() {
        let waits: Vec<u64> = (0..1000)
            .map(|_| String::from_utf8(farewell(false).to_vec()).unwrap())
            .map(|text| text.strip_prefix("retry: ").unwrap().strip_suffix('\n').unwrap().parse().unwrap())
            .collect();
        assert!(waits.iter().all(|wait| (500..1500).contains(wait)));
        for from in (500..1500).step_by(100) {
            let near = waits.iter().filter(|wait| (from..from + 100).contains(*wait)).count();
            assert!((50..200).contains(&near), "{near} of 1000 come back within 100 ms");
        }
        assert!(farewell(true).ends_with(b"\n\n"));
    }

    #[test]
    fn an_event_is_one_data_line_that_means_the_same() {
        let text = "{\"jsonrpc\":\"2.0\",\"method\":\"a\u{85}b\u{2028}\u{2029}c\u{e2}\u{20ac}\u{a2}\"}";
        let frame = Frame::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap();
        let first = "3-7".parse().unwrap();
        let delivery = Delivery {
            first,
            frames: vec![frame.clone(), frame],
            last: false,
            waited: std::time::Duration::ZERO,
        };
        let ids = String::from_utf8(messages(&delivery, true).to_vec()).unwrap();
        assert!(ids.starts_with("id: 3-7\nevent: message\n") && ids.contains("\n\nid: 3-8\nevent"));
        let event = String::from_utf8(messages(&delivery, false).to_vec()).unwrap();
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
