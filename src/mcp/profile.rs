//! What a server says of itself when it is first asked, in either era: as the result of `initialize` or of
//! `server/discover`.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value;

use super::frame::Frame;
use super::members::members;

/// What a server can do, who it is, and how it wants to be used. Each is JSON text as the server sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// An object.
    pub(super) capabilities: Box<str>,
    /// An object with a `name` and a `version`.
    pub(super) info: Option<Box<str>>,
    /// A string.
    pub(super) instructions: Option<Box<str>>,
}

pub(super) const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// How long each of them may be, in bytes; what is longer is left out. Every client is told all of it, and who the
/// server is with each result.
const MAX_TEXT: usize = 64 << 10;
const MAX_INFO: usize = 4 << 10;

impl Profile {
    /// Reads a result of `initialize` or `server/discover`; `None` if it is neither.
    pub(super) fn read(answer: &Frame) -> Option<Self> {
        let result = Some(answer).filter(|answer| !answer.is_error())?.payload();
        let [capabilities, info, instructions, meta] =
            members(result, ["capabilities", "serverInfo", "instructions", "_meta"]).ok()?;
        let beside = || members(meta?, [SERVER_INFO]).ok()?[0];
        let of = |token: Option<&'_ str>, opens: char, max: usize| {
            token.filter(|token| token.starts_with(opens) && token.len() <= max).map(Box::from)
        };
        Some(Self {
            // It must be there; one that says nothing can do nothing.
            capabilities: of(capabilities, '{', MAX_TEXT).unwrap_or_else(|| "{}".into()),
            info: of(info.or_else(beside), '{', MAX_INFO),
            instructions: of(instructions, '"', MAX_TEXT),
        })
    }

    /// What it takes, in bytes.
    pub fn size(&self) -> usize {
        [&self.info, &self.instructions].into_iter().flatten().map(|text| text.len()).sum::<usize>()
            + self.capabilities.len()
    }

    /// Whether this capability is there, and in it, where one is asked for, this member that is `true`.
    pub(super) fn can(&self, capability: &str, member: Option<&str>) -> bool {
        let Ok([Some(own)]) = members(&self.capabilities, [capability]) else { return false };
        let is_set = |member| members(own, [member]).is_ok_and(|[token]| token == Some("true"));
        own.starts_with('{') && member.is_none_or(is_set)
    }

    /// Who the server is; `named` is what one is called that does not say.
    pub(super) fn info_or(&self, named: &str) -> Cow<'_, str> {
        match &self.info {
            Some(info) => Cow::Borrowed(info),
            None => Cow::Owned(format!(r#"{{"name":{},"version":"0"}}"#, Value::from(named))),
        }
    }

    /// The text of a result that says this, as members of an object; `named` is what a server is called that does
    /// not say.
    pub(super) fn introduce(&self, named: &str) -> String {
        let info = self.info_or(named);
        let mut text = format!(r#""capabilities":{},"serverInfo":{info}"#, self.capabilities);
        if let Some(instructions) = &self.instructions {
            let _ = write!(text, r#","instructions":{instructions}"#);
        }
        text
    }
}
