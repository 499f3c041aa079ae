//! A session's state while somebody works on it.

use std::ops::{Deref, DerefMut};
use std::sync::MutexGuard;

use super::State;
use super::figures::{Figures, Stage, Standing};
use crate::mcp::Era;

/// The state, and nobody else's for as long as this lives. How it stands then is shown to the operator, so no place
/// that changes it can forget to.
#[derive(Debug)]
pub(super) struct Held<'a> {
    state: MutexGuard<'a, State>,
    figures: &'a Figures,
    /// What its clients speak.
    clients: Era,
}

impl<'a> Held<'a> {
    pub(super) fn new(state: MutexGuard<'a, State>, figures: &'a Figures, clients: Era) -> Self {
        Self { state, figures, clients }
    }
}

impl Deref for Held<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let State { exchange, outlet, to_backend, outbox, ended, bridge, last_message, .. } = &*self.state;
        let stage = match outlet {
            _ if *ended => Stage::Ending,
            Some(_) => Stage::Live,
            None => Stage::Starting,
        };
        self.figures.show(Standing {
            stage,
            open: exchange.open(),
            to_backend: to_backend.bytes() + bridge.held(),
            to_client: outbox.unread(),
            blocked: outlet.is_some() && !to_backend.is_empty(),
            full: !outbox.has_room(),
            last_message: *last_message,
            era: bridge.spoken(self.clients),
        });
    }
}
