//! Who is calling, and may they: from what a request presents to a [`Permit`].
//!
//! [`Gate::admit`] is the only maker of permits, and everything further down asks for one, so a check that
//! is skipped does not compile. The order is fixed: origin and host, then the secret, then the rate.
//! [`AdminGate`] is its sibling for the operator, who may look in with a secret or with a browser that has logged in.

mod address;
mod admission;
mod denied;
mod door;
mod handover;
mod login;
mod machine;
mod operator;
mod origin;
mod pass;
mod rate;
mod revoked;
mod rights;
mod secret;
mod tenant;
mod trials;
mod usage;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

pub use self::denied::Denied;
pub use self::door::Door;
pub use self::handover::{HandedOver, Handovers, Vouched};
pub use self::login::{LOGIN_LASTS, Login};
pub use self::machine::Machine;
pub use self::operator::{AdminGate, Intent, LOGIN_COOKIE, NotOperator, Operator, Visit};
pub use self::origin::is_loopback_name;
pub use self::pass::{MAX_PASSES, NoPass, PASS_LASTS};
pub use self::rate::{Allowance, Limit, RateUse};
pub use self::revoked::{IsOperators, Revoked};
pub use self::rights::{Changes, Lost, Standing};
pub use self::secret::{Secret, SecretHash};
pub use self::trials::Trials;
pub use self::usage::{TenantUse, WrongSecrets};

use self::address::AddressRule;
use self::origin::OriginRule;
use self::rate::{Failures, Sharing};
use self::rights::Rights;
use self::secret::Keyring;
use self::tenant::{Tenant, Unlisted, keyring};
use crate::ids::{ServerName, TenantId};
use crate::lifecycle::Lifecycle;
use crate::settings::{AdminAddress, Settings};
use crate::store::Store;

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
    /// What another node says of it that has let it in.
    pub vouched: Option<Vouched>,
}

/// Proof that a request was admitted, and for whom.
#[derive(Clone, Debug)]
pub struct Permit {
    tenant: Arc<Tenant>,
    key: SecretHash,
    rights: Rights,
    allowance: Option<Allowance>,
}

/// Proof that a tenant may open a session now: opening has a rate of its own.
#[derive(Debug)]
pub struct Opening(());

/// The secrets that are no part of the settings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Secrets<'s> {
    /// Of the tenant `default`, which may use every server unless the settings say otherwise.
    pub tenant: Option<&'s Secret>,
    /// Of the operator.
    pub admin: Option<&'s Secret>,
    /// Of all nodes.
    pub cluster: Option<&'s Secret>,
}

/// The one place where requests are admitted.
#[derive(Debug)]
pub struct Gate {
    bound: SocketAddr,
    origins: OriginRule,
    addresses: AddressRule,
    unlisted: Unlisted,
    keyring: Arc<Keyring<Arc<Tenant>>>,
    failures: Failures,
    rights: Rights,
    /// Present if tenants' rates hold over several nodes.
    sharing: Option<Sharing>,
}

// === impl Gate ===

impl Gate {
    /// Builds the gate. `bound` is the address that clients connect to, `machine` what it is one of.
    ///
    /// # Errors
    /// With the key and the reason, if a secret's hash is malformed, or belongs to two tenants or to a tenant and
    /// the operator.
    pub fn new(
        settings: &Settings,
        secrets: Secrets<'_>,
        bound: SocketAddr,
        machine: &Machine,
    ) -> Result<Self, String> {
        let unlisted = Unlisted {
            default: secrets.tenant.map(Secret::hash),
            // Without a listener it opens nothing.
            operator: secrets.admin.filter(|_| settings.admin.address != AdminAddress::Off).map(Secret::hash),
        };
        let keyring = Arc::new(keyring(settings, unlisted, None)?);
        Ok(Self {
            bound,
            origins: OriginRule::new(&settings.access, bound),
            addresses: AddressRule::new(&settings.access, machine),
            unlisted,
            failures: Failures::new(&settings.rate, None),
            rights: Rights::new(keyring.clone()),
            keyring,
            sharing: None,
        })
    }

    /// The same gate; if there is a store, the rates of tenants hold over all nodes that share it.
    pub fn sharing(self, store: Option<Store>, lifecycle: &Lifecycle) -> Self {
        Self { sharing: store.map(|store| Sharing::new(store, lifecycle.clone())), ..self }
    }

    /// The gate after a reload. What tenants and addresses have used of rates that stay the same is used.
    /// Nothing changes for anybody before [`Self::take_effect`].
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn renewed(&self, settings: &Settings) -> Result<Self, String> {
        Ok(Self {
            bound: self.bound,
            origins: OriginRule::new(&settings.access, self.bound),
            addresses: self.addresses.renewed(&settings.access),
            unlisted: self.unlisted,
            keyring: Arc::new(keyring(settings, self.unlisted, Some(&self.keyring))?),
            failures: Failures::new(&settings.rate, Some(&self.failures)),
            rights: self.rights.clone(),
            sharing: self.sharing.clone(),
        })
    }

    /// Whether there is an operator, whom an [`AdminGate`] can admit.
    pub fn has_operator(&self) -> bool {
        self.unlisted.operator.is_some()
    }

    /// Whether nobody at all can be admitted.
    pub fn is_closed(&self) -> bool {
        self.keyring.keys().next().is_none()
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
        self.failures.forget_idle_keys();
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
        self.tenant.servers.contains(server)
    }

    /// The environment of every session of this tenant.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.tenant.environment
    }

    /// How many sessions this tenant may have at once, if that is not what every tenant may have.
    pub fn max_sessions(&self) -> Option<usize> {
        self.tenant.sessions
    }

    /// Which secret was shown.
    pub fn key(&self) -> &SecretHash {
        &self.key
    }

    /// Follows whether the secret that was shown opens this server.
    pub fn follow(&self, server: &ServerName) -> Standing {
        self.rights.follow(self.key, self.tenant.id.clone(), server.clone())
    }

    /// Whether the secret that was shown still opens this server.
    ///
    /// # Errors
    /// With what a reload has taken away.
    pub fn still_opens(&self, server: &ServerName) -> Result<(), Lost> {
        self.rights.check(&self.key, &self.tenant.id, server)
    }

    /// What is left of the tenant's request rate; `None` without a limit.
    pub fn allowance(&self) -> Option<&Allowance> {
        self.allowance.as_ref()
    }

    /// A permit as `admit` makes it for a tenant with this environment that may use these servers.
    #[cfg(test)]
    pub(crate) fn for_test(servers: &[&str], environment: &[(&str, &str)]) -> Self {
        let tenant = Tenant {
            id: TenantId::new("t"),
            servers: servers.iter().map(|name| ServerName::new(name)).collect(),
            environment: environment.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
            sessions: None,
            rates: rate::Rates::default(),
        };
        let (tenant, mut keyring) = (Arc::new(tenant), Keyring::default());
        let key = Secret::new("secret".into()).expect("a token").hash();
        keyring.add(key, tenant.clone()).expect("the only one");
        Self { tenant, key, rights: Rights::new(Arc::new(keyring)), allowance: None }
    }
}

#[cfg(test)]
mod tests;
