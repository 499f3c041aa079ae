//! Lists of what a server has, with what a client may not see taken out of them. Everything else of an answer
//! stays as it was, to the byte: its pages, its order, its white space.

use std::fmt;

use super::frame::{Frame, place};
use super::members::{decode, each, unmistakable};

/// What servers have, by the lists that they give of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// Tools, by name.
    Tools,
    /// Resources, by URI.
    Resources,
    /// Templates of resources, by URI template.
    Templates,
    /// Prompts, by name.
    Prompts,
}

/// The answer to a request for a list is none that can be read in one way only, so nothing of it can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the server's answer is no list of its {0} that can be read in one way only, and not all of them are offered; \
     tell the operator"
)]
pub struct Unlisted(Listed);

impl Listed {
    /// What a request lists, if it asks for a list.
    pub fn asked_by(method: &str) -> Option<Self> {
        Some(match method {
            "tools/list" => Self::Tools,
            "resources/list" => Self::Resources,
            "resources/templates/list" => Self::Templates,
            "prompts/list" => Self::Prompts,
            _ => return None,
        })
    }

    /// The request for this list.
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Resources => "resources/list",
            Self::Templates => "resources/templates/list",
            Self::Prompts => "prompts/list",
        }
    }

    /// One of them, in words.
    pub(super) fn one(self) -> &'static str {
        match self {
            Self::Tools => "tool",
            Self::Resources => "resource",
            Self::Templates => "resource template",
            Self::Prompts => "prompt",
        }
    }

    /// Where the list stands in the result, and what names each of its members.
    fn keys(self) -> (&'static str, &'static str) {
        match self {
            Self::Tools => ("tools", "name"),
            Self::Resources => ("resources", "uri"),
            Self::Templates => ("resourceTemplates", "uriTemplate"),
            Self::Prompts => ("prompts", "name"),
        }
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.one())
    }
}

impl Frame {
    /// This answer to a request for a list, without the members that may not be seen. A member without a name
    /// cannot be allowed by one. An answer that lists nothing, such as an error, stays as it is.
    ///
    /// # Errors
    /// If it may list something, but readers may not agree on what.
    pub fn without(self, listed: Listed, may_see: impl Fn(&str) -> bool) -> Result<Self, Unlisted> {
        let (key, naming) = listed.keys();
        if self.is_error() {
            return Ok(self);
        }
        let [list] = unmistakable(self.payload(), [key]).map_err(|_| Unlisted(listed))?;
        let Some(list) = list else { return Ok(self) };
        let is_seen = |member: &str| {
            let name = unmistakable(member, [naming]).ok().and_then(|[name]| decode(name?));
            name.is_some_and(|name| may_see(&name))
        };
        Ok(match sieved(list, is_seen).map_err(|_| Unlisted(listed))? {
            Some(left) => self.respelled(None, &[(self.place_of(list), &left)]),
            None => self,
        })
    }
}

/// What is left of a list; `None` if that is all of it.
pub(super) fn sieved(
    list: &str,
    is_seen: impl Fn(&str) -> bool,
) -> Result<Option<String>, serde_json::Error> {
    let mut left = String::new();
    let (mut end, mut is_first, mut is_whole) = (0, true, true);
    each(list, |member| {
        let stands = place(list, member);
        // What precedes the first member opens the list; what precedes any other has its comma in it.
        let before = &list[end..stands.start];
        if end == 0 {
            left.push_str(before);
        }
        if is_seen(member) {
            if !is_first {
                left.push_str(before);
            }
            left.push_str(member);
            is_first = false;
        } else {
            is_whole = false;
        }
        end = stands.end;
    })?;
    left.push_str(&list[end..]);
    Ok((!is_whole).then_some(left))
}

#[cfg(test)]
mod tests;
