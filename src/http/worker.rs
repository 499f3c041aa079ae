//! What one of the threads that answer requests has of its own.

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::connection::HEAD_TIMEOUT;
use super::{Front, Policy};
use crate::cluster::Line;

/// A worker's view of the gateway. Requests take nothing from another thread to see what holds.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) front: Arc<Front>,
    pub(super) side: Side,
    /// To other nodes.
    pub(super) line: Line,
    seen: RefCell<Seen>,
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Clients, at the public listener.
    Clients,
    /// Other nodes, with what their clients want of this one.
    Nodes,
}

impl Side {
    /// How long the first head of a connection may take; zero leaves it to what bounds idle ones. Nodes connect ahead:
    /// the 408 that actix says then would be taken for the answer to the request that comes meanwhile.
    pub(super) fn head_timeout(self) -> Duration {
        match self {
            Self::Clients => HEAD_TIMEOUT,
            Self::Nodes => Duration::ZERO,
        }
    }
}

/// One version of the settings, which the requests of one worker share among themselves.
#[derive(Debug)]
pub(super) struct Current(Arc<Policy>);

#[derive(Debug)]
struct Seen {
    changes: watch::Receiver<Arc<Policy>>,
    current: Rc<Current>,
}

impl Worker {
    pub(super) fn new(front: Arc<Front>, side: Side) -> Self {
        let mut changes = front.policy.clone();
        let current = Rc::new(Current(changes.borrow_and_update().clone()));
        Self { front, side, line: Line::new(), seen: RefCell::new(Seen { changes, current }) }
    }

    /// What holds now. Never older than what an earlier request on any thread has seen, once it was answered.
    pub(super) fn policy(&self) -> Rc<Current> {
        let seen = &mut *self.seen.borrow_mut();
        // An error says that there will be no other.
        if seen.changes.has_changed().unwrap_or(false) {
            seen.current = Rc::new(Current(seen.changes.borrow_and_update().clone()));
        }
        seen.current.clone()
    }
}

impl Deref for Current {
    type Target = Policy;

    fn deref(&self) -> &Policy {
        &self.0
    }
}
