//! Passes: short-lived secrets, by which the operator tries a server as one of its tenants would use it.
//!
//! A pass opens what its tenant's own secrets open, at the tenant's rates and within its limits. It is made for
//! the operator alone, who must want it ([`Intent`]), is kept as every secret is, and takes its sessions with it
//! when it ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::rights::Rights;
use super::secret::{Keyring, Secret, SecretHash};
use super::tenant::Tenant;
use super::{Gate, Intent};
use crate::audit::{self, Event};
use crate::ids::TenantId;

/// How long a pass is good for.
pub const PASS_LASTS: Duration = Duration::from_secs(15 * 60);
/// So many passes there are at once; one more ends the oldest.
pub const MAX_PASSES: usize = 16;

/// Why there is no pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPass {
    /// Nobody of that id can be admitted.
    #[error("there is no tenant of this id that has a secret; choose one of those that the gateway knows")]
    Tenant,
    /// The operating system's generator cannot be read.
    #[error("the host gives no random numbers for a secret just now; try again")]
    Random,
}

/// The passes that are out, oldest first.
#[derive(Debug, Default)]
pub(super) struct Passes(Keyring<Pass>);

#[derive(Debug)]
struct Pass {
    tenant: TenantId,
    until: Instant,
}

impl Gate {
    /// Gives the operator a secret of a tenant, for [`PASS_LASTS`]. Reloads leave it good, as long as the tenant
    /// stays.
    ///
    /// # Errors
    /// If there is no such tenant, or no randomness.
    pub fn pass(&self, _intent: &Intent, tenant: &TenantId) -> Result<Secret, NoPass> {
        let secret = Secret::draw().map_err(|_| NoPass::Random)?;
        if !self.rights.give_pass(secret.hash(), tenant) {
            return Err(NoPass::Tenant);
        }
        audit::record(Event::PassGiven(tenant));
        Ok(secret)
    }

    /// Whose secret this is, and as what it is kept: one of the settings, or a pass.
    /// Nobody's, once it is revoked.
    pub(super) fn owner(&self, secret: &[u8]) -> Option<(SecretHash, &Arc<Tenant>)> {
        self.given(secret).filter(|(key, _)| !self.rights.is_revoked(key))
    }

    fn given(&self, secret: &[u8]) -> Option<(SecretHash, &Arc<Tenant>)> {
        if let Some((key, tenant)) = self.keyring.owner(secret) {
            return Some((*key, tenant));
        }
        let (key, id) = self.rights.pass(secret)?;
        let (_, tenant) = self.keyring.keys().find(|(_, tenant)| tenant.id == id)?;
        Some((key, tenant))
    }
}

impl Rights {
    /// Lets a secret open what a tenant's own do, if there is such a tenant.
    fn give_pass(&self, key: SecretHash, tenant: &TenantId) -> bool {
        self.modify(|known| known.has(tenant) && known.passes.add(key, tenant.clone()))
    }
}

impl Passes {
    fn add(&mut self, key: SecretHash, tenant: TenantId) -> bool {
        let pass = Pass { tenant, until: Instant::now() + PASS_LASTS };
        let added = self.0.add(key, pass).is_ok();
        self.0.keep_last(MAX_PASSES);
        added
    }

    /// As what a pass is kept, and whose rights it has.
    pub(super) fn owner(&self, secret: &[u8]) -> Option<(SecretHash, TenantId)> {
        let (key, pass) = self.0.owner(secret)?;
        pass.is_good().then(|| (*key, pass.tenant.clone()))
    }

    /// The passes that have a tenant's rights.
    pub(super) fn of(&self, tenant: &TenantId) -> impl Iterator<Item = &SecretHash> {
        let good = move |(_, pass): &&(SecretHash, Pass)| pass.tenant == *tenant && pass.is_good();
        self.0.keys().filter(good).map(|(key, _)| key)
    }

    /// When the next of them ends.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.0.keys().map(|(_, pass)| pass.until).min()
    }

    /// Forgets those that have ended, and those of tenants that are gone.
    pub(super) fn tidy(&mut self, is_there: impl Fn(&TenantId) -> bool) {
        self.0.retain(|pass| pass.is_good() && is_there(&pass.tenant));
    }
}

impl Pass {
    fn is_good(&self) -> bool {
        Instant::now() < self.until
    }
}

#[cfg(test)]
mod tests;
