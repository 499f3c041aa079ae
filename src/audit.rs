//! What an operator must be able to look up afterwards: who was let in to what, what was refused, what was
//! limited, what ended and why, what was changed.
//!
//! One line for each event, with the field `event`, under the target [`TARGET`], which is written at every
//! `LOG_LEVEL` but `off`. A line names tenants, servers, session tags, addresses and reasons; never a secret,
//! a value, a path, a header or a session id. Refusals can be had as often as somebody asks for them, so like
//! ones are told once in ten seconds at most, and the next line says how many there were.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;
use tracing::field;

use crate::ids::{ServerName, SessionTag, TenantId};

/// A session, as a line names it.
#[derive(Clone, Copy, Debug)]
pub struct Of<'a> {
    /// Whose it is.
    pub tenant: &'a TenantId,
    /// What it talks to.
    pub server: &'a ServerName,
    /// Which one it is.
    pub session: SessionTag,
}

/// Something to be told.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A session has begun.
    SessionOpened(Of<'a>),
    /// A session has ended, for this reason.
    SessionEnded(Of<'a>, &'a str),
    /// The command of a session runs.
    ServerStarted(Of<'a>),
    /// A server did not end when it was asked to, and was killed.
    ServerKilled(Of<'a>),
    /// A tenant was not given a session, for this reason; the server is named if it may know of it.
    SessionRefused(&'a TenantId, Option<&'a ServerName>, &'a str),
    /// A secret that nobody has came from this address.
    SecretRefused(IpAddr),
    /// Too many wrong secrets came from this address.
    AddressLimited(IpAddr),
    /// A tenant has reached this limit.
    TenantLimited(&'a TenantId, &'a str),
    /// New settings are in effect.
    SettingsReloaded {
        /// What became of the allowlist.
        servers: Changes,
        /// What became of the tenants.
        tenants: Changes,
    },
    /// New settings cannot be used, for this reason; the old ones stay.
    SettingsRefused(&'a str),
}

/// How many entries are new, different and gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New ones.
    pub added: usize,
    /// Different ones.
    pub changed: usize,
    /// Those that are gone.
    pub removed: usize,
}

/// What a filter of the log knows these lines by.
pub const TARGET: &str = "lockgate::audit";

/// For how long a refusal is not repeated.
const QUIET: Duration = Duration::from_secs(10);

/// Two tables, so that a flood from outside never keeps a tenant's refusals from being told.
static ADDRESSES: LazyLock<Recent> = LazyLock::new(Recent::new);
static TENANTS: LazyLock<Recent> = LazyLock::new(Recent::new);

/// Writes the line of an event, unless it is one of many.
pub fn record(event: Event<'_>) {
    let mut line = Line::of(event);
    let like_it = match event {
        Event::SecretRefused(address) | Event::AddressLimited(address) => {
            ADDRESSES.untold((line.event, address))
        }
        Event::SessionRefused(tenant, _, reason) | Event::TenantLimited(tenant, reason) => {
            TENANTS.untold((line.event, tenant, reason))
        }
        _ => Some(0),
    };
    let Some(like_it) = like_it else { return };
    line.repeated = Some(like_it).filter(|count| *count > 0);
    line.write();
}

/// The fields of a line.
#[derive(Default)]
struct Line<'a> {
    event: &'static str,
    tenant: Option<&'a TenantId>,
    server: Option<&'a ServerName>,
    session: Option<SessionTag>,
    reason: Option<&'a str>,
    limit: Option<&'a str>,
    address: Option<IpAddr>,
    servers: Option<Changes>,
    tenants: Option<Changes>,
    repeated: Option<u64>,
}

impl<'a> Line<'a> {
    fn of(event: Event<'a>) -> Self {
        match event {
            Event::SessionOpened(of) => Self::about("session_opened", of),
            Event::SessionEnded(of, reason) => {
                Self { reason: Some(reason), ..Self::about("session_ended", of) }
            }
            Event::ServerStarted(of) => Self::about("server_started", of),
            Event::ServerKilled(of) => Self::about("server_killed", of),
            Event::SessionRefused(tenant, server, reason) => {
                let named = Self { tenant: Some(tenant), server, ..Self::named("session_refused") };
                Self { reason: Some(reason), ..named }
            }
            Event::SecretRefused(address) => Self { address: Some(address), ..Self::named("secret_refused") },
            Event::AddressLimited(address) => {
                Self { address: Some(address), limit: Some("wrong secrets"), ..Self::named("limit_hit") }
            }
            Event::TenantLimited(tenant, limit) => {
                Self { tenant: Some(tenant), limit: Some(limit), ..Self::named("limit_hit") }
            }
            Event::SettingsReloaded { servers, tenants } => {
                let named = Self::named("settings_reloaded");
                Self { servers: Some(servers), tenants: Some(tenants), ..named }
            }
            Event::SettingsRefused(reason) => {
                Self { reason: Some(reason), ..Self::named("settings_refused") }
            }
        }
    }

    fn named(event: &'static str) -> Self {
        Self { event, ..Self::default() }
    }

    fn about(event: &'static str, Of { tenant, server, session }: Of<'a>) -> Self {
        Self { tenant: Some(tenant), server: Some(server), session: Some(session), ..Self::named(event) }
    }

    fn write(&self) {
        tracing::info!(
            target: TARGET,
            event = self.event,
            tenant = self.tenant.map(field::display),
            server = self.server.map(field::display),
            session = self.session.map(field::display),
            reason = self.reason,
            limit = self.limit,
            address = self.address.map(field::display),
            servers = self.servers.map(field::display),
            tenants = self.tenants.map(field::display),
            repeated = self.repeated,
        );
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} added, {} changed, {} removed", self.added, self.changed, self.removed)
    }
}

/// When what was told last, in constant memory: subjects share slots, so among very many a refusal may
/// pass for the repetition of another, but never does a flood become a flood of lines.
struct Recent {
    since: Instant,
    /// Drawn at the start, so that nobody can aim at a slot.
    hashes: RandomState,
    /// The second of the last line, from 1, and how many were like it since.
    slots: [AtomicU64; 1024],
}

const COUNT: u64 = u32::MAX as u64;

impl Recent {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            hashes: RandomState::new(),
            slots: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// How many were like it since the last line, if it is time for another.
    fn untold(&self, subject: impl Hash) -> Option<u64> {
        let slot = &self.slots[(self.hashes.hash_one(subject) % self.slots.len() as u64) as usize];
        let now = self.since.elapsed().as_secs() + 1;
        let is_due = |old: u64| old == 0 || now.saturating_sub(old >> 32) >= QUIET.as_secs();
        let next = |old: u64| match old {
            old if is_due(old) => now << 32,
            old if old & COUNT == COUNT => old,
            old => old + 1,
        };
        let old = slot.fetch_update(Relaxed, Relaxed, |old| Some(next(old))).unwrap_or_else(|old| old);
        is_due(old).then_some(old & COUNT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn like_refusals_are_told_once_in_a_while_and_counted() {
        let recent = Recent::new();
        assert_eq!(recent.untold("one"), Some(0));
        for _ in 0..1000 {
            assert_eq!(recent.untold("one"), None);
        }
        tokio::time::advance(QUIET).await;
        assert_eq!(recent.untold("one"), Some(1000));
        assert_eq!(recent.untold("one"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_subjects_is_bounded_too() {
        let recent = Recent::new();
        let told = (0..100_000).filter(|subject: &u32| recent.untold(subject).is_some()).count();
        assert_eq!(told, recent.slots.len());
    }
}
