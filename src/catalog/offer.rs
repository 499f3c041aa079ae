//! What of a server its clients get to see and use: tools, resources and prompts by name.
//!
//! The operator says so for a server and for a tenant; a request may ask for less. Each can only take away, so
//! their order does not matter.

use std::sync::Arc;

use super::LaunchPlan;
use super::pattern::Pattern;
use crate::mcp::{Frame, Listed, Misuse};
use crate::settings;

/// What may be seen and used: what everybody allows who has had a say in it. Costs nothing where nobody has.
#[derive(Clone, Debug, Default)]
pub struct Offer(Option<Arc<Narrowed>>);

/// An offer, and what was taken away from it.
#[derive(Debug)]
struct Narrowed {
    from: Offer,
    by: Selection,
}

/// What one of those has chosen who have a say.
#[derive(Clone, Debug, Default)]
struct Selection {
    tools: Choice,
    resources: Choice,
    prompts: Choice,
}

/// Names that are meant, and names that are not.
#[derive(Clone, Debug, Default)]
struct Choice {
    /// `None` is every name.
    allow: Option<Arc<[Pattern]>>,
    deny: Arc<[Pattern]>,
}

/// Why the names of tools that a request allows cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNames {
    /// Too many.
    #[error("the header {0} names more than {MAX_NAMES} tools; name fewer, or several at once with *")]
    TooMany(&'static str),
    /// Too many that are hard to compare.
    #[error(
        "the header {0} has more than {MAX_STARS} names with *; name tools exactly, or more of them at once"
    )]
    TooWide(&'static str),
    /// Not text.
    #[error("the header {0} is not UTF-8; it takes names of tools, separated by commas")]
    NotText(&'static str),
}

/// Names of tools that a request may allow.
const MAX_NAMES: usize = 256;
/// How many of them may hold a `*`: each is looked for in every name of a list.
const MAX_STARS: usize = 32;
/// Longer names are offered only where every name is: they would take long to compare. In bytes.
const MAX_NAME: usize = 8 * 1024;

// === impl Offer ===

impl Offer {
    /// Everything that the server has.
    pub const EVERYTHING: Self = Self(None);

    /// What the operator has chosen.
    pub(super) fn chosen(
        tools: &settings::Selection,
        resources: &settings::Selection,
        prompts: &settings::Selection,
    ) -> Self {
        if [tools, resources, prompts].into_iter().all(settings::Selection::is_everything) {
            return Self::EVERYTHING;
        }
        let [tools, resources, prompts] = [tools, resources, prompts].map(Choice::new);
        Self::EVERYTHING.narrowed(Selection { tools, resources, prompts })
    }

    /// The tools that a request asks to be confined to, by the values of a header: names separated by commas. No
    /// name at all confines to nothing.
    ///
    /// # Errors
    /// If they are no text, or too many.
    pub fn of_tools<'v>(
        header: &'static str,
        values: impl Iterator<Item = &'v [u8]>,
    ) -> Result<Self, BadNames> {
        let mut allow = Vec::new();
        for value in values {
            let text = std::str::from_utf8(value).map_err(|_| BadNames::NotText(header))?;
            allow.extend(text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(Pattern::new));
            if allow.len() > MAX_NAMES {
                return Err(BadNames::TooMany(header));
            }
            if allow.iter().filter(|name| name.has_star()).count() > MAX_STARS {
                return Err(BadNames::TooWide(header));
            }
        }
        if allow.is_empty() {
            return Ok(Self::EVERYTHING);
        }
        let tools = Choice { allow: Some(allow.into()), deny: Arc::default() };
        Ok(Self::EVERYTHING.narrowed(Selection { tools, ..Selection::default() }))
    }

    /// What both offer.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        match &other.0 {
            None => self.clone(),
            Some(_) if self.is_everything() => other.clone(),
            Some(narrowed) => self.and(&narrowed.from).narrowed(narrowed.by.clone()),
        }
    }

    fn narrowed(self, by: Selection) -> Self {
        Self(Some(Arc::new(Narrowed { from: self, by })))
    }

    /// Whether nothing is taken away.
    pub fn is_everything(&self) -> bool {
        self.0.is_none()
    }

    /// Whether this may be seen and used.
    pub fn has(&self, of: Listed, name: &str) -> bool {
        self.0.as_ref().is_none_or(|narrowed| narrowed.by.has(of, name) && narrowed.from.has(of, name))
    }

    /// Whether a client may be told this by the backend: that a resource has changed only if it is offered.
    pub fn may_tell(&self, notification: &Frame) -> bool {
        let updated = Some(notification).filter(|_| !self.is_everything()).and_then(Frame::updated);
        updated.is_none_or(|uri| uri.is_some_and(|uri| self.has(Listed::Resources, &uri)))
    }

    /// Whether a client's message may reach the backend.
    ///
    /// # Errors
    /// If it uses what is not offered, or it cannot be told what it uses.
    pub fn check(&self, frame: &Frame) -> Result<(), Misuse> {
        if self.is_everything() { Ok(()) } else { frame.check_use(|of, name| self.has(of, name)) }
    }
}

// === impl LaunchPlan ===

impl LaunchPlan {
    /// What of the server its client gets to see and use. No part of the fingerprint: where several share a
    /// process, each request comes with its own.
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// The same plan for a client that is to get no more than this.
    #[must_use]
    pub fn narrowed(mut self, offer: &Offer) -> Self {
        self.offer = self.offer.and(offer);
        self
    }
}

// === impl Selection ===

impl Selection {
    fn has(&self, of: Listed, name: &str) -> bool {
        let choice = match of {
            Listed::Tools => &self.tools,
            Listed::Resources | Listed::Templates => &self.resources,
            Listed::Prompts => &self.prompts,
        };
        // `file:///a/../b` is named like `file:///a/*`, but is `file:///b`.
        choice.is_everything() || choice.has(name) && !(of == Listed::Resources && climbs(name))
    }
}

/// Whether a server may take a URI for that of something elsewhere: it has `.` or `..` between its slashes.
fn climbs(uri: &str) -> bool {
    let plain = urlencoding::decode_binary(uri.as_bytes());
    let mut segments = plain.split(|byte| b"/\\?#".contains(byte));
    segments.any(|segment| segment == b"." || segment == b"..")
}

// === impl Choice ===

impl Choice {
    fn new(selection: &settings::Selection) -> Self {
        let patterns = |names: &[String]| names.iter().map(|name| Pattern::new(name)).collect();
        Self { allow: selection.allow.as_deref().map(patterns), deny: patterns(&selection.deny) }
    }

    fn is_everything(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty()
    }

    fn has(&self, name: &str) -> bool {
        let is_in = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.fits(name));
        name.len() <= MAX_NAME && self.allow.as_deref().is_none_or(is_in) && !is_in(&self.deny)
    }
}

#[cfg(test)]
mod tests;
