//! A collector, and what has reached it: spans in OTLP's protobuf, read as far as the tests look.

use std::collections::BTreeMap;

use crate::scripted::{Remote, reply::Reply};

/// One span.
#[derive(Clone, Debug, Default)]
pub(crate) struct Span {
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for the first of its trace.
    pub(crate) parent: String,
    pub(crate) name: String,
    /// 1: internal, 2: server, 3: client.
    pub(crate) kind: u64,
    pub(crate) begun: u64,
    pub(crate) ended: u64,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// A field of a protobuf message.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

pub(crate) fn collector() -> Remote {
    Remote::start(|_| Reply::new(200, "application/x-protobuf", ""))
}

/// All spans so far.
pub(crate) fn spans(collector: &Remote) -> Vec<Span> {
    let exports = collector.requests();
    let inside = |messages: Vec<Vec<u8>>, number: u64| -> Vec<Vec<u8>> {
        messages.iter().flat_map(|message| parts(message, number)).collect()
    };
    let exports = exports.iter().map(|request| request.body.clone()).collect();
    inside(inside(inside(exports, 1), 2), 2).iter().map(|span| Span::read(span)).collect()
}

impl Span {
    fn read(message: &[u8]) -> Self {
        let mut span = Self::default();
        for (number, field) in fields(message) {
            match (number, field) {
                (1, Field::Bytes(id)) => span.trace = hex(id),
                (2, Field::Bytes(id)) => span.id = hex(id),
                (4, Field::Bytes(id)) => span.parent = hex(id),
                (5, Field::Bytes(name)) => span.name = text(name),
                (6, Field::Number(kind)) => span.kind = kind,
                (7, Field::Number(at)) => span.begun = at,
                (8, Field::Number(at)) => span.ended = at,
                (9, Field::Bytes(attribute)) => {
                    let (key, value) = (&parts(attribute, 1)[0], &parts(attribute, 2)[0]);
                    span.attributes.insert(text(key), value_of(value));
                }
                _ => {}
            }
        }
        span
    }

    /// Of this name, with this attribute.
    pub(crate) fn is(&self, name: &str, key: &str, value: &str) -> bool {
        self.name == name && self.attributes.get(key).is_some_and(|own| own == value)
    }

    /// As `traceparent` has it, if it is sampled.
    pub(crate) fn context(&self) -> String {
        format!("00-{}-{}-01", self.trace, self.id)
    }

    pub(crate) fn is_below(&self, parent: &Self) -> bool {
        self.trace == parent.trace && self.parent == parent.id
    }
}

/// The text of a value, or its number.
fn value_of(message: &[u8]) -> String {
    match fields(message).remove(0) {
        (1, Field::Bytes(value)) => text(value),
        (_, Field::Number(value)) => value.to_string(),
        (number, _) => panic!("a value of kind {number}"),
    }
}

/// The parts of a message with this number.
fn parts(message: &[u8], number: u64) -> Vec<Vec<u8>> {
    let part = |(own, field): (u64, Field<'_>)| match field {
        Field::Bytes(bytes) if own == number => Some(bytes.to_vec()),
        _ => None,
    };
    fields(message).into_iter().filter_map(part).collect()
}

fn fields(mut rest: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let key = varint(&mut rest);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut rest)),
            1 => Field::Number(u64::from_le_bytes(take(&mut rest, 8).try_into().unwrap())),
            2 => {
                let length = varint(&mut rest);
                Field::Bytes(take(&mut rest, length as usize))
            }
            5 => Field::Number(u32::from_le_bytes(take(&mut rest, 4).try_into().unwrap()).into()),
            kind => panic!("a field of kind {kind}"),
        };
        found.push((key >> 3, field));
    }
    found
}

fn varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
