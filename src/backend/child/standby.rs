//! The launcher that stands by: already up, and waiting for its orders. To start our own binary is about a
//! quarter of what opening a session takes, so one is started while nobody waits for it.
//!
//! It is a launcher like any other and knows nothing until its orders come, so it fits every session, and only
//! one. The gateway changes nothing about itself that a process inherits once one is kept; what an operator
//! changes from outside, such as its priority, holds from the session after the next on. `ps` shows
//! `lockgate __launch`: a gateway at rest has this process more, of which about a MiB is memory of its own.
//!
//! It ends with the gateway, which it asks the kernel for, and by itself if the other end of its socket closes.

use std::io;
use std::os::fd::OwnedFd;

use super::launcher::Orders;
use super::spawner::{Roster, Spawned};

/// Launchers for the spawning thread: the one that stands by, or else fresh ones.
#[derive(Debug)]
pub(super) struct Standby {
    roster: Roster,
    /// Whether one is to stand by at all.
    kept: bool,
    waiting: Option<Spawned>,
}

impl Standby {
    /// Until it is [kept](Self::keep), every launcher is a fresh one.
    pub(super) fn new(roster: Roster) -> Self {
        Self { roster, kept: false, waiting: None }
    }

    /// From now on one stands by.
    pub(super) fn keep(&mut self) {
        self.kept = true;
    }

    /// Starts the next one, if there is none. To be called when nobody waits for a launcher. If the host has no
    /// room for it now, whoever comes next starts its own and hears of it.
    pub(super) fn renew(&mut self) {
        if self.kept && self.waiting.is_none() {
            self.waiting = Spawned::start(&self.roster).ok();
        }
    }

    /// A launcher that has its orders.
    pub(super) fn launch(&mut self, orders: &Orders, descriptors: &[OwnedFd; 3]) -> io::Result<Spawned> {
        // One that somebody has killed or stopped meanwhile is ended and reaped as it is dropped.
        if let Some(ready) = self.waiting.take().filter(|waiting| waiting.leader.is_up())
            // If it has gone only now, nobody has read them.
            && ready.instruct(orders, descriptors).is_ok()
        {
            return Ok(ready);
        }
        let fresh = Spawned::start(&self.roster)?;
        fresh.instruct(orders, descriptors)?;
        Ok(fresh)
    }
}
