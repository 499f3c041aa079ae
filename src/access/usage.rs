//! What the operator sees of who calls.

use std::collections::BTreeSet;

use serde::Serialize;

use super::rate::RateUse;
use super::{Gate, Operator};
use crate::ids::{ServerName, TenantId};

/// A tenant, as the operator sees it.
#[derive(Clone, Debug, Serialize)]
pub struct TenantUse {
    /// Its id.
    pub tenant: String,
    /// The servers that it may use.
    pub servers: usize,
    /// How many secrets open its doors.
    pub secrets: usize,
    /// How many sessions it may have at once, if that is not what every tenant may have.
    pub max_sessions: Option<usize>,
    /// How its rate of requests is used.
    pub requests: RateUse,
    /// How its rate of opening sessions is used.
    pub openings: RateUse,
}

/// Wrong secrets, from whatever address.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct WrongSecrets {
    /// How many there were, and how many of them were over their address' rate.
    pub rate: RateUse,
    /// Addresses that are remembered for it.
    pub addresses: usize,
}

impl Gate {
    /// Every tenant, by id, for the operator.
    pub fn tenants(&self, _operator: &Operator) -> Vec<TenantUse> {
        let mut tenants: Vec<TenantUse> = Vec::new();
        let mut keys: Vec<_> = self.keyring.keys().collect();
        keys.sort_by(|(_, one), (_, other)| one.id.cmp(&other.id));
        for (key, tenant) in keys {
            let (name, good) = (tenant.id.to_string(), usize::from(!self.rights.is_revoked(key)));
            if let Some(known) = tenants.last_mut().filter(|known| known.tenant == name) {
                known.secrets += good;
                continue;
            }
            let (requests, openings) = tenant.rates.usage();
            tenants.push(TenantUse {
                tenant: name,
                servers: tenant.servers.len(),
                secrets: good,
                max_sessions: tenant.sessions,
                requests,
                openings,
            });
        }
        tenants
    }

    /// The tenants that may use a server, by id, for the operator.
    pub fn tenants_of(&self, _operator: &Operator, server: &ServerName) -> BTreeSet<TenantId> {
        let may_use = self.keyring.keys().filter(|(_, tenant)| tenant.servers.contains(server));
        may_use.map(|(_, tenant)| tenant.id.clone()).collect()
    }

    /// What came of wrong secrets, for the operator.
    pub fn wrong_secrets(&self, _operator: &Operator) -> WrongSecrets {
        let (rate, addresses) = self.failures.usage();
        WrongSecrets { rate, addresses }
    }
}
