//! Asks a server who it is, when nobody knows yet which era it speaks.
//!
//! ```text
//! initialize ── a result ──▶ identified, once `notifications/initialized` is sent
//!   ├── an error of one that may be of the other era
//!   │     └──▶ server/discover ── 2026-07-28 is among its versions ──▶ identified
//!   │                             └── anything else ──▶ unidentified
//!   └── any other error ──▶ unidentified
//! ```
//! A client that has sessions would begin like this, so servers expect it. Where the era is known, only the question
//! of that era is asked.

use std::fmt;

use super::discover::{discover, era_shown, may_be_stateless};
use super::error::{error_code, error_message};
use super::frame::{Frame, Kind};
use super::handshake::{initialize, initialized, server_info};
use super::id::RequestId;
use super::members::members;
use super::version::{Era, NEWEST_SESSION, STATELESS_VERSIONS};

/// A question that has been asked.
#[derive(Clone, Debug)]
pub struct Inquiry {
    stage: Stage,
    open: RequestId,
}

/// Which question it is.
#[derive(Clone, Debug)]
enum Stage {
    Initialize {
        /// Whether the other question follows if this one is refused.
        goes_on: bool,
    },
    Discover {
        /// How the other question was refused, if it was asked.
        refused: Option<Refused>,
    },
}

/// The answer to the question that was asked, and to no other request.
#[derive(Clone, Debug)]
pub struct Answer(Frame);

/// What an answer leads to.
#[derive(Clone, Debug)]
pub enum Heard {
    /// This is asked next.
    Question(Inquiry, Frame),
    /// Who it is, and what it has to be told before anything else is asked of it.
    Identified(Identity, Option<Frame>),
    /// It answers, but not in an era that it was asked in.
    Unidentified(Unidentified),
}

/// Who a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What it calls itself; `None` if it does not say.
    pub name: Option<String>,
    /// The version that it says it has.
    pub version: Option<String>,
    /// The era that it answered in.
    pub era: Era,
    /// Whether it says that it has tools.
    pub has_tools: bool,
}

/// Why it cannot be told who a server is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unidentified {
    /// It was asked in the older era, and nothing says that it speaks the other.
    #[error("it answered `initialize` with {0}")]
    Refused(Refused),
    /// It was asked in the newer era only.
    #[error("it does not serve {version}", version = STATELESS_VERSIONS[0])]
    NotServed,
    /// It was asked in both.
    #[error("it answered `initialize` with {0}, and does not serve {version} either", version = STATELESS_VERSIONS[0])]
    Neither(Refused),
}

/// The error that a server answers a question with, fit for one line of a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    code: i64,
    words: String,
}

/// Characters of an error's text that are kept.
const MAX_WORDS: usize = 200;

impl Inquiry {
    /// Begins in this era, or in either if it is not known; with the first question.
    pub fn begin(era: Option<Era>) -> (Self, Frame) {
        match era {
            Some(Era::Stateless) => Self::discover(None),
            Some(Era::Handshake) | None => {
                let (question, open) = initialize(NEWEST_SESSION);
                (Self { stage: Stage::Initialize { goes_on: era.is_none() }, open }, question)
            }
        }
    }

    fn discover(refused: Option<Refused>) -> (Self, Frame) {
        let (question, open) = discover();
        (Self { stage: Stage::Discover { refused }, open }, question)
    }

    /// A message of the server, if it is what is waited for.
    pub fn answer(&self, message: Frame) -> Option<Answer> {
        let is_it = matches!(message.kind(), Kind::Response(Some(id)) if *id == self.open);
        is_it.then_some(Answer(message))
    }

    /// What the answer leads to.
    pub fn hear(self, Answer(answer): &Answer) -> Heard {
        match self.stage {
            Stage::Initialize { .. } if !answer.is_error() => {
                Heard::Identified(Identity::read(answer, Era::Handshake), Some(initialized()))
            }
            Stage::Initialize { goes_on: true } if may_be_stateless(answer) => {
                let (next, question) = Self::discover(Some(Refused::read(answer)));
                Heard::Question(next, question)
            }
            Stage::Initialize { .. } => Heard::Unidentified(Unidentified::Refused(Refused::read(answer))),
            Stage::Discover { .. } if era_shown(answer) == Era::Stateless => {
                Heard::Identified(Identity::read(answer, Era::Stateless), None)
            }
            Stage::Discover { refused } => {
                Heard::Unidentified(refused.map_or(Unidentified::NotServed, Unidentified::Neither))
            }
        }
    }
}

impl Identity {
    fn read(answer: &Frame, era: Era) -> Self {
        let (name, version) = server_info(answer).unzip();
        let member = |text, name| members(text, [name]).ok().and_then(|[token]| token);
        let tools = member(answer.payload(), "capabilities").and_then(|told| member(told, "tools"));
        Self { name, version, era, has_tools: tools.is_some_and(|token| token != "null") }
    }
}

impl Refused {
    pub(super) fn read(answer: &Frame) -> Self {
        let words = error_message(answer).unwrap_or_default();
        let words = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_WORDS).collect();
        Self { code: error_code(answer).unwrap_or_default(), words }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error {} ({})", self.code, self.words)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const INITIALIZED: &str =
        r#""result":{"protocolVersion":"2025-11-25","serverInfo":{"name":"a","version":"1"}}"#;
    const DISCOVERED: &str = r#""result":{"supportedVersions":["2026-07-28"],"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"a","version":"1"}}}"#;
    const REFUSED: &str = r#""error":{"code":-32000,"message":"no\u001b[2J key"}"#;
    const UNKNOWN: &str = r#""error":{"code":-32601,"message":"no\u001b[2J such"}"#;

