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
//! stateless  unknown     Probing ─── it shows 2026-07-28 ────────▶ Direct
//!                           └─────── it does not ────────────────▶ Upgrade
//! stateless  handshake   Upgrade ─── it refuses, and shows it ───▶ Direct
//! ```
//! Machines without I/O: messages and the time go in, messages come out. The time is how long the session has
//! lasted. A client's messages have been admitted, and those of several clients numbered, before they come here.

mod downgrade;
mod passed;
mod probing;
mod state;
mod upgrade;
mod waiting;
mod watching;

use std::collections::VecDeque;
use std::time::Duration;

pub use self::passed::{ForClient, Passed};

use self::downgrade::Downgrade;
use self::probing::Probing;
use self::upgrade::Upgrade;
use self::watching::Watching;
use super::discover::shown_by;
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
    /// What clients say of themselves, where they send no `initialize`.
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
    /// It has not answered our question in time, and may still end over it.
    is_late: bool,
    /// It has answered later, by which time it was asked to speak the other era.
    would_be: Option<Era>,
}

#[derive(Debug)]
enum Way {
    Direct,
    Watching(Watching),
    Probing(Box<Probing>),
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
            (Era::Stateless, None) => Way::Probing(Box::new(Probing::begin(sides, &mut out))),
            (Era::Stateless, Some(Era::Handshake)) => Way::Upgrade(Box::new(Upgrade::begin(sides, &mut out))),
        };
        (Self { way, shown: None, is_late: false, would_be: None }, out)
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
            Way::Probing(probing) => probing.client_says(frame, &mut out),
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
            Way::Probing(probing) => match shown_by(&frame) {
                Some(Era::Stateless) => {
                    let held = probing.take_held();
                    self.open_directly(held, &mut out);
                }
                Some(Era::Handshake) => self.way = upgraded(probing, now, &mut out),
                // Before it has answered us, nobody has asked it anything, nor can it ask.
                None => out.to_backend.extend(probing::too_early(&frame)),
            },
            Way::Upgrade(upgrade) => {
                self.would_be = self.would_be.or_else(|| shown_by(&frame));
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
            Way::Probing(probing) if probing.is_due(now) => {
                self.is_late = true;
                self.way = upgraded(probing, now, &mut out);
            }
            Way::Probing(_) => {}
            Way::Upgrade(upgrade) => upgrade.tick(now, &mut out),
            Way::Downgrade(downgrade) => downgrade.tick(now, &mut out),
        }
        out
    }

    /// The backend runs since now, so that it can be late from now on.
    pub fn backend_runs(&mut self, now: Duration) {
        if let Way::Probing(probing) = &mut self.way {
            probing.backend_runs(now);
        }
    }

    /// The backend has ended. If it did so over our question which era it speaks, what another is told first, which
    /// is to be started in its place.
    pub fn begin_again(&mut self, now: Duration) -> Option<Passed> {
        if !self.may_begin_again() {
            return None;
        }
        let mut out = Passed::default();
        match &mut self.way {
            Way::Probing(probing) => self.way = upgraded(probing, now, &mut out),
            Way::Upgrade(upgrade) => upgrade.begin_again(&mut out),
            Way::Direct | Way::Watching(_) | Way::Downgrade(_) => {}
        }
        (self.is_late, self.shown) = (false, Some(Era::Handshake));
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

    /// Others wait for their turn: who has one and is away keeps it for a while only.
    pub fn hurry(&mut self) {
        if let Way::Upgrade(upgrade) = &mut self.way {
            upgrade.hurry();
        }
    }

    /// The backend speaks the era of its clients after all. What they have said so far goes to it.
    fn open_directly(&mut self, held: VecDeque<Frame>, out: &mut Passed) {
        self.way = Way::Direct;
        self.shown = Some(Era::Stateless);
        out.to_backend.extend(held);
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
        if !matches!(&self.way, Way::Downgrade(downgrade) if downgrade.is_refused()) {
            return;
        }
        if let Way::Downgrade(downgrade) = std::mem::replace(&mut self.way, Way::Direct) {
            self.way = Way::Watching(Watching::new(downgrade));
        }
    }

    /// Notes what has come of the conversation that an upgrade begins.
    fn settle(&mut self, out: &mut Passed) {
        let Way::Upgrade(upgrade) = &mut self.way else { return };
        if upgrade.is_open() {
            self.shown = self.would_be.or(Some(Era::Handshake));
        } else if let Some(held) = upgrade.take_for_other_era() {
            self.open_directly(held, out);
        }
    }
}

/// The backend has not shown that it speaks the era of its clients: it is asked to speak the other.
fn upgraded(probing: &mut Probing, now: Duration, out: &mut Passed) -> Way {
    let mut upgrade = Upgrade::begin(probing.sides().clone(), out);
    for frame in probing.take_held() {
        upgrade.client_says(frame, now, out);
    }
    Way::Upgrade(Box::new(upgrade))
}

#[cfg(test)]
mod tests;
