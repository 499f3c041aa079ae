//! Reads chosen members of one JSON object and leaves everything below them alone.
//!
//! A `serde_json::Value` would change numbers, drop duplicate keys and refuse deep nesting; skipping with
//! `RawValue` checks the grammar without recursion and touches no byte.

use std::borrow::Cow;
use std::fmt;
use std::ops::ControlFlow;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
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
    read(text, Members { names, folds: false })
}

/// The same where another reader might be misled: some take `Name` for `name`, as Go's `encoding/json` does, and
/// of two such members the last.
///
/// # Errors
/// Also if the object has a member that such a reader would take for one of these.
pub(super) fn unmistakable<'a, const N: usize>(
    text: &'a str,
    names: [&str; N],
) -> Result<[Option<&'a str>; N], serde_json::Error> {
    read(text, Members { names, folds: true })
}

fn read<'a, const N: usize>(
    text: &'a str,
    wanted: Members<'_, N>,
) -> Result<[Option<&'a str>; N], serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let found = wanted.deserialize(&mut reader)?;
    reader.end().map(|()| found)
}

/// Takes the name and the token of each member of the object that `text` is, in their order, also of one that
/// stands there twice.
///
/// # Errors
/// If it is no JSON object. Some may have been taken by then.
pub(super) fn entries<'a>(
    text: &'a str,
    take: impl FnMut(Cow<'a, str>, &'a str),
) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.deserialize_map(Entries(take))?;
    reader.end()
}

/// Takes the tokens of the members of the list that `text` is, one by one: millions of them take no room here.
///
/// # Errors
/// If it is no JSON array. Some may have been taken by then.
pub(super) fn each<'a>(text: &'a str, mut take: impl FnMut(&'a str)) -> Result<(), serde_json::Error> {
    each_until(text, |token| {
        take(token);
        ControlFlow::Continue(())
    })
}

/// The tokens of the members of the list that `text` is; `None` if it has more than `max`. The rest is not looked at
/// then.
///
/// # Errors
/// If it is no JSON array.
pub(super) fn at_most(text: &str, max: usize) -> Result<Option<Vec<&str>>, serde_json::Error> {
    let mut tokens = Vec::new();
    let mut is_more = false;
    let outcome = each_until(text, |token| {
        is_more = tokens.len() == max;
        if is_more {
            return ControlFlow::Break(());
        }
        tokens.push(token);
        ControlFlow::Continue(())
    });
    if is_more { Ok(None) } else { outcome.map(|()| Some(tokens)) }
}

/// A list that is left early is an error, too: the reader cannot know whether it is one to its end.
fn each_until<'a>(
    text: &'a str,
    take: impl FnMut(&'a str) -> ControlFlow<()>,
) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.deserialize_seq(Each(take))?;
    reader.end()
}

/// The text of a JSON string; `None` if the token is something else.
pub(super) fn decode(token: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text<'_>>(token).ok().map(|text| text.0)
}

/// A string, borrowed unless it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct Members<'n, const N: usize> {
    names: [&'n str; N],
    /// Names that differ in case only are refused.
    folds: bool,
}

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
            match self.names.iter().position(|wanted| *wanted == name) {
                Some(at) if found[at].is_some() => {
                    return Err(A::Error::custom(format_args!("the member `{name}` stands there twice")));
                }
                Some(at) => found[at] = Some(map.next_value::<&RawValue>()?.get()),
                None if self.folds && self.names.iter().any(|wanted| looks_like(&name, wanted)) => {
                    return Err(A::Error::custom(format_args!("the member `{name}` may be misread")));
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

struct Entries<F>(F);

impl<'de, F: FnMut(Cow<'de, str>, &'de str)> Visitor<'de> for Entries<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(name)) = map.next_key()? {
            self.0(name, map.next_value::<&RawValue>()?.get());
        }
        Ok(())
    }
}

struct Each<F>(F);

impl<'de, F: FnMut(&'de str) -> ControlFlow<()>> Visitor<'de> for Each<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(token) = list.next_element::<&RawValue>()? {
            if self.0(token.get()).is_break() {
                return Err(A::Error::custom("the rest is not wanted"));
            }
        }
        Ok(())
    }
}

/// Whether a name is one of ours in ASCII to who ignores case: Unicode has two more letters that fold to one.
fn looks_like(name: &str, ours: &str) -> bool {
    let plain = |letter: char| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    name.chars().map(plain).eq(ours.chars().map(plain))
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

    #[test]
    fn a_list_is_read_to_a_limit_and_no_further() {
        assert_eq!(at_most(" [1, {}] ", 2).unwrap(), Some(vec!["1", "{}"]));
        assert_eq!(at_most("[]", 0).unwrap(), Some(Vec::new()));
        // Nobody has looked at the end, or it would be an error.
        assert_eq!(at_most("[1,2,3,!", 2).unwrap(), None);
        for text in ["[1,!", "[1,2", "[1] x", "{}", ""] {
            assert!(at_most(text, 2).is_err(), "{text}");
        }
        let mut taken = 0;
        each("[1,2,3]", |_| taken += 1).unwrap();
        assert_eq!(taken, 3);
    }

    #[test]
    fn what_others_may_misread_is_refused_where_that_matters() {
        for text in [r#"{"asks":1,"Asks":2}"#, r#"{"ASKS":1}"#, r#"{"a\u017fks":1}"#, r#"{"asKs":1}"#] {
            assert!(unmistakable(text, ["asks"]).is_err(), "{text}");
            assert!(members(text, ["asks"]).is_ok(), "{text}");
        }
        assert_eq!(unmistakable(r#"{"asks":1,"ask":2,"tasks":3}"#, ["asks"]).unwrap(), [Some("1")]);
    }
}
