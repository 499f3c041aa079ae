//! How a request gets through the gate, and a session is let be opened: without a store at once, and by functions that
//! wait for nothing.

use std::net::IpAddr;
use std::sync::Arc;

use super::rate::{Limit, Sharing, Unmet};
use super::secret::{self, SecretHash};
use super::tenant::Tenant;
use super::{Allowance, Denied, Gate, Opening, Permit, Presented};
use crate::audit::{self, Event};

impl Gate {
    /// Admits a request, or says why not; at once without a store.
    ///
    /// # Errors
    /// The first check that fails.
    pub async fn admit(&self, presented: &Presented<'_>) -> Result<Permit, Denied> {
        match &self.sharing {
            None => self.admit_alone(presented),
            Some(sharing) => self.admit_shared(sharing, presented).await,
        }
    }

    // Not one function: as a part of the other it would make room for what it never waits for.
    fn admit_alone(&self, presented: &Presented<'_>) -> Result<Permit, Denied> {
        let (key, tenant) = self.recognize(presented)?;
        // What another node has let in was counted there.
        let counted = if presented.vouched.is_some() { Ok(None) } else { tenant.rates.request() };
        self.permit(key, tenant, counted)
    }

    async fn admit_shared(&self, sharing: &Sharing, presented: &Presented<'_>) -> Result<Permit, Denied> {
        let (key, tenant) = self.recognize(presented)?;
        let counted = match presented.vouched {
            Some(_) => Ok(None),
            None => tenant.rates.request_shared(sharing, &tenant.id).await,
        };
        self.permit(key, tenant, counted)
    }

    fn recognize(&self, presented: &Presented<'_>) -> Result<(SecretHash, &Arc<Tenant>), Denied> {
        self.check_origin(presented)?;
        let secret = secret::bearer(&presented.authorization).map_err(Denied::Credentials)?;
        self.owner(secret).ok_or_else(|| self.refuse(self.addresses.client(presented)))
    }

    fn permit(
        &self,
        key: SecretHash,
        tenant: &Arc<Tenant>,
        counted: Result<Option<Allowance>, Unmet>,
    ) -> Result<Permit, Denied> {
        let allowance = counted.map_err(|unmet| unmet.tell(&tenant.id, Limit::Requests))?;
        Ok(Permit { tenant: tenant.clone(), key, rights: self.rights.clone(), allowance })
    }

    fn refuse(&self, client: IpAddr) -> Denied {
        match self.failures.count(client) {
            Ok(()) => {
                audit::record(Event::SecretRefused(client));
                Denied::Secret
            }
            Err(wait) => {
                audit::record(Event::AddressLimited(client));
                Denied::Failures(wait)
            }
        }
    }

    /// Lets an admitted tenant open a session.
    ///
    /// # Errors
    /// If it has opened too many of late.
    pub async fn opening(&self, permit: &Permit) -> Result<Opening, Denied> {
        let counted = permit.tenant.rates.opening(self.sharing.as_ref(), permit.tenant()).await;
        counted.map_err(|unmet| unmet.tell(permit.tenant(), Limit::Openings))?;
        Ok(Opening(()))
    }
}
