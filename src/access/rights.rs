//! What each secret opens, and for how long: sessions outlive the request that showed it.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::watch;

use super::secret::{Keyring, SecretHash};
use super::tenant::Tenant;
use crate::ids::{ServerName, TenantId};

/// Who may do what, as it is now. Clones see the same, across reloads.
#[derive(Clone, Debug)]
pub(super) struct Rights(Arc<watch::Sender<Arc<Keyring<Arc<Tenant>>>>>);

/// The servers that a tenant may use.
pub(super) type Servers = HashSet<ServerName>;

/// What a session rests on, followed for as long as it lasts.
#[derive(Clone, Debug)]
pub struct Standing {
    key: SecretHash,
    tenant: TenantId,
    server: ServerName,
    now: watch::Receiver<Arc<Keyring<Arc<Tenant>>>>,
}

/// What a reload has taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The secret is the tenant's no more.
    Secret,
    /// The server is there no more, or not for this tenant.
    Server,
}

impl Rights {
    pub(super) fn new(keyring: Arc<Keyring<Arc<Tenant>>>) -> Self {
        Self(Arc::new(watch::Sender::new(keyring)))
    }

    pub(super) fn set(&self, keyring: Arc<Keyring<Arc<Tenant>>>) {
        self.0.send_replace(keyring);
    }

    /// Whether a secret of a tenant opens a server now.
    pub(super) fn check(&self, key: &SecretHash, tenant: &TenantId, server: &ServerName) -> Result<(), Lost> {
        opens(&self.0.borrow(), |known| known == key, tenant, server)
    }

    /// Follows what a secret of a tenant opens. The first change is the state it is in.
    pub(super) fn follow(&self, key: SecretHash, tenant: TenantId, server: ServerName) -> Standing {
        let mut now = self.0.subscribe();
        now.mark_changed();
        Standing { key, tenant, server, now }
    }
}

impl Lost {
    /// The text for those who have lost it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Secret => "the secret is not valid any more; use another, or ask the operator for one",
            Self::Server => "this tenant may not use the server any more; ask the operator",
        }
    }
}

// === impl Standing ===

impl Standing {
    /// Whether the secret still opens the server.
    ///
    /// # Errors
    /// With what is lost.
    pub fn check(&self) -> Result<(), Lost> {
        self.check_where(|key| *key == self.key)
    }

    /// Whether any secret of the tenant still opens the server.
    ///
    /// # Errors
    /// With what is lost.
    pub fn check_tenant(&self) -> Result<(), Lost> {
        self.check_where(|_| true)
    }

    /// Whether this secret is still one of the tenant's.
    pub fn holds(&self, key: &SecretHash) -> bool {
        self.now.borrow().keys().any(|(known, owner)| known == key && owner.id == self.tenant)
    }

    /// Whether there was a change since this was asked last; there was one before it is asked first.
    pub fn take_change(&mut self) -> bool {
        let changed = self.now.has_changed().unwrap_or(false);
        self.now.mark_unchanged();
        changed
    }

    /// Resolves at the next change; first at once.
    pub async fn changed(&mut self) {
        if self.now.changed().await.is_err() {
            // Nobody is left who could change anything.
            std::future::pending().await
        }
    }

    fn check_where(&self, counts: impl Fn(&SecretHash) -> bool) -> Result<(), Lost> {
        opens(&self.now.borrow(), counts, &self.tenant, &self.server)
    }
}

/// Whether one of these secrets is the tenant's, who may use the server.
fn opens(
    keyring: &Keyring<Arc<Tenant>>,
    counts: impl Fn(&SecretHash) -> bool,
    tenant: &TenantId,
    server: &ServerName,
) -> Result<(), Lost> {
    let mut owners = keyring.keys().filter(|(key, owner)| owner.id == *tenant && counts(key));
    let (_, tenant) = owners.next().ok_or(Lost::Secret)?;
    if tenant.servers.contains(server) { Ok(()) } else { Err(Lost::Server) }
}
