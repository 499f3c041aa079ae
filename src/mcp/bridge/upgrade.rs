//! Clients of the stateless era, and a backend of the handshake era (protocol.md section 5.3).

use std::time::Duration;

use super::passed::Passed;
use super::{Frame, Sides};
use crate::mcp::profile::Profile;

/// One backend, and the clients that share it.
#[derive(Debug)]
pub(super) struct Upgrade {
    sides: Sides,
    stage: Stage,
    held: Vec<Frame>,
}

/// How far the conversation with the backend is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// `initialize` is on its way; what clients say waits.
    Beginning,
    Open,
    /// The backend has refused it, and clients have been told.
    Refused,
    /// The backend has refused it, because it speaks the era of the clients. What they have said waits.
    OtherEra,
}

impl Upgrade {
    /// With `initialize` for the backend.
    pub(super) fn begin(sides: Sides, out: &mut Passed) -> Self {
        let _ = out;
        Self { sides, stage: Stage::Beginning, held: Vec::new() }
    }

    pub(super) fn client_says(&mut self, frame: Frame, now: Duration, out: &mut Passed) {
        let _ = (frame, now, out);
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

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    /// What the backend has said of itself, once it has.
    pub(super) fn profile(&self) -> Option<&Profile> {
        self.sides.profile.as_ref()
    }

    /// Bytes of requests that wait.
    pub(super) fn held(&self) -> usize {
        0
    }

    /// What waits, if the backend turns out to speak the era of the clients.
    pub(super) fn into_held(self) -> Vec<Frame> {
        self.held
    }

    /// Whether a call waits for what its client has still to bring.
    pub(super) fn is_parked(&self) -> bool {
        false
    }

    /// Whether a call in which the backend may ask something would have to wait for another.
    pub(super) fn is_taken(&self) -> bool {
        false
    }

    /// Whether this is a state that was given out here, and is still of use.
    pub(super) fn has_asked(&self, state: &str) -> bool {
        let _ = state;
        false
    }
}
