//! Rates that hold over all nodes: GCRA, as `governor` has it, in the store and by its clock.
//!
//! A tenant exceeds its rate by what nodes hold ahead of it, and by no more (`share`). While the store is out of reach
//! each node decides by a bucket of its own, from which everything is taken that passes here anyway; or nobody passes.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::time::Instant;

use super::share::{Grant, ahead};
use super::{Allowance, Bucket, Limit, Limiter, Unmet};
use crate::ids::TenantId;
use crate::lifecycle::Lifecycle;
use crate::store::{Away, Decision, Script, Store};

/// What limits of all nodes are decided with.
#[derive(Clone, Debug)]
pub(in crate::access) struct Sharing {
    store: Store,
    /// Whose tasks fetch ahead.
    lifecycle: Lifecycle,
}

/// Who asks, and for what: a rate of a tenant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    pub(super) sharing: &'a Sharing,
    pub(super) limit: Limit,
    pub(super) tenant: &'a TenantId,
}

/// The store's clock, in microseconds since 1970.
const CLOCK: &str = "
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
";
/// Takes up to `want` from a bucket that takes in one each `interval` (µs) and has room for `burst`. What is kept of it
/// is when it will be full. Says how many were granted, how many are left, and the time until there is one (µs). Each
/// number is whole and below 2^53, so nothing is rounded.
const TAKE: &str = "
    local interval, burst, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
    local whole = interval * burst
    local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
    -- No emptier than empty: neither a clock that was set back nor a rate that was raised makes anybody wait longer.
    full_at = math.min(full_at, now + whole)
    local room = math.floor((now + whole - full_at) / interval)
    local granted = math.min(want, room)
    if granted > 0 then
      full_at = full_at + granted * interval
      local lasts = math.ceil((full_at - now) / 1000) + 1000
      redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', string.format('%.0f', lasts))
    end
    local wait = 0
    if room == granted then wait = full_at + interval - now - whole end
    return {granted, room - granted, wait}
";
static TAKE_NOW: LazyLock<Script> = LazyLock::new(|| Script::new(&format!("{CLOCK}{TAKE}")));

const MICROS_A_MINUTE: u64 = 60_000_000;

impl Sharing {
    pub(in crate::access) fn new(store: Store, lifecycle: Lifecycle) -> Self {
        Self { store, lifecycle }
    }
}

impl Limiter {
    /// Decides by what all nodes have let pass.
    pub(super) async fn decide_shared(&self, asking: Asking<'_>) -> Result<Option<Allowance>, Unmet> {
        let Some(bucket) = &self.bucket else { return self.decide().map_err(Unmet::UsedUp) };
        let decision = match bucket.decide_here(asking) {
            Some(decision) => decision.map_err(Unmet::UsedUp),
            // Boxed, so that requests that need not ask have no room for it.
            None => Box::pin(bucket.ask(asking)).await,
        };
        self.decisions.count(decision.is_ok());
        decision.map(Some)
    }
}

impl Bucket {
    /// By what this node holds and knows.
    fn decide_here(self: &Arc<Self>, asking: Asking<'_>) -> Option<Result<Allowance, Allowance>> {
        let now = Instant::now();
        let decision = self.share.decide(now)?;
        asking.sharing.store.decided(Decision::Held);
        Some(match decision {
            Ok(left) => {
                self.passed(asking, now);
                Ok(self.allowance(left, Duration::ZERO))
            }
            Err(wait) => Err(self.allowance(0, wait)),
        })
    }

    async fn ask(self: &Arc<Self>, asking: Asking<'_>) -> Result<Allowance, Unmet> {
        match self.take_shared(asking, 1).await {
            Ok(grant) => {
                let now = Instant::now();
                self.share.answered(grant, now);
                asking.sharing.store.decided(Decision::Store);
                if grant.granted == 0 {
                    return Err(Unmet::UsedUp(self.allowance(0, grant.wait)));
                }
                self.passed(asking, now);
                Ok(self.allowance(grant.left, Duration::ZERO))
            }
            Err(Away) => {
                asking.sharing.store.alone().map_err(|Away| Unmet::Away)?;
                self.take().map_err(Unmet::UsedUp)
            }
        }
    }

    /// A request has passed. If the node is to decide alone later, it does so with what is left then.
    fn passed(self: &Arc<Self>, asking: Asking<'_>, now: Instant) {
        let Asking { sharing, limit, tenant } = asking;
        let _ = self.take();
        let ahead = ahead(self.per_minute, self.quota.burst_size().get(), sharing.store.nodes());
        if ahead == 0 {
            return;
        }
        self.share.refill(now, || {
            let (bucket, sharing, tenant) = (self.clone(), sharing.clone(), tenant.clone());
            let lifecycle = sharing.lifecycle.clone();
            lifecycle.spawn_bound(async move {
                let asked = Instant::now();
                let asking = Asking { sharing: &sharing, limit, tenant: &tenant };
                if let Ok(grant) = bucket.take_shared(asking, ahead).await {
                    bucket.share.hold(grant, asked);
                }
            })
        });
    }

    async fn take_shared(&self, asking: Asking<'_>, want: u32) -> Result<Grant, Away> {
        let Asking { sharing, limit, tenant } = asking;
        let key = format!("{{lockgate}}:rate:{}:{tenant}", limit.name());
        let args = (interval(self.per_minute), self.quota.burst_size().get(), want);
        let (granted, left, micros) = sharing.store.call(&TAKE_NOW, &[&key], args).await?;
        Ok(Grant { granted, left, wait: Duration::from_micros(micros) })
    }
}

/// Microseconds from one request to the next; rounded up, so that nobody gets more.
fn interval(per_minute: u32) -> u64 {
    MICROS_A_MINUTE.div_ceil(u64::from(per_minute).max(1))
}

#[cfg(test)]
mod tests;
