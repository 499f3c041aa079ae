//! A tenant's sessions over all nodes. The store has how many each node has of each tenant; a node says how many it
//! has, never how many more or fewer, so that nothing is wrong for long whatever gets lost.
//!
//! What a node has said counts as long as the node lives. Each word has a number, so that one that comes late changes
//! nothing. Whoever wants a seat counts it first and then asks, so the sum is never less than what there is.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::Registry;
use crate::ids::TenantId;
use crate::store::{Away, Decision, GONE_AFTER, NODES, Script, Store};

/// How the sessions of all nodes are counted.
#[derive(Debug)]
pub(super) struct Quota {
    store: Store,
    /// Tenants whose count the store does not have as it is.
    untold: Mutex<HashSet<TenantId>>,
    /// There is one.
    work: Notify,
}

/// How many sessions a node has of a tenant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count {
    pub(super) sessions: usize,
    /// Later counts have greater numbers.
    pub(super) number: u64,
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoSeat {
    /// All nodes together have as many as the tenant may have.
    Full,
    /// Nobody knows.
    Away,
}

/// Has a node's count taken in, if all nodes together have no more than the limit then. Nodes that are gone do not
/// count. If the node has said something later, that is what counts.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local time = redis.call('TIME')
         local now = time[1] * 1000 + math.floor(time[2] / 1000)
         local own, count, number, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
         local others, is_news = 0, true
         local said = redis.call('HGETALL', KEYS[1])
         for at = 1, #said, 2 do
           local node, sessions, order = said[at], string.match(said[at + 1], '^(%d+):(%d+)$')
           if node == own then
             if tonumber(order) > number then count, is_news = tonumber(sessions), false end
           else
             local seen = tonumber(redis.call('ZSCORE', KEYS[2], node) or 0)
             if seen > now - ARGV[5] then others = others + tonumber(sessions)
             else redis.call('HDEL', KEYS[1], node) end
           end
         end
         if others + count > limit then return 0 end
         if is_news then
           redis.call('HSET', KEYS[1], own, ARGV[2] .. ':' .. ARGV[3])
           redis.call('PEXPIRE', KEYS[1], ARGV[6])
         end
         return 1",
    )
});
/// Has a node's counts taken in, one for each key.
static TELL: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "for at, key in ipairs(KEYS) do
           local sessions, number = ARGV[2 * at + 1], ARGV[2 * at + 2]
           local order = string.match(redis.call('HGET', key, ARGV[1]) or '', ':(%d+)$')
           if tonumber(order or -1) < tonumber(number) then
             redis.call('HSET', key, ARGV[1], sessions .. ':' .. number)
           end
           redis.call('PEXPIRE', key, ARGV[2])
         end
         return 1",
    )
});

/// What nobody has repeated for so long is forgotten: what a cluster has said that is no more.
const LASTS: Duration = Duration::from_secs(3600);
/// How often everything is repeated.
const REPEATED: Duration = Duration::from_secs(600);
/// Tenants that are told of in one go.
const AT_ONCE: usize = 256;
/// What could not be told is tried again after so long, or once the store answers again.
const AGAIN: Duration = Duration::from_secs(1);

impl Quota {
    pub(super) fn new(store: Store) -> Self {
        Self { store, untold: Mutex::default(), work: Notify::new() }
    }

    /// Asks for the last of these sessions, which is counted already. Who gives its seat back because there is no answer,
    /// or does not wait for one, has the store told.
    pub(super) async fn take(&self, tenant: &TenantId, count: Count, limit: usize) -> Result<(), NoSeat> {
        let args =
            (self.store.member(), count.sessions, count.number, limit, millis(GONE_AFTER), millis(LASTS));
        match self.store.call(&TAKE, &[&key(tenant), NODES], args).await {
            Ok(granted) => {
                self.store.decided(Decision::Store);
                if granted { Ok(()) } else { Err(NoSeat::Full) }
            }
            Err(Away) => {
                self.store.alone().map_err(|Away| NoSeat::Away)?;
                self.changed(tenant);
                Ok(())
            }
        }
    }

    /// Has the store told how many a tenant has now.
    pub(super) fn changed(&self, tenant: &TenantId) {
        self.untold().insert(tenant.clone());
        self.work.notify_one();
    }

    /// Tells the store of what has changed, for as long as it is awaited; and of everything now and then, and when it
    /// may have forgotten.
    pub(super) async fn keep_told(&self, registry: &Registry) {
        let mut told = self.store.told();
        let mut again = told.borrow_and_update().again;
        let mut next = Instant::now() + REPEATED;
        let mut missed = false;
        loop {
            let retry = if missed { Instant::now() + AGAIN } else { next };
            tokio::select! {
                () = self.work.notified(), if !missed => {}
                Ok(()) = told.changed() => {}
                () = sleep_until(retry) => {}
            }
            let newest = told.borrow_and_update().again;
            if newest != again || Instant::now() >= next {
                (again, next) = (newest, Instant::now() + REPEATED);
                self.untold().extend(registry.tenants());
            }
            missed = self.tell(registry).await.is_err();
        }
    }

    async fn tell(&self, registry: &Registry) -> Result<(), Away> {
        loop {
            let tenants: Vec<TenantId> = self.untold().iter().take(AT_ONCE).cloned().collect();
            if tenants.is_empty() {
                return Ok(());
            }
            let mut args = vec![self.store.member().to_owned(), millis(LASTS).to_string()];
            for tenant in &tenants {
                // First: whatever changes from here on is told again.
                self.untold().remove(tenant);
                let Count { sessions, number } = registry.counted(tenant);
                args.extend([sessions.to_string(), number.to_string()]);
            }
            let keys: Vec<String> = tenants.iter().map(key).collect();
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let told: Result<(), Away> = self.store.call(&TELL, &keys, args).await;
            if told.is_err() {
                self.untold().extend(tenants);
                return told;
            }
        }
    }

    fn untold(&self) -> MutexGuard<'_, HashSet<TenantId>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(tenant: &TenantId) -> String {
    format!("{{lockgate}}:seats:{tenant}")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
