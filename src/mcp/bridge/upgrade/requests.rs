//! Requests of clients that are open at the backend, each under the number that its client's request got; and how a
//! request looks there.

use std::collections::HashMap;

use super::Frame;
use crate::mcp::edits::Edits;
use crate::mcp::error::{Code, Failure};
use crate::mcp::id::RequestId;
use crate::mcp::ladder::{ENVELOPE, LOG_LEVEL};
use crate::mcp::level::Level;
use crate::mcp::members::members;
use crate::mcp::shape::Shape;

/// What is open at the backend, by the id that it knows it by. Clients may have only so many open, and one more may
/// have nobody who waits for it.
#[derive(Debug, Default)]
pub(super) struct Requests(HashMap<RequestId, Open>);

/// One of them.
#[derive(Debug)]
pub(super) struct Open {
    /// The request of a client that it answers; `None` while nobody waits for it.
    pub(super) client: Option<RequestId>,
    /// That client wants to be told of progress.
    pub(super) wants_progress: bool,
    /// That client wants lines of the log from this level on.
    pub(super) level: Option<Level>,
    pub(super) shape: Shape,
}

/// What a request carries that is not for the backend.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Carried<'f> {
    /// `_meta`
    meta: Option<&'f str>,
    /// `inputResponses`
    pub(super) responses: Option<&'f str>,
    /// `requestState`
    pub(super) state: Option<&'f str>,
    pub(super) wants_progress: bool,
    pub(super) level: Option<Level>,
}

/// The ids of requests of our own. They are strings, which no number of a client's request equals.
#[derive(Debug, Default)]
pub(super) struct OwnIds(u64);

impl OwnIds {
    pub(super) fn next(&mut self) -> RequestId {
        self.0 += 1;
        RequestId::own(self.0)
    }
}

impl Requests {
    pub(super) fn insert(&mut self, id: RequestId, open: Open) {
        self.0.insert(id, open);
    }

    pub(super) fn remove(&mut self, id: &RequestId) -> Option<Open> {
        self.0.remove(id)
    }

    pub(super) fn get_mut(&mut self, id: &RequestId) -> Option<&mut Open> {
        self.0.get_mut(id)
    }

    pub(super) fn get(&self, id: &RequestId) -> Option<&Open> {
        self.0.get(id)
    }

    /// The only one that is open, if there is just one.
    pub(super) fn only_one(&self) -> Option<&Open> {
        let mut open = self.0.values();
        open.next().filter(|_| open.next().is_none())
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'f> Carried<'f> {
    /// # Errors
    /// If the request cannot be read in one way, or names a level that there is not.
    pub(super) fn read(request: &'f Frame) -> Result<Self, Failure> {
        let misfit = |what: &str| Failure::new(Code::InvalidParams, what);
        if request.payload().is_empty() {
            return Ok(Self::default());
        }
        let [meta, responses, state] =
            members(request.payload(), ["_meta", "inputResponses", "requestState"])
                .map_err(|_| misfit("`params` must be an object, each member there once"))?;
        let [token, level] = meta
            .map_or(Ok([None, None]), |meta| members(meta, ["progressToken", LOG_LEVEL]))
            .map_err(|_| misfit("`params._meta` must be an object, each member there once"))?;
        let level = level
            .map(|token| {
                let reason = || format!("`{LOG_LEVEL}` must be one of {}", Level::names());
                Level::read(token).ok_or_else(|| misfit(&reason()))
            })
            .transpose()?;
        Ok(Self { meta, responses, state, wants_progress: token.is_some(), level })
    }

    /// The request as the backend gets it.
    pub(super) fn stripped(&self, request: &'f Frame) -> Frame {
        let mut edits = Edits::of(request);
        if self.responses.is_some() || self.state.is_some() {
            let goes = |name: &str| matches!(name, "inputResponses" | "requestState");
            // Both were read from it, so that it is an object.
            let _ = edits.reshape(request.payload(), goes, "");
        }
        if let Some(meta) = self.meta {
            let _ = edits.reshape(meta, |name| ENVELOPE.contains(&name), "");
        }
        edits.done(None)
    }
}
