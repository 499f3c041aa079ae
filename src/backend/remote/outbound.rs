//! How many connections to remote servers there may be: of all tenants together, and of one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ids::TenantId;

/// The connections of one kind.
#[derive(Debug)]
pub(super) struct Outbound {
    all: Arc<Semaphore>,
    /// What one tenant may have of them.
    share: usize,
    tenants: Mutex<HashMap<Option<TenantId>, Arc<Semaphore>>>,
}

/// The connections of one kind as one session gets them.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    all: Arc<Semaphore>,
    own: Arc<Semaphore>,
}

/// The right to one connection.
#[derive(Debug)]
pub(super) struct Right {
    _all: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
}

/// One tenant may have a quarter of all.
const SHARE: usize = 4;

impl Outbound {
    pub(super) fn new(count: usize) -> Self {
        let share = (count / SHARE).max(1);
        Self { all: Arc::new(Semaphore::new(count)), share, tenants: Mutex::default() }
    }

    /// Those of this tenant.
    pub(super) fn of(&self, tenant: Option<&TenantId>) -> Lines {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let own = tenants.entry(tenant.cloned()).or_insert_with(|| Arc::new(Semaphore::new(self.share)));
        Lines { all: self.all.clone(), own: own.clone() }
    }
}

impl Lines {
    /// Waits for one; the tenant's own others go first.
    pub(super) async fn right(&self) -> Option<Right> {
        let own = self.own.clone().acquire_owned().await.ok()?;
        let all = self.all.clone().acquire_owned().await.ok()?;
        Some(Right { _all: all, _own: own })
    }

    /// One if it is to be had now.
    pub(super) fn try_right(&self) -> Option<Right> {
        let own = self.own.clone().try_acquire_owned().ok()?;
        let all = self.all.clone().try_acquire_owned().ok()?;
        Some(Right { _all: all, _own: own })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tenant_takes_them_all() {
        let outbound = Outbound::new(8);
        let tenants = ["a", "b", "c", "d", "e"].map(TenantId::new);
        let lines = tenants.each_ref().map(|tenant| outbound.of(Some(tenant)));
        let mut rights = vec![lines[0].try_right().unwrap(), lines[0].try_right().unwrap()];
        assert!(lines[0].try_right().is_none() && outbound.of(Some(&tenants[0])).try_right().is_none());
        rights.extend(lines[1..4].iter().flat_map(|lines| [lines.try_right(), lines.try_right()]).flatten());
        assert_eq!(rights.len(), 8);
        assert!(lines[4].try_right().is_none(), "there are no more");
        rights.remove(0);
        assert!(lines[4].try_right().is_some());
    }
}
