//! What each secret opens, and for how long: sessions outlive the request that showed it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::sleep_until;

use super::Gate;
use super::pass::Passes;
use super::secret::{Keyring, SecretHash};
use super::tenant::Tenant;
use crate::ids::{ServerName, TenantId};

/// Who may do what, as it is now. Clones see the same, across reloads.
#[derive(Clone, Debug)]
pub(super) struct Rights(Arc<watch::Sender<Known>>);

/// What opens anything now.
#[derive(Debug)]
pub(super) struct Known {
    /// What the settings hold.
    keyring: Arc<Keyring<Arc<Tenant>>>,
    /// What the operator has been given.
    pub(super) passes: Passes,
    /// What opens nothing, although it may be among these. Kept for as long as the gateway runs.
    revoked: BTreeSet<SecretHash>,
}

/// The servers that a tenant may use.
pub(super) type Servers = HashSet<ServerName>;

/// What a session rests on, followed for as long as it lasts.
#[derive(Clone, Debug)]
pub struct Standing {
    key: SecretHash,
    tenant: TenantId,
    server: ServerName,
    now: watch::Receiver<Known>,
}

/// Follows who may do what, for whoever has to tell the sessions.
#[derive(Debug)]
pub struct Changes {
    rights: Rights,
    now: watch::Receiver<Known>,
}

/// What a reload, or the end of a pass, has taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The secret is the tenant's no more.
    Secret,
    /// The server is there no more, or not for this tenant.
    Server,
}

impl Gate {
    /// Tells every [`Standing`] what this gate knows. To be called before the gate is used: its first
    /// permit must not meet the rights of the gate before it.
    pub fn take_effect(&self) {
        self.rights.set(self.keyring.clone());
    }

    /// Follows who may do what.
    pub fn changes(&self) -> Changes {
        self.rights.changes()
    }
}

// === impl Rights ===

impl Rights {
    pub(super) fn new(keyring: Arc<Keyring<Arc<Tenant>>>) -> Self {
        Self(Arc::new(watch::Sender::new(Known {
            keyring,
            passes: Passes::default(),
            revoked: BTreeSet::new(),
        })))
    }

    fn set(&self, keyring: Arc<Keyring<Arc<Tenant>>>) {
        self.modify(|known| {
            known.keyring = keyring;
            known.tidy();
            true
        });
    }

    /// Changes what is known, if `change` says that it did. Whether it did.
    pub(super) fn modify(&self, change: impl FnOnce(&mut Known) -> bool) -> bool {
        self.0.send_if_modified(change)
    }

    /// As what a pass is kept, and whose rights it has.
    pub(super) fn pass(&self, secret: &[u8]) -> Option<(SecretHash, TenantId)> {
        self.0.borrow().passes.owner(secret)
    }

    /// Whether a secret opens nothing any more, whoever has it.
    pub(super) fn is_revoked(&self, key: &SecretHash) -> bool {
        self.0.borrow().revoked.contains(key)
    }

    /// Every such secret.
    pub(super) fn revoked(&self) -> Vec<SecretHash> {
        self.0.borrow().revoked.iter().copied().collect()
    }

    /// Whether a secret of a tenant opens a server now.
    pub(super) fn check(&self, key: &SecretHash, tenant: &TenantId, server: &ServerName) -> Result<(), Lost> {
        self.0.borrow().opens(|known| known == key, tenant, server)
    }

    /// Follows what a secret of a tenant opens. The first change is the state it is in.
    pub(super) fn follow(&self, key: SecretHash, tenant: TenantId, server: ServerName) -> Standing {
        let mut now = self.0.subscribe();
        now.mark_changed();
        Standing { key, tenant, server, now }
    }

    /// Follows all of it.
    fn changes(&self) -> Changes {
        Changes { rights: self.clone(), now: self.0.subscribe() }
    }
}

// === impl Known ===

impl Known {
    /// Whether a tenant can be admitted.
    pub(super) fn has(&self, tenant: &TenantId) -> bool {
        self.listed(tenant).next().is_some()
    }

    /// Has a secret open nothing from now on. Whether that is news.
    pub(super) fn revoke(&mut self, key: SecretHash) -> bool {
        let is_news = self.revoked.insert(key);
        self.tidy();
        is_news
    }

    /// Forgets passes that open nothing any more.
    fn tidy(&mut self) {
        let keyring = self.keyring.clone();
        let revoked = &self.revoked;
        let is_good = |key: &SecretHash, owner: &Tenant, tenant: &TenantId| {
            owner.id == *tenant && !revoked.contains(key)
        };
        self.passes.tidy(|tenant| keyring.keys().any(|(key, owner)| is_good(key, owner, tenant)));
    }

    fn listed(&self, tenant: &TenantId) -> impl Iterator<Item = &(SecretHash, Arc<Tenant>)> {
        let is_good = |key: &SecretHash| !self.revoked.contains(key);
        self.keyring.keys().filter(move |(key, owner)| owner.id == *tenant && is_good(key))
    }

    /// Whether one of these secrets is the tenant's, who may use the server.
    fn opens(
        &self,
        counts: impl Fn(&SecretHash) -> bool,
        tenant: &TenantId,
        server: &ServerName,
    ) -> Result<(), Lost> {
        let by_pass = || self.listed(tenant).next().filter(|_| self.passes.of(tenant).any(&counts));
        let owner = self.listed(tenant).find(|(key, _)| counts(key)).or_else(by_pass);
        let (_, owner) = owner.ok_or(Lost::Secret)?;
        if owner.servers.contains(server) { Ok(()) } else { Err(Lost::Server) }
    }
}

// === impl Changes ===

impl Changes {
    /// Resolves once there was a change: by a reload, because a pass was given out, or because one has ended.
    pub async fn next(&mut self) {
        loop {
            let next_end = self.now.borrow().passes.next_end();
            let ended = async {
                match next_end {
                    Some(end) => sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // It cannot fail: this is one who could make a change.
                _ = self.now.changed() => return,
                () = ended => drop(self.rights.modify(|known| {
                    known.tidy();
                    true
                })),
            }
        }
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
        let known = self.now.borrow();
        let listed = known.listed(&self.tenant).any(|(own, _)| own == key);
        listed || known.passes.of(&self.tenant).any(|own| own == key)
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
        self.now.borrow().opens(counts, &self.tenant, &self.server)
    }
}
