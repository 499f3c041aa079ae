//! Why a request is not admitted.

use std::time::Duration;

use super::rate::{Allowance, Limit, Unmet};
use crate::audit::{self, Event};
use crate::ids::TenantId;

/// Why a request is not admitted. The caller is at fault in each case but the last.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The `Origin` is not allowed.
    #[error("the Origin of this request is not allowed here; the operator can add it to access.origins")]
    Origin,
    /// The `Host` is not allowed.
    #[error("the Host of this request is not served here; the operator can add it to access.hosts")]
    Host,
    /// No usable `Authorization` header.
    #[error("{0}; send exactly one header `Authorization: Bearer <secret>`")]
    Credentials(&'static str),
    /// A secret that nobody has.
    #[error("the secret is not known here; check it, or ask the operator for one")]
    Secret,
    /// Too many wrong secrets from this address.
    #[error("too many wrong secrets from this address; wait, then send the right one")]
    Failures(Duration),
    /// The tenant's rate is used up.
    #[error("this tenant's {0} limit is used up; wait and try again")]
    Rate(Limit, Allowance),
    /// How much of its rate a tenant has used at all nodes cannot be found out, and `store.away` is "refuse".
    #[error(
        "the limits of this tenant cannot be looked up, because the gateway's store is out of reach; try again"
    )]
    Away,
}

impl Unmet {
    /// Tells the operator of it, and what the caller is told.
    pub(super) fn tell(self, tenant: &TenantId, limit: Limit) -> Denied {
        match self {
            Self::UsedUp(allowance) => {
                audit::record(Event::TenantLimited(tenant, limit.name()));
                Denied::Rate(limit, allowance)
            }
            // The store tells of itself.
            Self::Away => Denied::Away,
        }
    }
}
