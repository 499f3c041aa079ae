//! Between a client of one era and a backend of the other: what each of them says is turned into what the other
//! understands (protocol.md section 5). Two that speak the same era have nothing between them: not a byte changes.
//!
//! ```text
//! client     backend
//! handshake  handshake   Direct
//! handshake  unknown     Watching ── `initialize` is agreed to ──▶ Direct
//!                         │   ▲
//!                         │   └─── discovery is refused, too ──────┐
//!                         └─────── it is refused ─────────────▶ Downgrade
//! handshake  stateless   Downgrade
//! stateless  stateless   Direct
//! stateless  unknown     Asking ──── it shows 2026-07-28 ────────▶ Direct
//!                           └─────── it does not ────────────────▶ Upgrade
//! stateless  handshake   Upgrade ─── it refuses, and shows it ───▶ Direct
//! ```
//! Machines without I/O: messages and the time go in, messages come out. The time is how long the session has
//! lasted. A client's messages have been admitted, and those of several clients numbered, before they come here.

mod asking;
mod downgrade;
mod passed;
mod upgrade;
mod watching;

use std::time::Duration;

pub use self::passed::{ForClient, Passed};

use self::asking::Asking;
use self::downgrade::Downgrade;
use self::upgrade::{Stage, Upgrade};
use self::watching::Watching;
use super::frame::Frame;
use super::introduction::Introduction;
use super::profile::Profile;
use super::seal::Seal;
use super::version::Era;

/// What a bridge has to know of the two sides.
#[derive(Clone, Debug)]
pub struct Sides {
    /// What clients speak.
    pub client: Era,
    /// What the backend speaks, if that is known.
    pub backend: Option<Era>,
    /// What the backend has said of itself to others, if that is known.
    pub profile: Option<Profile>,
    /// Of clients that do not begin with it themselves.
    pub introduction: Introduction,
    /// What the server is called, if it does not say.
    pub server: String,
    /// For what clients must bring back.
    pub seal: Seal,
}

/// What stands between the clients of a session and its backend.
#[derive(Debug)]
pub struct Bridge {
    way: Way,
    /// What the backend has shown itself to be, where that was not known.
    shown: Option<Era>,
}

#[derive(Debug)]
enum Way {
    Direct,
    Watching(Watching),
    Asking(Box<Asking>),
    Upgrade(Box<Upgrade>),
    Downgrade(Box<Downgrade>),
}

impl Bridge {
    /// For a session that begins; what goes to its backend first, if that is not for its client to say.
    pub fn new(sides: Sides) -> (Self, Passed) {
        let mut out = Passed::default();
        let way = match (sides.client, sides.backend) {
            (Era::Handshake, Some(Era::Handshake)) | (Era::Stateless, Some(Era::Stateless)) => Way::Direct,
            (Era::Handshake, None) => Way::Watching(Watching::new(Box::new(Downgrade::new(sides.server)))),
            (Era::Handshake, Some(Era::Stateless)) => Way::Downgrade(Box::new(Downgrade::new(sides.server))),
            (Era::Stateless, None) => Way::Asking(Box::new(Asking::begin(sides, &mut out))),
            (Era::Stateless, Some(Era::Handshake)) => Way::Upgrade(Box::new(Upgrade::begin(sides, &mut out))),
        };
        (Self { way, shown: None }, out)
    }

    /// Takes a message of a client.
    pub fn client_says(&mut self, frame: Frame, now: Duration) -> Passed {
        let mut out = Passed::default();
        match &mut self.way {
            Way::Direct => out.to_backend.push(frame),
            Way::Watching(watching) => {
                watching.client_says(&frame);
                out.to_backend.push(frame);
            }
            Way::Asking(asking) => asking.client_says(frame),
            Way::Upgrade(upgrade) => upgrade.client_says(frame, now, &mut out),
            Way::Downgrade(downgrade) => {
                downgrade.client_says(frame, now, &mut out);
                self.watch_again();
            }
        }
        out
    }

    /// Takes a message of the backend.
    pub fn backend_says(&mut self, frame: Frame, now: Duration) -> Passed {
        let mut out = Passed::default();
        match &mut self.way {
            Way::Direct => out.to_client.push(frame.into()),
            Way::Watching(watching) => match watching.backend_says(&frame) {
                watching::Seen::Nothing => out.to_client.push(frame.into()),
                watching::Seen::Agreed => {
                    self.way = Way::Direct;
                    out.to_client.push(frame.into());
                }
                watching::Seen::Refused(initialize) => self.downgrade(initialize, frame, now, &mut out),
            },
            Way::Asking(asking) => match asking.backend_says(&frame) {
                Some(Era::Stateless) => self.open_directly(&mut out),
                Some(Era::Handshake) => self.upgrade(now, &mut out),
                // Before it has answered us, nobody has asked it anything, nor can it ask.
                None => out.to_backend.extend(asking::too_early(&frame)),
            },
            Way::Upgrade(upgrade) => {
                upgrade.backend_says(frame, now, &mut out);
                self.settle(&mut out);
            }
            Way::Downgrade(downgrade) => {
                downgrade.backend_says(frame, now, &mut out);
                self.watch_again();
            }
        }
        out
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Duration) -> Passed {
        let mut out = Passed::default();
        match &mut self.way {
            Way::Direct | Way::Watching(_) => {}
            Way::Asking(asking) if asking.is_due(now) => self.upgrade(now, &mut out),
            Way::Asking(_) => {}
            Way::Upgrade(upgrade) => upgrade.tick(now, &mut out),
            Way::Downgrade(downgrade) => downgrade.tick(now, &mut out),
        }
        out
    }

