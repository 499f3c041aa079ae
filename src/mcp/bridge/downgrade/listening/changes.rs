//! What a client wants changed in what it is told, each until the backend has answered.
//!
//! ```text
//! waiting for a turn ──▶ part of a subscription that is asked for ── acknowledged with the resource ──▶ `{}`
//!                                              └── refused, late, or acknowledged without it ──▶ error -32602
//! ```
//! To be told no more of a resource is answered with `{}` in each of these cases.

use crate::mcp::error::{Code, error_frame};
use crate::mcp::frame::Frame;
use crate::mcp::id::RequestId;
use crate::mcp::splice;

/// In the order in which the client asked for them.
#[derive(Debug, Default)]
pub(super) struct Changes(Vec<Change>);

/// A `resources/subscribe` or `resources/unsubscribe`.
#[derive(Debug)]
pub(super) struct Change {
    id: RequestId,
    pub(super) uri: Box<str>,
    pub(super) adds: bool,
    /// The subscription that was asked for because of it, among others.
    by: Option<RequestId>,
}

impl Change {
    /// What the client is told if the backend takes it.
    pub(super) fn done(&self) -> Frame {
        splice::response(&self.id, "{}")
    }

    /// What it is told if not.
    pub(super) fn refused(&self, words: &str) -> Frame {
        error_frame(&self.id, Code::InvalidParams, words)
    }
}

impl Changes {
    pub(super) fn push(&mut self, id: &RequestId, uri: &str, adds: bool) {
        self.0.push(Change { id: id.clone(), uri: uri.into(), adds, by: None });
    }

    /// Whether one of them is about this resource.
    pub(super) fn concern(&self, uri: &str) -> bool {
        self.0.iter().any(|change| *change.uri == *uri)
    }

    pub(super) fn contain(&self, id: &RequestId) -> bool {
        self.0.iter().any(|change| change.id == *id)
    }

    /// The resources that they are about.
    pub(super) fn uris(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|change| &*change.uri)
    }

    /// Takes one that nobody waits for any more.
    pub(super) fn remove(&mut self, id: &RequestId) -> Option<Change> {
        let at = self.0.iter().position(|change| change.id == *id)?;
        Some(self.0.remove(at))
    }

    /// Those that wait for a turn are part of this subscription now.
    pub(super) fn join(&mut self, number: &RequestId) {
        for change in self.0.iter_mut().filter(|change| change.by.is_none()) {
            change.by = Some(number.clone());
        }
    }

    /// Takes those that are part of this subscription.
    pub(super) fn take(&mut self, number: &RequestId) -> Vec<Change> {
        self.0.extract_if(.., |change| change.by.as_ref() == Some(number)).collect()
    }

    pub(super) fn take_all(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.0)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
