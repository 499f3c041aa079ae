//! Changes to chosen places of one message; every other byte stays as it was.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use super::frame::{Frame, place};
use super::id::RequestId;
use super::members::entries;

/// What is to change in the payload of a message. The places must not overlap.
#[derive(Debug)]
pub(super) struct Edits<'f> {
    frame: &'f Frame,
    made: Vec<(Range<usize>, Cow<'f, str>)>,
}

/// What [`Edits::merge`] puts into an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Merged<'a> {
    /// Members, as JSON text such as `"a":1,"b":2`; or nothing.
    pub(super) members: &'a str,
    /// Their names, and those of others that may not be there: the object's own members of these names go.
    pub(super) instead_of: &'a [&'a str],
    /// The name of a member of `_meta`, and its value as JSON text.
    pub(super) meta: (&'a str, &'a str),
}

impl<'f> Edits<'f> {
    pub(super) fn of(frame: &'f Frame) -> Self {
        Self { frame, made: Vec::new() }
    }

    /// Puts something else where a part of the payload stands.
    pub(super) fn replace(&mut self, part: &str, by: impl Into<Cow<'f, str>>) {
        self.made.push((self.frame.place_of(part), by.into()));
    }

    /// Takes members out of an object, which is a part of the payload, and puts others at its beginning: JSON text
    /// such as `"a":1,"b":2`, or nothing.
    ///
    /// # Errors
    /// If the part is no object. Then nothing of it changes.
    pub(super) fn reshape(
        &mut self,
        object: &str,
        goes: impl Fn(&str) -> bool,
        comes: impl Into<Cow<'f, str>>,
    ) -> Result<(), serde_json::Error> {
        let (comes, at) = (comes.into(), self.frame.place_of(object).start);
        // Where the last member ended, and whether one before it stays.
        let (mut end, mut stays) = (1, false);
        let mut cuts = Vec::new();
        entries(object, |name, token| {
            let (from, to) = (end, place(object, token).end);
            end = to;
            if goes(&name) {
                cuts.push(from..to);
            } else if !std::mem::replace(&mut stays, true) && from > 1 {
                // The first that stays needs no comma before it.
                let comma = object[from..].find(',').map_or(0, |comma| comma + 1);
                cuts.push(from..from + comma);
            }
        })?;
        if !comes.is_empty() {
            let comes = if stays { Cow::Owned(format!("{comes},")) } else { comes };
            self.made.push((at + 1..at + 1, comes));
        }
        self.made.extend(cuts.into_iter().map(|cut| (at + cut.start..at + cut.end, Cow::Borrowed(""))));
        Ok(())
    }

    /// Gives members to an object, which is a part of the payload, and one to its `_meta`, in the place of its own of
    /// those names. Everything else of it stays, to the byte. A `_meta` that is no object, or there twice, cannot be
    /// read in one way, and is replaced.
    ///
    /// # Errors
    /// If the part is no object. Then nothing of it changes.
    pub(super) fn merge(&mut self, object: &'f str, comes: Merged<'_>) -> Result<(), serde_json::Error> {
        let (mut metas, mut meta, mut is_empty, mut goes) = (0, None, true, false);
        entries(object, |name, token| {
            is_empty = false;
            goes |= comes.instead_of.contains(&&*name);
            if name == "_meta" {
                (metas, meta) = (metas + 1, Some(token));
            }
        })?;
        let (name, value) = comes.meta;
        let mut members = comes.members.to_owned();
        let kept = meta.filter(|token| metas == 1 && token.starts_with('{'));
        if let Some(meta) = kept {
            self.reshape(meta, |own| own == name, format!(r#""{name}":{value}"#))?;
        } else {
            let comma = if members.is_empty() { "" } else { "," };
            let _ = write!(members, r#"{comma}"_meta":{{"{name}":{value}}}"#);
        }
        let replaces_meta = metas > 0 && kept.is_none();
        if goes || replaces_meta {
            let goes = |own: &str| comes.instead_of.contains(&own) || (replaces_meta && own == "_meta");
            return self.reshape(object, goes, members);
        }
        // Most often nothing goes, and then the object need not be read again.
        if !members.is_empty() {
            let comma = if is_empty { "" } else { "," };
            self.replace(&object[..1], format!("{{{members}{comma}"));
        }
        Ok(())
    }

    /// The message with all that, and with another id if one is given.
    pub(super) fn done(self, id: Option<&RequestId>) -> Frame {
        if self.made.is_empty() && id.is_none() {
            return self.frame.clone();
        }
        let made: Vec<_> = self.made.iter().map(|(range, by)| (range.clone(), &**by)).collect();
        self.frame.respelled(id, &made)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::mcp::members::members;

    fn reshaped(params: &str, goes: &[&str], comes: &'static str) -> String {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{params}}}"#);
        let frame = Frame::parse(Bytes::from(text)).unwrap();
        let mut edits = Edits::of(&frame);
        edits.reshape(frame.payload(), |name| goes.contains(&name), comes).unwrap();
        let done = edits.done(Some(&RequestId::number(22)));
        let read = Frame::parse(done.bytes().clone()).unwrap();
        assert_eq!((read.payload(), read.kind()), (done.payload(), done.kind()));
        done.payload().to_owned()
    }

    #[test]
    fn members_go_and_come_and_the_rest_stays() {
        let text = r#"{ "a" : 1e400 , "b":{"a":2}, "c" : [ ] }"#;
        assert_eq!(reshaped(text, &["a"], ""), r#"{ "b":{"a":2}, "c" : [ ] }"#);
        assert_eq!(reshaped(text, &["a", "b"], ""), r#"{ "c" : [ ] }"#);
        assert_eq!(reshaped(text, &["b"], ""), r#"{ "a" : 1e400, "c" : [ ] }"#);
        assert_eq!(reshaped(text, &["b", "c"], ""), r#"{ "a" : 1e400 }"#);
        assert_eq!(reshaped(text, &["a", "b", "c"], r#""x":1"#), r#"{"x":1 }"#);
        assert_eq!(reshaped(text, &["a", "c"], r#""x":1"#), r#"{"x":1, "b":{"a":2} }"#);
        assert_eq!(reshaped("{ }", &["a"], r#""x":1"#), r#"{"x":1 }"#);
        assert_eq!(reshaped("{ }", &["a"], ""), "{ }");
        assert_eq!(reshaped(r#"{"a,b":"x,y","c":1}"#, &["a,b"], ""), r#"{"c":1}"#);
    }

    proptest! {
        #[test]
        fn what_goes_is_gone_and_what_stays_stays(
            names in prop::collection::vec("[a-d]", 0..6),
            space in " {0,2}",
            goes in "[a-d]",
            adds in any::<bool>(),
        ) {
            let list: Vec<_> =
                names.iter().enumerate().map(|(n, name)| format!(r#"{space}"{name}"{space}:{space}{n}"#)).collect();
            let text = format!("{{{}{space}}}", list.join(&format!("{space},")));
            let left = reshaped(&text, &[&goes], if adds { r#""x":1"# } else { "" });
            let mut kept = Vec::new();
            entries(&left, |name, token| kept.push((name.into_owned(), token.to_owned()))).unwrap();
            let own = names.iter().enumerate().map(|(n, name)| (name.clone(), n.to_string()));
            let expected: Vec<_> = adds
                .then(|| ("x".to_owned(), "1".to_owned()))
                .into_iter()
                .chain(own.filter(|(name, _)| *name != goes))
                .collect();
            prop_assert_eq!(kept, expected);
            prop_assert_eq!(members(&left, ["x"]).unwrap()[0].is_some(), adds);
        }
    }
}
