//! Which span a message belongs below (W3C Trace Context, level 1): in the headers of HTTP, and in `_meta` of a
//! message (MCP 2026-07-28, reserved keys). What is malformed is as if it were not there.

use bytes::Bytes;

use super::edits::{Edits, Merged};
use super::frame::Frame;
use super::members::{decode, members};

/// A span of somebody, and what those before it say of the trace. Well-formed, and as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    parent: Box<str>,
    state: Option<Box<str>>,
}

/// The member of `_meta`, and the header.
const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";
/// What a version 00 has. Later ones may go on behind a `-`.
const PARENT_LEN: usize = 55;
/// A longer one of a later version is not carried.
const MAX_PARENT: usize = 256;
/// What has to be carried at least of `tracestate`, and no more is (section 3.3.1.5); and its entries.
const MAX_STATE: usize = 512;
const MAX_ENTRIES: usize = 32;

impl TraceContext {
    /// Reads `traceparent` and, if it is there, `tracestate`. A state that is malformed is left out.
    pub fn read(parent: &str, state: Option<&str>) -> Option<Self> {
        let state = state.filter(|state| is_state(state)).map(Box::from);
        is_parent(parent).then(|| Self { parent: parent.into(), state })
    }

    /// What a message says in its `_meta`.
    pub fn of(message: &Frame) -> Option<Self> {
        let [meta] = members(message.payload(), ["_meta"]).ok()?;
        let [parent, state] = members(meta?, [PARENT, STATE]).ok()?;
        let state = state.and_then(decode);
        Self::read(&decode(parent?)?, state.as_deref())
    }

    /// The value of `traceparent`.
    pub fn parent(&self) -> &str {
        &self.parent
    }

    /// The value of `tracestate`.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The trace, the span in it, and the flags.
    pub fn ids(&self) -> (u128, u64, u8) {
        let trace = u128::from_str_radix(&self.parent[3..35], 16).unwrap_or_default();
        let span = u64::from_str_radix(&self.parent[36..52], 16).unwrap_or_default();
        (trace, span, u8::from_str_radix(&self.parent[53..55], 16).unwrap_or_default())
    }
}