    fn message(id: &RequestId, rest: &str) -> Frame {
        Frame::parse(Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{},{rest}}}"#, id.token()))).unwrap()
    }

    /// Answers one question after the other; what was asked, and what came of it.
    fn ask(era: Option<Era>, answers: &[&str]) -> (Vec<String>, Heard) {
        let (mut inquiry, mut question) = Inquiry::begin(era);
        let mut asked = Vec::new();
        for rest in answers {
            asked.push(question.method().into_owned());
            let Kind::Request(id, _) = question.kind() else { panic!("{question:?} asks nothing") };
            let answer = inquiry.answer(message(id, rest)).expect("it answers the question");
            match inquiry.hear(&answer) {
                Heard::Question(next, further) => (inquiry, question) = (next, further),
                end => return (asked, end),
            }
        }
        panic!("{question:?} is asked as well");
    }

    fn identified(heard: Heard) -> (Era, Option<String>) {
        let Heard::Identified(Identity { name, version, era, .. }, last) = heard else { panic!("{heard:?}") };
        assert_eq!((name.as_deref(), version.as_deref()), (Some("a"), Some("1")));
        (era, last.map(|last| last.method().into_owned()))
    }

    fn unidentified(heard: Heard) -> String {
        let Heard::Unidentified(reason) = heard else { panic!("{heard:?}") };
        reason.to_string()
    }

    #[test]
    fn who_accepts_initialize_is_asked_nothing_else() {
        for era in [None, Some(Era::Handshake)] {
            let (asked, heard) = ask(era, &[INITIALIZED]);
            assert_eq!(asked, ["initialize"]);
            assert_eq!(identified(heard), (Era::Handshake, Some("notifications/initialized".into())));
        }
    }

    #[test]
    fn who_refuses_it_is_asked_in_the_other_era() {
        let (asked, heard) = ask(None, &[UNKNOWN, DISCOVERED]);
        assert_eq!(asked, ["initialize", "server/discover"]);
        assert_eq!(identified(heard), (Era::Stateless, None));
        for answer in [REFUSED, r#""result":{}"#] {
            let (_, heard) = ask(None, &[UNKNOWN, answer]);
            assert_eq!(
                unidentified(heard),
                "it answered `initialize` with error -32601 (no [2J such), and does not serve 2026-07-28 either"
            );
        }
    }

    #[test]
    fn who_says_what_is_wrong_is_asked_no_further() {
        let (asked, heard) = ask(None, &[REFUSED]);
        assert_eq!(asked, ["initialize"]);
        assert_eq!(unidentified(heard), "it answered `initialize` with error -32000 (no [2J key)");
    }

    #[test]
    fn where_the_era_is_known_the_other_is_not_tried() {
        let (asked, heard) = ask(Some(Era::Stateless), &[DISCOVERED]);
        assert_eq!((asked, identified(heard)), (vec!["server/discover".into()], (Era::Stateless, None)));
        let (_, heard) = ask(Some(Era::Stateless), &[REFUSED]);
        assert_eq!(unidentified(heard), "it does not serve 2026-07-28");
        let (_, heard) = ask(Some(Era::Handshake), &[REFUSED]);
        assert_eq!(unidentified(heard), "it answered `initialize` with error -32000 (no [2J key)");
    }

    #[test]
    fn a_server_has_tools_if_it_says_so() {
        let has = |capabilities: &str| {
            let (_, heard) = ask(Some(Era::Handshake), &[&format!(r#""result":{{{capabilities}}}"#)]);
            let Heard::Identified(identity, _) = heard else { panic!("{heard:?}") };
            identity.has_tools
        };
        assert!(
            has(r#""capabilities":{"tools":{}}"#) && has(r#""capabilities":{"tools":{"listChanged":true}}"#)
        );
        assert!(!has(r#""capabilities":{"prompts":{}}"#) && !has(r#""capabilities":{"tools":null}"#));
        assert!(!has(r#""tools":{}"#) && !has(r#""capabilities":7"#));
    }

    #[test]
    fn only_the_answer_to_the_question_is_one() {
        let (inquiry, question) = Inquiry::begin(None);
        let other = RequestId::parse("7").unwrap();
        assert!(inquiry.answer(message(&other, INITIALIZED)).is_none());
        assert!(inquiry.answer(question).is_none());
        assert!(inquiry.answer(initialized()).is_none());
    }

    #[test]
    fn a_server_need_not_say_its_name_and_may_talk_at_length() {
        let (_, heard) = ask(Some(Era::Handshake), &[r#""result":{}"#]);
        let Heard::Identified(identity, _) = heard else { panic!("{heard:?}") };
        assert_eq!(identity, Identity { name: None, version: None, era: Era::Handshake, has_tools: false });
        let long = format!(r#""error":{{"code":1,"message":"{}"}}"#, "x".repeat(1000));
        let (_, heard) = ask(Some(Era::Handshake), &[&long]);
        assert_eq!(unidentified(heard).matches('x').count(), MAX_WORDS);
    }
}
