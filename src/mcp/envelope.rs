//! Reads the top level of one JSON-RPC object and leaves everything below it alone.
//!
//! A `serde_json::Value` would change numbers, drop duplicate keys and refuse deep nesting; skipping with
//! `IgnoredAny` checks the grammar without recursion and touches no byte.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members that decide what a message is; each borrowed from the text.
#[derive(Default)]
pub(super) struct Envelope<'a> {
    /// `jsonrpc` is there and is `"2.0"`.
    pub(super) versioned: bool,
    /// The `id` token; present even where it is `null`.
    pub(super) id: Option<&'a str>,
    /// The decoded `method`.
    pub(super) method: Option<Cow<'a, str>>,
    /// The `params` token.
    pub(super) params: Option<&'a str>,
    pub(super) has_result: bool,
    pub(super) has_error: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for Envelope<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TopLevel)
    }
}

/// A member name, borrowed unless it has escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct TopLevel;

impl<'de> Visitor<'de> for TopLevel {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON-RPC object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope<'de>, A::Error> {
        let mut envelope = Envelope::default();
        let mut seen = 0u8;
        while let Some(Name(name)) = map.next_key()? {
            let bit = match &*name {
                "jsonrpc" => 1,
                "id" => 2,
                "method" => 4,
                "params" => 8,
                "result" => 16,
                "error" => 32,
                _ => 0,
            };
            if seen & bit != 0 {
                return Err(A::Error::custom(format_args!("the member `{name}` stands there twice")));
            }
            seen |= bit;
            match bit {
                1 => envelope.versioned = map.next_value::<&RawValue>()?.get() == r#""2.0""#,
                2 => envelope.id = Some(map.next_value::<&RawValue>()?.get()),
                4 => envelope.method = Some(map.next_value::<Name<'de>>()?.0),
                8 => envelope.params = Some(map.next_value::<&RawValue>()?.get()),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        envelope.has_result = seen & 16 != 0;
        envelope.has_error = seen & 32 != 0;
        Ok(envelope)
    }
}
