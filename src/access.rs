//! Who is calling, and may they: from what a request presents to a [`Permit`].
//!
//! [`Gate::admit`] is the only maker of permits, and everything further down asks for one, so a check that
//! is skipped does not compile. The order is fixed: origin and host, then the secret, then the rate.
//! [`AdminGate`] is its sibling for the operator.

mod address;
mod operator;
mod origin;
mod rate;
mod secret;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

pub use self::operator::{AdminGate, NotOperator, Operator};
pub use self::rate::Allowance;
pub use self::secret::{Secret, SecretHash};

use self::address::AddressRule;
use self::origin::OriginRule;
use self::rate::Rates;
use self::secret::Keyring;
use crate::ids::{ServerName, TenantId};
use crate::settings::Settings;

/// Everything about a request that decides whether it is admitted. Headers as raw values, in order.
#[derive(Clone, Debug)]
pub struct Presented<'a> {
    /// Every `Authorization` value.
    pub authorization: Vec<&'a [u8]>,
    /// Every `Origin` value.
    pub origin: Vec<&'a [u8]>,
    /// The `Host` value.
    pub host: Option<&'a [u8]>,
    /// The other end of the socket.
    pub peer: IpAddr,
    /// Every `Fly-Client-IP` value.
    pub fly_client_ip: Vec<&'a [u8]>,
    /// Every `X-Forwarded-For` value.
    pub forwarded_for: Vec<&'a [u8]>,
}

/// Proof that a request was admitted, and for whom.
#[derive(Clone, Debug)]
pub struct Permit {
    tenant: Arc<Tenant>,
    allowance: Option<Allowance>,
}

/// Proof that a tenant may open a session now: opening has a rate of its own.
#[derive(Debug)]
pub struct Opening(());

/// A tenant as the gate knows it.
#[derive(Debug)]
struct Tenant {
    id: TenantId,
    /// `None` may use every server.
    servers: Option<Vec<ServerName>>,
}

/// Why a request is not admitted. The caller is at fault in each case.
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
    Rate(&'static str, Allowance),
}

/// The one place where requests are admitted.
#[derive(Debug)]
pub struct Gate {
    origins: OriginRule,
    addresses: AddressRule,
    keyring: Keyring<Arc<Tenant>>,
    rates: Rates,
}

// === impl Gate ===

impl Gate {
    /// Builds the gate; `default_secret` belongs to a tenant `default` that may use every server.
    ///
    /// # Errors
    /// With the key and the reason, if a secret's hash is malformed or belongs to two tenants.
    pub fn new(
        settings: &Settings,
        default_secret: Option<&Secret>,
        bound: SocketAddr,
    ) -> Result<Self, String> {
        let mut keyring = Keyring::default();
        if let Some(secret) = default_secret {
            let tenant = Tenant { id: TenantId::new("default"), servers: None };
            keyring.add(secret.hash(), Arc::new(tenant)).map_err(|e| format!("LOCKGATE_SECRET {e}"))?;
        }
        for (id, tenant) in &settings.tenants {
            let all = tenant.servers.iter().any(|name| name == "*");
            let servers = (!all).then(|| tenant.servers.iter().map(|name| ServerName::new(name)).collect());
            let owner = Arc::new(Tenant { id: TenantId::new(id), servers });
            for text in &tenant.secrets {
                let place = || format!("tenants.{id}.secrets");
                let hash = text.parse::<SecretHash>().map_err(|e| format!("{} {e}", place()))?;
                keyring.add(hash, owner.clone()).map_err(|e| format!("{} {e}", place()))?;
            }
        }
        Ok(Self {
            origins: OriginRule::new(&settings.access, bound),
            addresses: AddressRule::new(&settings.access),
            keyring,
            rates: Rates::new(&settings.rate),
        })
    }

    /// Admits a request, or says why not.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn admit(&self, presented: &Presented<'_>) -> Result<Permit, Denied> {
        self.check_origin(presented)?;
        let secret = secret::bearer(&presented.authorization).map_err(Denied::Credentials)?;
        let Some(tenant) = self.keyring.owner(secret) else {
            let client = self.addresses.client(presented);
            return Err(self.rates.failure(client).map_or_else(Denied::Failures, |()| Denied::Secret));
        };
        let allowance = self.rates.request(&tenant.id).map_err(|a| Denied::Rate("request", a))?;
        Ok(Permit { tenant: tenant.clone(), allowance })
    }

    /// Lets an admitted tenant open a session.
    ///
    /// # Errors
    /// If it has opened too many of late.
    pub fn opening(&self, permit: &Permit) -> Result<Opening, Denied> {
        self.rates.opening(permit.tenant()).map_err(|a| Denied::Rate("session opening", a))?;
        Ok(Opening(()))
    }

    /// The part of admission that a CORS preflight, which carries no secret, must pass too.
    ///
    /// # Errors
    /// If the origin or the host is not allowed.
    pub fn check_origin(&self, presented: &Presented<'_>) -> Result<(), Denied> {
        self.origins.check(presented)
    }

    /// Forgets limiter keys that have recovered; called on a timer.
    pub fn forget_idle_keys(&self) {
        self.rates.forget_idle_keys();
    }
}

// === impl Permit ===

impl Permit {
    /// Whom the request belongs to.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant.id
    }

    /// Whether this tenant may use the server.
    pub fn may_use(&self, server: &ServerName) -> bool {
        self.tenant.servers.as_ref().is_none_or(|servers| servers.contains(server))
    }

    /// What is left of the tenant's request rate; `None` without a limit.
    pub fn allowance(&self) -> Option<&Allowance> {
        self.allowance.as_ref()
    }

    /// A permit as `admit` makes it for a tenant that may use everything.
    #[cfg(test)]
    pub(crate) fn for_test(tenant: &str) -> Self {
        Self { tenant: Arc::new(Tenant { id: TenantId::new(tenant), servers: None }), allowance: None }
    }
}

#[cfg(test)]
mod tests;
