//! A span of time that goes to the collector. Where none is exported it is nothing and costs nothing.

use std::fmt::Display;

#[cfg(not(feature = "otel"))]
use super::absent::Live;
#[cfg(feature = "otel")]
use super::export::Live;
use crate::mcp::TraceContext;

/// A span; it ends when this is dropped.
#[derive(Debug, Default)]
pub struct Span(Option<Box<Live>>);

/// What a span is, to whoever reads a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request that somebody waits for elsewhere.
    Client,
    /// Something in here.
    Internal,
}

impl Span {
    /// Of a request of a client, which belongs below `context`.
    pub fn request(method: &'static str, context: Option<&TraceContext>) -> Self {
        let Some(live) = Live::request() else { return Self::default() };
        let span = Self(Some(Box::new(live)));
        context.into_iter().for_each(|context| span.adopt(context));
        span.set("http.request.method", method);
        span
    }

    /// Whether it is exported, or may be.
    pub fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// Puts it below another span than its request's headers name. Only before others are below it.
    pub fn adopt(&self, context: &TraceContext) {
        self.0.iter().for_each(|live| live.adopt(context));
    }

    /// A name that tells kinds of requests apart, and nothing else.
    pub fn name(&self, name: impl FnOnce() -> String) {
        if let Some(live) = &self.0 {
            live.name(name());
        }
    }

    /// Notes something. No payload, no secret, no id of a session.
    pub fn set(&self, key: &'static str, value: impl Display) {
        self.0.iter().for_each(|live| live.set(key, value.to_string()));
    }

    /// The response has this status.
    pub fn responded(&self, status: u16) {
        self.0.iter().for_each(|live| live.responded(status));
    }

    /// What it stands for has come to nothing.
    pub fn fail(&self) {
        self.0.iter().for_each(|live| live.fail());
    }

    /// A span below it.
    pub fn child(&self, name: &'static str, kind: Kind) -> Self {
        Self(self.0.as_ref().map(|live| Box::new(live.child(name, kind))))
    }

    /// By what others put theirs below it.
    pub fn context(&self) -> Option<TraceContext> {
        self.0.as_ref().and_then(|live| live.context())
    }
}
