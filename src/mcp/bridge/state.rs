//! What a session has to know of the state of its bridge.

use std::time::Duration;

use super::{Bridge, Era, Way};
use crate::mcp::error::Failure;
use crate::mcp::profile::Profile;

impl Bridge {
    /// When something is due by itself.
    pub fn next_deadline(&self) -> Option<Duration> {
        match &self.way {
            Way::Direct | Way::Watching(_) => None,
            Way::Probing(probing) => probing.deadline(),
            Way::Upgrade(upgrade) => upgrade.next_deadline(),
            Way::Downgrade(downgrade) => downgrade.next_deadline(),
        }
    }

    /// Whether another backend is to be started in the place of this one, if it ends.
    pub fn may_begin_again(&self) -> bool {
        match &self.way {
            Way::Probing(probing) => probing.is_running(),
            Way::Upgrade(upgrade) => self.is_late && upgrade.is_beginning(),
            Way::Direct | Way::Watching(_) | Way::Downgrade(_) => false,
        }
    }

    /// Whether nothing is between the two sides, for as long as the session lasts.
    pub fn is_direct(&self) -> bool {
        matches!(self.way, Way::Direct)
    }

    /// What the backend speaks whose clients speak this, as far as that is known now.
    pub fn spoken(&self, clients: Era) -> Option<Era> {
        match &self.way {
            Way::Direct => Some(clients),
            Way::Upgrade(_) => Some(Era::Handshake),
            Way::Downgrade(_) => Some(Era::Stateless),
            Way::Watching(_) | Way::Probing(_) => None,
        }
    }

    /// What clients are told of a backend that would not begin a conversation.
    pub fn refusal(&self) -> Option<&Failure> {
        match &self.way {
            Way::Upgrade(upgrade) => upgrade.refusal(),
            Way::Direct | Way::Watching(_) | Way::Probing(_) | Way::Downgrade(_) => None,
        }
    }

    /// What the backend has shown itself to be, where we asked; or is taken for, after it has ended over the question.
    pub fn shown(&self) -> Option<Era> {
        self.shown
    }

    /// What the backend says of itself, once it has, for those who come later.
    pub fn profile(&self) -> Option<&Profile> {
        match &self.way {
            Way::Upgrade(upgrade) => upgrade.profile(),
            _ => None,
        }
    }

    /// Bytes of requests that wait here for the backend.
    pub fn held(&self) -> usize {
        match &self.way {
            Way::Direct | Way::Watching(_) => 0,
            Way::Probing(probing) => probing.held(),
            Way::Upgrade(upgrade) => upgrade.held(),
            Way::Downgrade(downgrade) => downgrade.held(),
        }
    }

    /// Whether the backend waits for what a client has still to bring.
    pub fn is_parked(&self) -> bool {
        matches!(&self.way, Way::Upgrade(upgrade) if upgrade.is_parked())
    }

    /// Whether the backend may ask something in a call, and does not say in which: then it gets one at a time.
    pub fn takes_turns(&self) -> bool {
        match &self.way {
            Way::Probing(probing) => probing.takes_turns(),
            Way::Upgrade(upgrade) => upgrade.takes_turns(),
            Way::Direct | Way::Watching(_) | Way::Downgrade(_) => false,
        }
    }

    /// Whether such a call would have to wait for another.
    pub fn is_taken(&self) -> bool {
        match &self.way {
            Way::Probing(probing) => probing.is_taken(),
            Way::Upgrade(upgrade) => upgrade.is_taken() || upgrade.is_spent(),
            Way::Direct | Way::Watching(_) | Way::Downgrade(_) => false,
        }
    }

    /// Whether no further call in which the backend may ask something is to come here: it may still be at work on one
    /// that was called off, and what it asks then would be put to somebody else.
    pub fn is_spent(&self) -> bool {
        matches!(&self.way, Way::Upgrade(upgrade) if upgrade.is_spent())
    }

    /// Whether a client that brings this back means this session.
    pub fn has_asked(&self, state: &str) -> bool {
        matches!(&self.way, Way::Upgrade(upgrade) if upgrade.has_asked(state))
    }

    /// Whether the conversation with the backend has still to begin, where that is not for its client to do.
    pub fn is_beginning(&self) -> bool {
        match &self.way {
            Way::Probing(_) => true,
            Way::Upgrade(upgrade) => upgrade.is_beginning(),
            Way::Direct | Way::Watching(_) | Way::Downgrade(_) => false,
        }
    }
}