impl Frame {
    /// The same message with this span as `_meta.traceparent` of its parameters; every other byte stays. Parameters
    /// that have no place for it are left as they are.
    #[must_use]
    pub fn below(&self, context: &TraceContext) -> Self {
        let value = format!(r#""{}""#, context.parent());
        if self.payload().is_empty() {
            return self.with_params(&format!(r#"{{"_meta":{{"{PARENT}":{value}}}}}"#));
        }
        let is_object = |token: &str| token.starts_with('{');
        let has_place = |[meta]: [Option<&str>; 1]| meta.is_none_or(is_object);
        let mut edits = Edits::of(self);
        let comes = Merged { members: "", instead_of: &[], meta: (PARENT, &value) };
        match members(self.payload(), ["_meta"]).is_ok_and(has_place)
            && edits.merge(self.payload(), comes).is_ok()
        {
            true => edits.done(None),
            false => self.clone(),
        }
    }

    /// A message that has no parameters with these.
    fn with_params(&self, params: &str) -> Self {
        let (head, rest) = self.whole().split_at(self.method.end);
        let whole = Self::parse(Bytes::from(format!(r#"{head},"params":{params}{rest}"#)));
        whole.map_or_else(|_| self.clone(), |whole| Self { beside: self.beside.clone(), ..whole })
    }
}

/// The name of a method that the protocol has. Any other is a client's to choose, and `_OTHER` here: what is counted
/// or kept by this name stays bounded, and holds nothing of a message.
pub fn known_method(message: &Frame) -> &'static str {
    let method = message.method();
    METHODS.iter().find(|known| **known == method).copied().unwrap_or("_OTHER")
}

const METHODS: [&str; 24] = [
    "initialize",
    "ping",
    "server/discover",
    "tools/call",
    "tools/list",
    "prompts/get",
    "prompts/list",
    "resources/read",
    "resources/list",
    "resources/templates/list",
    "resources/subscribe",
    "resources/unsubscribe",
    "subscriptions/listen",
    "completion/complete",
    "logging/setLevel",
    "tasks/get",
    "tasks/result",
    "tasks/list",
    "tasks/cancel",
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/roots/list_changed",
    "notifications/tasks/status",
];

/// `00-` trace `-` span `-` flags, in lower-case hexadecimal digits (section 3.2.2).
fn is_parent(text: &str) -> bool {
    let bytes = text.as_bytes();
    let hex = |from: usize, to: usize| {
        bytes[from..to].iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte))
    };
    let some = |from: usize, to: usize| hex(from, to) && bytes[from..to].iter().any(|byte| *byte != b'0');
    (PARENT_LEN..=MAX_PARENT).contains(&bytes.len())
        && [2, 35, 52].iter().all(|at| bytes[*at] == b'-')
        && hex(0, 2)
        && &bytes[..2] != b"ff"
        && some(3, 35)
        && some(36, 52)
        && hex(53, 55)
        && goes_on_well(&bytes[..2], &bytes[PARENT_LEN..])
}

/// What is behind the part that every version has.
fn goes_on_well(version: &[u8], rest: &[u8]) -> bool {
    rest.is_empty() || version != b"00" && rest[0] == b'-' && rest.iter().all(u8::is_ascii_graphic)
}

/// `key=value` entries, separated by commas (section 3.3.1).
fn is_state(text: &str) -> bool {
    let entries = || text.split(',').map(|entry| entry.trim_matches([' ', '\t'])).filter(|e| !e.is_empty());
    text.len() <= MAX_STATE && (1..=MAX_ENTRIES).contains(&entries().count()) && entries().all(is_entry)
}

fn is_entry(text: &str) -> bool {
    let is_key = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let is_value = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'=';
    text.split_once('=').is_some_and(|(key, value)| {
        (1..=256).contains(&key.len())
            && key.bytes().all(is_key)
            && (1..=256).contains(&value.len())
            && value.bytes().all(is_value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn frame(text: &str) -> Frame {
        Frame::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    #[test]
    fn only_what_is_well_formed_is_a_span() {
        let later = format!("cc{}-what-ever", &SPAN[2..]);
        for text in [SPAN, &later, &SPAN.replace("-01", "-00")] {
            assert_eq!(TraceContext::read(text, None).unwrap().parent(), text);
        }
        let ids = (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7, 1);
        assert_eq!(TraceContext::read(SPAN, None).unwrap().ids(), ids);
        for text in [
            "",
            "00",
            &SPAN.to_uppercase(),
            &format!("ff{}", &SPAN[2..]),
            &format!("{SPAN}-x"),
            &format!("{SPAN} "),
            &SPAN.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &SPAN.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &SPAN.replace("-00f", "_00f"),
            &SPAN.replace("4bf", "é4"),
            &format!("cc{}-{}", &SPAN[2..], "x".repeat(300)),
            &format!("cc{}-a\r\nb", &SPAN[2..]),
        ] {
            assert_eq!(TraceContext::read(text, None), None, "{text}");
        }
    }

    #[test]
    fn a_malformed_state_is_left_out_alone() {
        let state = |text: &str| TraceContext::read(SPAN, Some(text)).unwrap().state().map(str::to_owned);
        for text in ["a=1", "rojo=00f067aa0ba902b7, congo@x=t61rcWkgMzE", "a=1,,b=2"] {
            assert_eq!(state(text).as_deref(), Some(text));
        }
        for text in
            ["", "a", "A=1", "a=\u{e9}", "a=1=2", "a=", &format!("a={}", "x".repeat(600)), "a=1\r\nb: 2"]
        {
            assert_eq!(state(text), None, "{text}");
        }
    }

    #[test]
    fn a_message_gets_its_span_and_keeps_every_other_byte() {
        let context = TraceContext::read(SPAN, None).unwrap();
        let own = format!(r#""traceparent":"{SPAN}""#);
        let meta = format!(r#""_meta":{{{own}}}"#);
        let other = SPAN.replace("00f067aa0ba902b7", "1111111111111111");
        for (params, expected) in [
            (r#"{"a" : 1e400}"#.to_owned(), format!(r#"{{{meta},"a" : 1e400}}"#)),
            ("{ }".to_owned(), format!(r#"{{{meta} }}"#)),
            (r#"{"_meta": {"x":"\ud800"}}"#.to_owned(), format!(r#"{{"_meta": {{{own},"x":"\ud800"}}}}"#)),
            (format!(r#"{{"_meta":{{"traceparent":"{other}"}}}}"#), format!(r#"{{{meta}}}"#)),
        ] {
            let text = |params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{params}}}"#);
            let below = frame(&text(&params)).below(&context);
            assert_eq!(below.bytes(), &text(&expected));
            assert_eq!(TraceContext::of(&below), Some(context.clone()));
            assert_eq!(below.payload(), frame(&text(&expected)).payload());
        }
        let bare = frame(r#"{"method":"ping","jsonrpc":"2.0","id":1}"#).below(&context);
        assert_eq!(
            bare.bytes(),
            &format!(r#"{{"method":"ping","params":{{{meta}}},"jsonrpc":"2.0","id":1}}"#)
        );
        for odd in [r#"[1]"#, r#"{"_meta":1}"#, r#"{"_meta":{},"_meta":{}}"#] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{odd}}}"#);
            assert_eq!(frame(&text).below(&context).bytes(), &text);
        }
    }

    #[test]
    fn what_a_message_says_is_read_or_ignored() {
        let of = |meta: &str| {
            TraceContext::of(&frame(&format!(
                r#"{{"jsonrpc":"2.0","method":"m","params":{{"_meta":{meta}}}}}"#
            )))
        };
        let found = of(&format!(r#"{{"traceparent":"{SPAN}","tracestate":"a=1"}}"#)).unwrap();
        assert_eq!((found.parent(), found.state()), (SPAN, Some("a=1")));
        for meta in ["1", "{}", r#"{"traceparent":7}"#, r#"{"traceparent":"x"}"#] {
            assert_eq!(of(meta), None, "{meta}");
        }
        let doubled = format!(r#"{{"traceparent":"{SPAN}","traceparent":"{SPAN}"}}"#);
        assert_eq!(of(&doubled), None);
    }

    #[test]
    fn a_method_of_a_clients_own_is_not_named() {
        let method = |name: &str| known_method(&frame(&format!(r#"{{"jsonrpc":"2.0","method":"{name}"}}"#)));
        assert_eq!((method("tools/call"), method("my-secret")), ("tools/call", "_OTHER"));
    }
}
