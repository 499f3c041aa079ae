//! Whether it is the operator who asks: for what no tenant may see or do.

use std::net::SocketAddr;
use std::time::Duration;

use super::Presented;
use super::address::AddressRule;
use super::origin::OriginRule;
use super::rate::Failures;
use super::secret::{self, Keyring};
use super::{Denied, Gate};
use crate::settings::Settings;

/// Proof that the operator asks.
#[derive(Debug)]
pub struct Operator(());

/// The one place where requests to the admin listener are admitted. That they come from this machine says
/// nothing: so does what sessions send.
#[derive(Debug)]
pub struct AdminGate {
    origins: OriginRule,
    addresses: AddressRule,
    keyring: Keyring<()>,
    failures: Failures,
}

/// Why a request to the admin listener is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOperator {
    /// A page of another origin calls, or a name leads here that should not.
    #[error("this listener is called by its own address only, and by no other page")]
    Elsewhere,
    /// No usable `Authorization` header.
    #[error("{0}; send exactly one header `Authorization: Bearer <secret>`")]
    Credentials(&'static str),
    /// It is not the secret.
    #[error("this is not the secret that LOCKGATE_ADMIN_SECRET held when the gateway was started")]
    Secret,
    /// Too many wrong secrets from this address.
    #[error("too many wrong secrets from this address; wait, then send the right one")]
    Failures(Duration),
}

impl Operator {
    /// Who starts this program decides all that it does.
    pub fn at_the_command_line() -> Self {
        Self(())
    }
}

impl AdminGate {
    /// Builds the gate of the listener that has this address. It opens to the operator of `tenants`, who sees to
    /// it that no tenant's secret is the operator's as well; `None` if there is no operator.
    pub fn new(settings: &Settings, tenants: &Gate, bound: SocketAddr) -> Option<Self> {
        let mut keyring = Keyring::default();
        keyring.add(tenants.unlisted.operator?, ()).ok()?;
        Some(Self {
            origins: OriginRule::own_only(bound),
            addresses: tenants.addresses.renewed(&settings.access),
            keyring,
            failures: Failures::new(&settings.rate, None),
        })
    }

    /// Admits a request, or says why not.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn admit(&self, presented: &Presented<'_>) -> Result<Operator, NotOperator> {
        self.origins.check(presented).map_err(|_: Denied| NotOperator::Elsewhere)?;
        let secret = secret::bearer(&presented.authorization).map_err(NotOperator::Credentials)?;
        if self.keyring.owner(secret).is_none() {
            let client = self.addresses.client(presented);
            let counted = self.failures.count(client);
            return Err(counted.map_or_else(NotOperator::Failures, |()| NotOperator::Secret));
        }
        Ok(Operator(()))
    }

    /// Forgets limiter keys that have recovered; called on a timer.
    pub fn forget_idle_keys(&self) {
        self.failures.forget_idle_keys();
    }
}