    /// When something is due by itself.
    pub fn next_deadline(&self) -> Option<Duration> {
        match &self.way {
            Way::Direct | Way::Watching(_) => None,
            Way::Asking(asking) => asking.deadline(),
            Way::Upgrade(upgrade) => upgrade.next_deadline(),
            Way::Downgrade(downgrade) => downgrade.next_deadline(),
        }
    }

    /// The backend runs since now, so that it can be late from now on.
    pub fn backend_runs(&mut self, now: Duration) {
        if let Way::Asking(asking) = &mut self.way {
            asking.backend_runs(now);
        }
    }

    /// The backend has ended. If it did so over our question which era it speaks, what another is told first, which
    /// is to be started in its place.
    pub fn begin_again(&mut self, now: Duration) -> Option<Passed> {
        let mut out = Passed::default();
        let Way::Asking(asking) = &self.way else { return None };
        asking.is_running().then(|| self.upgrade(now, &mut out))?;
        self.shown = Some(Era::Handshake);
        Some(out)
    }

    /// The session ends. What its client must hear that nobody else could tell it.
    pub fn ends(&mut self) -> Passed {
        let mut out = Passed::default();
        if let Way::Downgrade(downgrade) = &mut self.way {
            downgrade.ends(&mut out);
        }
        out
    }

    /// Whether nothing is between the two sides, for as long as the session lasts.
    pub fn is_direct(&self) -> bool {
        matches!(self.way, Way::Direct)
    }

    /// Whether the backend would not begin a conversation, of which its clients have been told.
    pub fn is_refused(&self) -> bool {
        matches!(&self.way, Way::Upgrade(upgrade) if upgrade.stage() == Stage::Refused)
    }

    /// What the backend has shown itself to be, where we asked; or is taken for, after it has ended over the question.
    pub fn shown(&self) -> Option<Era> {
        self.shown
    }

    /// What the backend says of itself, once it has, to whom it did not introduce itself.
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
            Way::Asking(asking) => asking.held(),
            Way::Upgrade(upgrade) => upgrade.held(),
            Way::Downgrade(downgrade) => downgrade.held(),
        }
    }

    /// Whether the backend waits for what a client has still to bring.
    pub fn is_parked(&self) -> bool {
        matches!(&self.way, Way::Upgrade(upgrade) if upgrade.is_parked())
    }

    /// Whether a call in which the backend may ask something would have to wait for another.
    pub fn is_taken(&self) -> bool {
        match &self.way {
            Way::Upgrade(upgrade) => upgrade.is_taken(),
            _ => false,
        }
    }

    /// Whether a client that brings this back means this session.
    pub fn has_asked(&self, state: &str) -> bool {
        matches!(&self.way, Way::Upgrade(upgrade) if upgrade.has_asked(state))
    }

    /// The backend speaks the era of its clients after all.
    fn open_directly(&mut self, out: &mut Passed) {
        let held = match std::mem::replace(&mut self.way, Way::Direct) {
            Way::Asking(asking) => asking.into_held(),
            Way::Upgrade(upgrade) => upgrade.into_held(),
            Way::Direct | Way::Watching(_) | Way::Downgrade(_) => Vec::new(),
        };
        self.shown = Some(Era::Stateless);
        out.to_backend.extend(held);
    }

    /// The backend has not shown that it speaks the era of its clients: it is asked to speak the other.
    fn upgrade(&mut self, now: Duration, out: &mut Passed) {
        if let Way::Asking(asking) = std::mem::replace(&mut self.way, Way::Direct) {
            let (sides, held) = asking.into_parts();
            let mut upgrade = Upgrade::begin(sides, out);
            held.into_iter().for_each(|frame| upgrade.client_says(frame, now, out));
            self.way = Way::Upgrade(Box::new(upgrade));
        }
    }

    /// The backend has refused this `initialize` of its client, but may speak the other era.
    fn downgrade(&mut self, initialize: Frame, refusal: Frame, now: Duration, out: &mut Passed) {
        if let Way::Watching(watching) = std::mem::replace(&mut self.way, Way::Direct) {
            let mut downgrade = watching.into_downgrade();
            downgrade.after_refusal(initialize, refusal, now, out);
            self.way = Way::Downgrade(downgrade);
        }
    }

    /// What the backend has refused in both eras its client may put right, and try again.
    fn watch_again(&mut self) {
        self.way = match std::mem::replace(&mut self.way, Way::Direct) {
            Way::Downgrade(downgrade) if downgrade.is_refused() => Way::Watching(Watching::new(downgrade)),
            other => other,
        };
    }

    /// Notes what has come of the conversation that an upgrade begins.
    fn settle(&mut self, out: &mut Passed) {
        let Way::Upgrade(upgrade) = &self.way else { return };
        match upgrade.stage() {
            Stage::Beginning | Stage::Refused => {}
            Stage::Open => self.shown = Some(Era::Handshake),
            Stage::OtherEra => self.open_directly(out),
        }
    }
}

#[cfg(test)]
mod tests;
