//! The one map of live sessions, and the seats that bound it.

mod live;
mod quota;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use self::live::Live;
use self::quota::{Count, NoSeat, Quota};
use super::ledger::Ledger;
use super::{Full, NotOpened, Session};
use crate::catalog::LaunchPlan;
use crate::ids::{ServerName, SessionId, TenantId};
use crate::settings::Limits;
use crate::store::Store;

#[derive(Debug, Default)]
pub(super) struct Registry {
    /// Those that are found by their ids.
    live: Live,
    /// What the operator is told of them.
    pub(super) ledger: Ledger,
    seats: Mutex<Seats>,
    /// Present if a tenant's sessions are counted over several nodes.
    quota: Option<Quota>,
    total: AtomicU64,
    numbers: AtomicU64,
}

#[derive(Debug, Default)]
struct Seats {
    taken: usize,
    by_tenant: HashMap<TenantId, usize>,
    by_server: HashMap<ServerName, usize>,
    /// How often any count has changed.
    changes: u64,
}

/// Who has how many sessions now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Census {
    /// By tenant id.
    pub by_tenant: BTreeMap<String, usize>,
    /// By server name.
    pub by_server: BTreeMap<String, usize>,
}

/// The right to have one session, returned when dropped: after the last of its processes is gone.
#[derive(Debug)]
pub(super) struct Seat {
    registry: Arc<Registry>,
    tenant: TenantId,
    server: ServerName,
}

impl Registry {
    /// No sessions yet; if there is a store, those of a tenant are counted over all nodes that share it.
    pub(super) fn sharing(store: Option<Store>) -> Self {
        Self { quota: store.map(Quota::new), ..Self::default() }
    }

    /// Takes a seat, before anything is started.
    pub(super) async fn seat(
        self: &Arc<Self>,
        plan: &LaunchPlan,
        limits: &Limits,
    ) -> Result<Seat, NotOpened> {
        let (seat, count) = self.seat_here(plan, limits).map_err(NotOpened::Full)?;
        if let Some(quota) = &self.quota {
            let taken = quota.take(plan.tenant(), count, per_tenant(plan, limits)).await;
            taken.map_err(|reason| match reason {
                NoSeat::Full => NotOpened::Full(Full::Tenant),
                NoSeat::Away => NotOpened::Away,
            })?;
        }
        Ok(seat)
    }

    fn seat_here(self: &Arc<Self>, plan: &LaunchPlan, limits: &Limits) -> Result<(Seat, Count), Full> {
        let mut seats = self.seats();
        seats.check(plan, limits)?;
        seats.taken += 1;
        *seats.by_tenant.entry(plan.tenant().clone()).or_default() += 1;
        *seats.by_server.entry(plan.server().clone()).or_default() += 1;
        seats.changes += 1;
        let (tenant, server) = (plan.tenant().clone(), plan.server().clone());
        Ok((Seat { registry: self.clone(), tenant, server }, seats.count(plan.tenant())))
    }

    /// How many sessions a tenant has here now.
    fn counted(&self, tenant: &TenantId) -> Count {
        self.seats().count(tenant)
    }

    /// The tenants that have any.
    fn tenants(&self) -> Vec<TenantId> {
        self.seats().by_tenant.keys().cloned().collect()
    }

    /// Keeps what other nodes know of these sessions as it is, if any do.
    pub(super) async fn keep_told(&self) {
        if let Some(quota) = &self.quota {
            quota.keep_told(self).await;
        }
    }

    /// Whether there is a seat on this node. Nobody is told if not.
    pub(super) fn has_seat(&self, plan: &LaunchPlan, limits: &Limits) -> bool {
        self.seats().check(plan, limits).is_ok()
    }

    /// A number that no other session has.
    pub(super) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Counts a session that is not found by its id.
    pub(super) fn count(&self) {
        self.total.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn insert(&self, session: Arc<Session>) {
        self.count();
        self.live.insert(session);
    }

    pub(super) fn remove(&self, id: &SessionId) {
        self.live.remove(id);
    }

    pub(super) fn find(&self, id: &SessionId) -> Option<Arc<Session>> {
        self.live.find(id)
    }

    /// Has every task look around.
    pub(super) fn wake_all(&self) {
        self.ledger.live().iter().for_each(|session| session.work.notify_one());
    }

    pub(super) fn active(&self) -> usize {
        self.seats().taken
    }

    pub(super) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    pub(super) fn census(&self) -> Census {
        let seats = self.seats();
        let name = |(name, count): (&dyn ToString, usize)| (name.to_string(), count);
        Census {
            by_tenant: seats.by_tenant.iter().map(|(tenant, count)| name((tenant, *count))).collect(),
            by_server: seats.by_server.iter().map(|(server, count)| name((server, *count))).collect(),
        }
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    fn count(&self, tenant: &TenantId) -> Count {
        Count { sessions: self.by_tenant.get(tenant).copied().unwrap_or(0), number: self.changes }
    }

    /// Whether there is one more.
    fn check(&self, plan: &LaunchPlan, limits: &Limits) -> Result<(), Full> {
        let count = |map: Option<&usize>| map.copied().unwrap_or(0);
        if self.taken >= limits.sessions {
            return Err(Full::Host);
        }
        if count(self.by_tenant.get(plan.tenant())) >= per_tenant(plan, limits) {
            return Err(Full::Tenant);
        }
        if count(self.by_server.get(plan.server())) >= plan.max_sessions() {
            return Err(Full::Server);
        }
        Ok(())
    }
}

/// How many sessions the plan's tenant may have.
fn per_tenant(plan: &LaunchPlan, limits: &Limits) -> usize {
    plan.permit().max_sessions().unwrap_or(limits.sessions_per_tenant)
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.registry.seats();
        seats.taken -= 1;
        release(&mut seats.by_tenant, &self.tenant);
        release(&mut seats.by_server, &self.server);
        seats.changes += 1;
        drop(seats);
        if let Some(quota) = &self.registry.quota {
            quota.changed(&self.tenant);
        }
    }
}

/// A count that reaches zero leaves no key behind.
fn release<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
