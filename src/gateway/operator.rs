//! The admin listener of a gateway: whether there is one.

use crate::access::{AdminGate, Gate};
use crate::http::{self, Listening};
use crate::settings::{AdminAddress, Settings};

/// What a start makes of an admin listener that cannot have its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminListener {
    /// Somebody has given its secret and counts on it: there is no start without.
    Needed,
    /// Nobody has asked for it: the start goes on without.
    Offered,
}

impl AdminListener {
    /// Takes its address, if there is a secret for it.
    pub(super) fn guard(
        self,
        settings: &Settings,
        tenants: &Gate,
    ) -> anyhow::Result<Option<(AdminGate, Listening)>> {
        let AdminAddress::At(wanted) = settings.admin.address else { return Ok(None) };
        if !tenants.has_operator() {
            tracing::info!("the admin listener is off; set LOCKGATE_ADMIN_SECRET to switch it on");
            return Ok(None);
        }
        let listening = match (http::bind(wanted), self) {
            (Ok(listening), _) => listening,
            (Err(error), Self::Needed) => anyhow::bail!(
                "cannot listen on {wanted} for the operator: {error}; set admin.address to another, or to \"\" for none"
            ),
            (Err(error), Self::Offered) => {
                tracing::warn!(address = %wanted, %error, "the admin listener is off; set admin.address to another");
                return Ok(None);
            }
        };
        tracing::info!(address = %listening.address, "the admin listener is on");
        let gate = AdminGate::new(settings, tenants, listening.address);
        Ok(gate.map(|gate| (gate, listening)))
    }
}
