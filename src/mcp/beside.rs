//! What a message has with it on its way through the gateway. No part of the message: nobody outside sees it.

use std::sync::Arc;

use super::frame::Frame;
use super::trace_context::TraceContext;

/// Where a message comes from, for whoever sends it on over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside {
    /// What the log knows the request by that brought it.
    pub request: Arc<str>,
    /// The span that what comes of it belongs below.
    pub context: Option<TraceContext>,
}

impl Frame {
    /// The same message with something beside it, which stays there when the message is respelled.
    #[must_use]
    pub fn with(self, beside: Beside) -> Self {
        Self { beside: Some(Arc::new(beside)), ..self }
    }

    /// What goes beside it, if something does.
    pub fn beside(&self) -> Option<&Beside> {
        self.beside.as_deref()
    }
}
