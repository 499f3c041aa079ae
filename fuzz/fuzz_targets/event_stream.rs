//! A stream of events says the same however it is cut, and what a reader says who has all of it at once.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use lockgate::mcp::{Event, EventName, EventStream, TooLong};

/// So small that inputs go beyond it.
const SMALL: usize = 24;

fuzz_target!(|text: &[u8]| {
    let whole = read(usize::MAX, &[text]);
    assert_eq!(whole, plain(text));
    let pieces = pieces(text);
    assert_eq!(read(usize::MAX, &pieces), whole);
    assert_eq!(read(SMALL, &pieces), read(SMALL, &[text]));
});

#[derive(Debug, Default, PartialEq)]
struct Found {
    events: Vec<Event>,
    error: Option<TooLong>,
    last_id: Option<String>,
    retry_ms: Option<u64>,
}

fn read(max: usize, pieces: &[&[u8]]) -> Found {
    let (mut stream, mut found) = (EventStream::new(max), Found::default());
    for piece in pieces {
        stream.feed(Bytes::copy_from_slice(piece));
        loop {
            match stream.next_event() {
                Ok(Some(event)) => found.events.push(event),
                Ok(None) => break,
                Err(too_long) => {
                    found.error = Some(too_long);
                    break;
                }
            }
        }
    }
    assert!(found.events.iter().all(|event| event.data.len() <= max));
    found.last_id = stream.last_id().map(Into::into);
    found.retry_ms = stream.retry_ms();
    found
}

/// Of one to sixteen bytes, as the bytes themselves would have it.
fn pieces(mut text: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while let Some(first) = text.first() {
        let (piece, rest) = text.split_at(text.len().min(1 + usize::from(first % 16)));
        pieces.push(piece);
        text = rest;
    }
    pieces
}

/// The standard's own steps, one after the other.
fn plain(text: &[u8]) -> Found {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut lines = vec![Vec::new()];
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'\n' if at > 0 && text[at - 1] == b'\r' => {}
            b'\n' | b'\r' => lines.push(Vec::new()),
            byte => lines.last_mut().expect("there is a line").push(*byte),
        }
    }
    // What has no end is not read.
    lines.pop();
    let (mut found, mut id, mut name, mut data) =
        (Found::default(), None, EventName::Message, None::<Vec<u8>>);
    for line in lines {
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (&line[..], &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let text = std::str::from_utf8(value);
        match (field, text) {
            _ if line.is_empty() => {
                if let Some(id) = id.take() {
                    found.last_id = Some(id).filter(|id: &String| !id.is_empty());
                }
                let name = std::mem::replace(&mut name, EventName::Message);
                found.events.extend(data.take().map(|data| Event { name, data: data.into() }));
            }
            (b"data", _) => match &mut data {
                Some(lines) => lines.extend([b"\n", value].concat()),
                none => *none = Some(value.to_vec()),
            },
            (b"event", _) => {
                name = match value {
                    b"message" | b"" => EventName::Message,
                    b"endpoint" => EventName::Endpoint,
                    _ => EventName::Other,
                }
            }
            (b"id", Ok(text)) if !text.contains('\0') => id = Some(text.to_owned()),
            (b"retry", Ok(text)) if text.bytes().all(|digit| digit.is_ascii_digit()) => {
                found.retry_ms = text.parse().ok().or(found.retry_ms);
            }
            _ => {}
        }
    }
    found
}
