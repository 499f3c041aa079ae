//! Counts the tools of a server that has said who it is, page by page, in the era that it speaks.
//!
//! Nothing of a page is kept, and no server is asked for ever: the pages and their bytes have a bound.

use super::discover::list_tools_in;
use super::frame::{Frame, Kind};
use super::id::RequestId;
use super::inquiry::{Identity, Refused};
use super::members::{decode, each, members};
use super::version::Era;

/// A page that has been asked for, and what has come so far.
#[derive(Clone, Debug)]
pub struct Counting {
    era: Era,
    open: RequestId,
    tools: usize,
    pages: usize,
    bytes: usize,
}

/// The answer to the request for a page, and to no other.
#[derive(Clone, Debug)]
pub struct Page(Frame);

/// What a page leads to.
#[derive(Clone, Debug)]
pub enum Counted {
    /// This is asked next.
    Question(Counting, Frame),
    /// So many tools there are.
    All(usize),
    /// It cannot be told how many there are.
    Uncounted(Uncounted),
}

/// Why it cannot be told how many tools a server has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncounted {
    /// It gives an error.
    #[error("it answered `tools/list` with {0}")]
    Refused(Refused),
    /// What it gives is no list.
    #[error("it answered `tools/list` with what is no list of tools")]
    NoList,
    /// It goes on and on.
    #[error("its list of tools has no end within {MAX_PAGES} pages and {} MiB", MAX_BYTES >> 20)]
    Endless,
}

/// How many pages are asked for.
const MAX_PAGES: usize = 64;
/// How large all of them together may be, in bytes.
const MAX_BYTES: usize = 32 << 20;

impl Counting {
    /// Begins with the first question; `None` if the server does not say that it has tools.
    pub fn begin(identity: &Identity) -> Option<(Self, Frame)> {
        let (question, open) = list_tools_in(identity.era, None);
        identity
            .has_tools
            .then_some((Self { era: identity.era, open, tools: 0, pages: 0, bytes: 0 }, question))
    }

    /// A message of the server, if it is what is waited for.
    pub fn page(&self, message: Frame) -> Option<Page> {
        let is_it = matches!(message.kind(), Kind::Response(Some(id)) if *id == self.open);
        is_it.then_some(Page(message))
    }

    /// What the page leads to.
    pub fn hear(mut self, Page(page): &Page) -> Counted {
        if page.is_error() {
            return Counted::Uncounted(Uncounted::Refused(Refused::read(page)));
        }
        let Ok([Some(list), next]) = members(page.payload(), ["tools", "nextCursor"]) else {
            return Counted::Uncounted(Uncounted::NoList);
        };
        if each(list, |_| self.tools += 1).is_err() {
            return Counted::Uncounted(Uncounted::NoList);
        }
        self.pages += 1;
        self.bytes = self.bytes.saturating_add(page.payload().len());
        // Some servers say so that there is no further page; clients understand it.
        let Some(cursor) = next.and_then(decode).filter(|cursor| !cursor.is_empty()) else {
            return Counted::All(self.tools);
        };
        if self.pages >= MAX_PAGES || self.bytes >= MAX_BYTES {
            return Counted::Uncounted(Uncounted::Endless);
        }
        let (question, open) = list_tools_in(self.era, Some(&cursor));
        Counted::Question(Self { open, ..self }, question)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn identity(era: Era) -> Identity {
        Identity { name: None, version: None, era, has_tools: true }
    }

    /// Answers one question after the other, the last of them for ever; what was asked, and what came of it.
    fn count(era: Era, answers: &[&str]) -> (Vec<String>, Counted) {
        let (mut counting, mut question) = Counting::begin(&identity(era)).unwrap();
        let mut asked = Vec::new();
        loop {
            asked.push(question.payload().to_owned());
            let rest = answers.get(asked.len() - 1).or(answers.last()).unwrap();
            let text = format!(r#"{{"jsonrpc":"2.0","id":"lockgate-tools",{rest}}}"#);
            let page = counting.page(Frame::parse(Bytes::from(text)).unwrap()).expect("it is the answer");
            match counting.hear(&page) {
                Counted::Question(next, further) => (counting, question) = (next, further),
                end => return (asked, end),
            }
        }
    }

    fn uncounted(answers: &[&str]) -> String {
        let (_, end) = count(Era::Handshake, answers);
        let Counted::Uncounted(reason) = end else { panic!("{end:?}") };
        reason.to_string()
    }

    #[test]
    fn every_page_counts_in_either_era() {
        let first = r#""result":{"tools":[{"name":"a"},{"name":"b"}],"nextCursor":"\u0032\"x"}"#;
        for (last, has_meta, era) in [
            (r#""result":{"tools":[{"name":"c"}]}"#, false, Era::Handshake),
            (r#""result":{"tools":[{}],"nextCursor":null,"resultType":"complete"}"#, true, Era::Stateless),
            (r#""result":{"nextCursor":"","tools":[7]}"#, true, Era::Stateless),
        ] {
            let (asked, end) = count(era, &[first, last]);
            assert!(matches!(end, Counted::All(3)), "{end:?}");
            assert!(asked.iter().all(|params| params.contains("_meta") == has_meta), "{asked:?}");
            assert!(!asked[0].contains("cursor") && asked[1].contains(r#""cursor":"2\"x""#), "{asked:?}");
        }
    }

    #[test]
    fn who_says_nothing_of_tools_is_not_asked_for_them() {
        let none = Identity { has_tools: false, ..identity(Era::Handshake) };
        assert!(Counting::begin(&none).is_none());
        let (asked, end) = count(Era::Handshake, &[r#""result":{"tools":[]}"#]);
        assert!(matches!(end, Counted::All(0)) && asked == ["{}"], "{asked:?} {end:?}");
    }

    #[test]
    fn what_is_no_list_is_told() {
        assert_eq!(
            uncounted(&[r#""error":{"code":-32603,"message":"no\u001b[2J"}"#]),
            "it answered `tools/list` with error -32603 (no [2J)"
        );
        for answer in [r#""result":{}"#, r#""result":{"tools":{}}"#, r#""result":{"tools":[],"tools":[1]}"#] {
            assert_eq!(uncounted(&[answer]), "it answered `tools/list` with what is no list of tools");
        }
    }

    #[test]
    fn a_list_without_end_is_left() {
        let (asked, end) = count(Era::Handshake, &[r#""result":{"tools":[],"nextCursor":"again"}"#]);
        assert!(matches!(end, Counted::Uncounted(Uncounted::Endless)), "{end:?}");
        assert_eq!(asked.len(), MAX_PAGES);
        let large = format!(r#""result":{{"tools":["{}"],"nextCursor":"more"}}"#, "x".repeat(MAX_BYTES / 3));
        assert_eq!(count(Era::Handshake, &[&large]).0.len(), 3);
    }

    #[test]
    fn only_the_page_that_was_asked_for_is_one() {
        let (counting, question) = Counting::begin(&identity(Era::Handshake)).unwrap();
        assert!(counting.page(question).is_none());
        let other = Frame::parse(Bytes::from(r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[]}}"#)).unwrap();
        assert!(counting.page(other).is_none());
    }
}
