//! Reads chosen members of one JSON object and leaves everything below them alone.
//!
//! A `serde_json::Value` would change numbers, drop duplicate keys and refuse deep nesting; skipping with
//! `RawValue` checks the grammar without recursion and touches no byte.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The tokens of these members of the object that `text` is, each a slice of it.
///
/// # Errors
/// If it is no JSON object, or one of the members stands there twice: two readers of such a text would not
/// agree on what it says.
pub(super) fn members<'a, const N: usize>(
    text: &'a str,
    names: [&str; N],
) -> Result<[Option<&'a str>; N], serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let found = Members(names).deserialize(&mut reader)?;
    reader.end().map(|()| found)
}

/// The text of a JSON string; `None` if the token is something else.
pub(super) fn decode(token: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text<'_>>(token).ok().map(|text| text.0)
}

/// A string, borrowed unless it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct Members<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Members<'_, N> {
    type Value = [Option<&'de str>; N];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Members<'_, N> {
    type Value = [Option<&'de str>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(Text(name)) = map.next_key()? {
            match self.0.iter().position(|wanted| *wanted == name) {
                Some(at) if found[at].is_some() => {
                    return Err(A::Error::custom(format_args!("the member `{name}` stands there twice")));
                }
                Some(at) => found[at] = Some(map.next_value::<&RawValue>()?.get()),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_slices_and_doubled_members_are_refused() {
        let text = r#"{ "b" : [1, {"a":2}], "\u0061": null ,"c":1e400}"#;
        assert_eq!(members(text, ["a", "b", "d"]).unwrap(), [Some("null"), Some(r#"[1, {"a":2}]"#), None]);
        assert!(members(r#"{"a":1,"\u0061":2}"#, ["a"]).is_err());
        assert!(members(r#"{"a":1,"a":2}"#, ["b"]).is_ok());
        for text in ["[]", "1", "", r#"{"a":1} x"#] {
            assert!(members(text, ["a"]).is_err(), "{text}");
        }
    }
}
