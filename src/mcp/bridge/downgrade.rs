//! A client of the handshake era, and a backend of the stateless era (protocol.md section 5.2).

use std::time::Duration;

use super::Frame;
use super::passed::Passed;

/// One client and its backend.
#[derive(Debug)]
pub(super) struct Downgrade {
    server: String,
    /// What the backend has said to the client's own `initialize`, if that was tried.
    refusal: Option<Frame>,
}

impl Downgrade {
    pub(super) fn new(server: String) -> Self {
        Self { server, refusal: None }
    }

    /// The backend has refused `initialize`. If it does not speak the other era either, that is what the client hears.
    pub(super) fn after_refusal(
        &mut self,
        initialize: Frame,
        refusal: Frame,
        now: Duration,
        out: &mut Passed,
    ) {
        self.refusal = Some(refusal);
        self.client_says(initialize, now, out);
    }

    pub(super) fn client_says(&mut self, frame: Frame, now: Duration, out: &mut Passed) {
        let _ = (&self.server, frame, now, out);
    }

    pub(super) fn backend_says(&mut self, frame: Frame, now: Duration, out: &mut Passed) {
        let _ = (frame, now, out);
    }

    pub(super) fn tick(&mut self, now: Duration, out: &mut Passed) {
        let _ = (now, out);
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        None
    }

    /// Bytes of requests that are kept, in case they must be sent again.
    pub(super) fn held(&self) -> usize {
        0
    }
}
