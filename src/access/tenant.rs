//! Tenants as the gate knows them, by their secrets.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::rate::Rates;
use super::rights::Servers;
use super::secret::{Keyring, SecretHash};
use crate::ids::{ServerName, TenantId};
use crate::settings::{self, Settings};

/// A tenant as the gate knows it.
#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) id: TenantId,
    pub(super) servers: Servers,
    pub(super) environment: BTreeMap<String, String>,
    /// Live sessions, if that is not what every tenant may have.
    pub(super) sessions: Option<usize>,
    pub(super) rates: Rates,
}

/// Whom the secret from the environment belongs to.
const DEFAULT_TENANT: &str = "default";

impl Tenant {
    fn new(id: &TenantId, tenant: &settings::Tenant, all: &Settings, rates: Rates) -> Self {
        let every = tenant.servers.iter().any(|name| name == "*");
        let named = |name: &&String| every || tenant.servers.contains(*name);
        Self {
            id: id.clone(),
            servers: all.servers.keys().filter(named).map(|name| ServerName::new(name)).collect(),
            environment: tenant.env.clone(),
            sessions: tenant.sessions,
            rates,
        }
    }
}

/// The secrets that no settings hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unlisted {
    /// Of the tenant `default`.
    pub(super) default: Option<SecretHash>,
    /// Of the operator, whose no tenant's may be.
    pub(super) operator: Option<SecretHash>,
}

/// Every secret with its owner. `before` is what held until now: what was used of rates that stay is used.
pub(super) fn keyring(
    settings: &Settings,
    unlisted: Unlisted,
    before: Option<&Keyring<Arc<Tenant>>>,
) -> Result<Keyring<Arc<Tenant>>, String> {
    let mut keyring = Keyring::default();
    let rates = |id: &TenantId, own| {
        let known = before.and_then(|before| before.keys().find(|(_, owner)| owner.id == *id));
        Rates::new(&settings.rate, own, known.map(|(_, tenant)| &tenant.rates))
    };
    let mut add = |place: &str, hash, owner| match unlisted.operator {
        Some(operator) if operator == hash => Err(format!(
            "LOCKGATE_ADMIN_SECRET is a tenant's secret, too ({place}); `lockgate secret` makes another"
        )),
        _ => keyring.add(hash, owner).map_err(|reason| format!("{place} {reason}")),
    };
    let mut default_owner = None;
    for (name, tenant) in &settings.tenants {
        let id = TenantId::new(name);
        let owner = Arc::new(Tenant::new(&id, tenant, settings, rates(&id, tenant.rate)));
        for text in &tenant.secrets {
            let place = format!("tenants.{name}.secrets");
            let hash = text.parse::<SecretHash>().map_err(|e| format!("{place} {e}"))?;
            add(&place, hash, owner.clone())?;
        }
        if name == DEFAULT_TENANT {
            default_owner = Some(owner);
        }
    }
    if let Some(hash) = unlisted.default {
        let id = TenantId::new(DEFAULT_TENANT);
        let all = settings::Tenant { servers: vec!["*".into()], ..settings::Tenant::default() };
        let owner =
            default_owner.unwrap_or_else(|| Arc::new(Tenant::new(&id, &all, settings, rates(&id, all.rate))));
        add("LOCKGATE_SECRET", hash, owner)?;
    }
    Ok(keyring)
}
