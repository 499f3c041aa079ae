//! Reads messages without the code under test.

use std::fmt;

use lockgate::mcp::{Frame, Kind};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A member is there twice, so that nobody can say what it is.
#[derive(Debug)]
pub struct Doubled;

/// The token at the end of a path of member names, a slice of the text.
pub fn at<'a>(text: &'a str, path: &[&str]) -> Result<Option<&'a str>, Doubled> {
    let mut inside = text;
    for name in path {
        let Ok(Members(all)) = serde_json::from_str(inside) else { return Ok(None) };
        let mut found = all.into_iter().filter(|(own, _)| own == name);
        match (found.next(), found.next()) {
            (None, _) => return Ok(None),
            (Some((_, token)), None) => inside = token,
            _ => return Err(Doubled),
        }
    }
    Ok(Some(inside))
}

/// The text with some of its slices replaced.
pub fn spliced(text: &str, edits: &[(Option<&str>, &str)]) -> String {
    let start = |slice: &str| slice.as_ptr().addr() - text.as_ptr().addr();
    let mut edits: Vec<_> =
        edits.iter().filter_map(|(slice, new)| slice.map(|old| (start(old), old, new))).collect();
    edits.sort_by_key(|(start, ..)| std::cmp::Reverse(*start));
    edits.iter().fold(text.to_owned(), |mut text, (start, old, new)| {
        text.replace_range(*start..start + old.len(), new);
        text
    })
}

/// Whether two messages are the same in all that they say of themselves.
pub fn same(one: &Frame, other: &Frame) -> bool {
    let token = |frame: &Frame| match frame.kind() {
        Kind::Request(id, _) | Kind::Response(Some(id)) => id.token().to_owned(),
        _ => String::new(),
    };
    one.bytes() == other.bytes()
        && one.kind() == other.kind()
        && token(one) == token(other)
        && one.method() == other.method()
        && one.payload() == other.payload()
        && one.is_error() == other.is_error()
}

struct Members<'a>(Vec<(String, &'a str)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Vec<(String, &'de str)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some((name, token)) = map.next_entry::<String, &RawValue>()? {
                    all.push((name, token.get()));
                }
                Ok(all)
            }
        }
        deserializer.deserialize_map(All).map(Self)
    }
}
