//! Which of the backends for the same clients takes a request now.

use std::sync::Arc;

use super::super::Session;
use crate::mcp::Enveloped;

/// The way of one request to a backend, free for it as long as this lives.
#[derive(Debug)]
pub(super) struct Turn {
    session: Arc<Session>,
    hold: Hold,
}

/// What a request has of its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// Nothing that others could not have, too.
    Shared,
    /// No other call in which the backend may ask something gets there meanwhile.
    Reserved,
    /// It brings what the backend has asked for.
    ComesBack,
}

impl Turn {
    /// With one of these, if one takes the request now. Who brings what a backend has asked for comes back to that one.
    pub(super) fn choose(live: &[&Arc<Session>], call: &Enveloped) -> Option<Self> {
        let has_asked = |state| live.iter().find(|session| session.state().bridge.has_asked(state));
        let turn = |session: &Arc<Session>, hold| Self { session: session.clone(), hold };
        if let Some(session) = call.state().and_then(has_asked) {
            return Some(turn(session, Hold::ComesBack));
        }
        // A state that nobody has given out is refused by anybody.
        if !call.may_be_asked() || call.state().is_some() {
            return live.first().map(|session| turn(session, Hold::Shared));
        }
        live.iter().find_map(|session| Some(turn(session, session.reserve()?)))
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Whether its client is back with what it was asked for.
    pub(super) fn comes_back(&self) -> bool {
        self.hold == Hold::ComesBack
    }
}

impl Session {
    /// Keeps it for one call, if it takes them one at a time, and takes one now.
    fn reserve(&self) -> Option<Hold> {
        let mut state = self.state();
        if !state.bridge.takes_turns() {
            return Some(Hold::Shared);
        }
        if state.reserved || state.bridge.is_taken() {
            return None;
        }
        state.reserved = true;
        Some(Hold::Reserved)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.hold == Hold::Reserved {
            let mut state = self.session.state();
            state.reserved = false;
            self.session.tell_if_free(&state);
        }
    }
}
