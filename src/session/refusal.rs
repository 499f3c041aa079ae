//! Why a session cannot be opened or a message not taken.

use crate::access::{Denied, Lost};
use crate::audit::{self, Event};
use crate::backend::StartFailed;
use crate::catalog::LaunchPlan;
use crate::ids::{ServerName, SessionTag};
use crate::mcp::{Failure, Misfit, Misuse};

/// Which limit a new session would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// `limits.sessions`
    Host,
    /// `limits.sessions_per_tenant`
    Tenant,
    /// `limits.sessions_per_server`, or the server's own
    Server,
}

/// Why a session cannot be opened. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    /// The gateway is shutting down.
    #[error("the gateway is shutting down and opens no sessions; try again shortly")]
    Draining,
    /// A limit is reached.
    #[error("{}", .0.reason())]
    Full(Full),
    /// How many sessions the tenant has at all nodes cannot be found out, and `store.away` is "refuse".
    #[error(
        "the sessions of this tenant cannot be counted, because the gateway's store is out of reach; try again"
    )]
    Away,
    /// What the command starts with is being fetched yet.
    #[error("the packages of the server {0} are still being fetched; try again shortly")]
    Fetching(ServerName),
    /// The command did not start.
    #[error("the server {0} cannot be started: {reason}", reason = .1.public())]
    Start(ServerName, StartFailed),
    /// No random numbers to be had.
    #[error("the host has no random numbers for a session id")]
    NoRandom,
}

/// Why a message cannot be taken. Nothing of it reached the backend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// The session has ended.
    #[error("no such session: it has ended, or never was, or belongs to somebody else; open a new one")]
    NoSession,
    /// The backend does not keep up.
    #[error("the server does not keep up with this session's messages; wait for replies, then send again")]
    Busy,
    /// Requests are not taken while shutting down.
    #[error("the gateway is shutting down; open a new session shortly")]
    Draining,
    /// The id is in use.
    #[error("a request with this id is still open in this session; use a new id for each request")]
    DuplicateId,
    /// Not before `initialize`.
    #[error("session {0} has not been initialized: send an `initialize` request first")]
    NotBegun(SessionTag),
    /// `initialize` a second time.
    #[error("session {0} has been initialized already; open a new one for another client")]
    Begun(SessionTag),
}

/// What a client asks to be resumed cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotResumed {
    /// The session has ended.
    #[error("no such session: it has ended, or never was, or belongs to somebody else; open a new one")]
    NoSession,
    /// Everything has been read.
    #[error("this stream has ended, and nothing was missed")]
    Exhausted,
    /// It is not there any more.
    #[error("what came after this event is not kept any more, or there was no such event; ask again")]
    Lost,
}

/// Why a request of clients that share sessions does not reach a backend.
#[derive(Debug, thiserror::Error)]
pub enum NotCalled {
    /// It does not fit the server.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// It uses what is not offered.
    #[error(transparent)]
    Misuse(#[from] Misuse),
    /// There is no backend for it, and none may be started now.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is no backend for it, and none can be started.
    #[error(transparent)]
    NotOpened(#[from] NotOpened),
    /// A reload has taken away the right to it meanwhile.
    #[error("{}", .0.reason())]
    Lost(Lost),
    /// The backend does not take it.
    #[error(transparent)]
    Undelivered(#[from] Undelivered),
    /// The backend ended while it was asked which headers its tools want.
    #[error("{}", .0.message)]
    Failed(Failure),
}

impl NotOpened {
    /// Tells the operator that a tenant does not get a session.
    pub(super) fn tell(&self, plan: &LaunchPlan) {
        let tenant = plan.tenant();
        audit::record(match self {
            Self::Full(Full::Host) => Event::TenantLimited(tenant, "sessions of the host"),
            Self::Full(Full::Tenant) => Event::TenantLimited(tenant, "sessions of the tenant"),
            Self::Full(Full::Server) => Event::TenantLimited(tenant, "sessions of the server"),
            other => {
                return audit::record(Event::SessionRefused(tenant, Some(plan.server()), &other.to_string()));
            }
        });
    }
}

impl Full {
    fn reason(self) -> &'static str {
        match self {
            Self::Host => "this gateway has as many sessions as it may have; try again later",
            Self::Tenant => "this tenant has as many sessions as it may have; close one, then try again",
            Self::Server => "this server has as many sessions as it may have; try again later",
        }
    }
}
