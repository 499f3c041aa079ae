//! What an operator must be able to look up afterwards: who was let in to what, what was refused, what was
//! limited, what ended and why, what was changed.
//!
//! One line for each event, with the field `event`, under the target [`TARGET`], which is written at every
//! `LOG_LEVEL` but `off`. A line names tenants, servers, session tags, addresses and reasons; never a secret,
//! a value, a path, a header or a session id. Refusals can be had as often as somebody asks for them, so like
//! ones are told once in ten seconds at most, and the next line says how many there were (`repeats`). The last
//! lines are kept for who looks in (`recent`).

mod recent;
mod repeats;

use std::fmt;
use std::net::IpAddr;
use std::sync::LazyLock;

use tracing::field;

pub use self::recent::{Told, recent, seconds_since_1970};

use self::repeats::Repeats;
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
    /// A secret that is not the operator's came to the admin listener from this address.
    OperatorRefused(IpAddr),
    /// The operator has done this at the admin listener; to a session, if it was about one.
    OperatorActed(&'a str, Option<Of<'a>>),
    /// Too many wrong secrets came from this address.
    AddressLimited(IpAddr),
    /// A tenant has reached this limit.
    TenantLimited(&'a TenantId, &'a str),
    /// A secret was revoked, of this tenant if it is known here, and by whom.
    SecretRevoked(Option<&'a TenantId>, &'a str),
    /// The operator was given a short-lived secret of a tenant.
    PassGiven(&'a TenantId),
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

/// Two tables, so that a flood from outside never keeps a tenant's refusals from being told.
static ADDRESSES: LazyLock<Repeats> = LazyLock::new(Repeats::new);
static TENANTS: LazyLock<Repeats> = LazyLock::new(Repeats::new);

/// Writes the line of an event, unless it is one of many.
pub fn record(event: Event<'_>) {
    let mut line = Line::of(event);
    let like_it = match event {
        Event::SecretRefused(address) | Event::AddressLimited(address) | Event::OperatorRefused(address) => {
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
    recent::keep(&line);
}

/// The fields of a line.
#[derive(Default)]
struct Line<'a> {
    event: &'static str,
    tenant: Option<&'a TenantId>,
    server: Option<&'a ServerName>,
    session: Option<SessionTag>,
    action: Option<&'a str>,
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
            Event::OperatorRefused(address) => {
                Self { address: Some(address), ..Self::named("operator_refused") }
            }
            Event::OperatorActed(action, of) => {
                let named = Self::named("operator_acted");
                Self { action: Some(action), ..of.map_or(named, |of| Self::about("operator_acted", of)) }
            }
            Event::AddressLimited(address) => {
                Self { address: Some(address), limit: Some("wrong secrets"), ..Self::named("limit_hit") }
            }
            Event::TenantLimited(tenant, limit) => {
                Self { tenant: Some(tenant), limit: Some(limit), ..Self::named("limit_hit") }
            }
            Event::SecretRevoked(tenant, why) => {
                Self { tenant, reason: Some(why), ..Self::named("secret_revoked") }
            }
            Event::PassGiven(tenant) => Self { tenant: Some(tenant), ..Self::named("pass_given") },
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

    /// What it says beside whom and what it is about, in words.
    fn detail(&self) -> String {
        let changes = |what: &str, changes: Changes| format!("{what}: {changes}");
        let parts = [
            self.action.map(str::to_owned),
            self.reason.map(str::to_owned),
            self.limit.map(|limit| format!("limit: {limit}")),
            self.address.map(|address| format!("from {address}")),
            self.servers.map(|servers| changes("servers", servers)),
            self.tenants.map(|tenants| changes("tenants", tenants)),
            self.repeated.map(|count| format!("{count} more like it before")),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }

    fn write(&self) {
        tracing::info!(
            target: TARGET,
            event = self.event,
            tenant = self.tenant.map(field::display),
            server = self.server.map(field::display),
            session = self.session.map(field::display),
            action = self.action,
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
