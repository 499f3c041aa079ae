//! How often: one bucket for each tenant, one for each address that sends wrong secrets.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use crate::ids::TenantId;
use crate::settings;

type Limiter<K> = RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// What is left of a rate, for the `RateLimit` headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Requests in a minute.
    pub per_minute: u32,
    /// Requests that may come at once now.
    pub remaining: u32,
    /// Until there is more: zero if something is left.
    pub wait: Duration,
}

#[derive(Debug)]
pub(super) struct Rates {
    requests: Option<Bucket<TenantId>>,
    openings: Option<Bucket<TenantId>>,
    failures: Option<Bucket<IpAddr>>,
}

/// Addresses that are remembered at most; further ones share a bucket. Bounds what an attacker with many
/// addresses can make us keep.
const MAX_ADDRESSES: usize = 50_000;
const EVERYONE_ELSE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

impl Rates {
    pub(super) fn new(rate: &settings::Rate) -> Self {
        Self {
            requests: Bucket::new(rate.per_minute, rate.burst),
            openings: NonZeroU32::new(rate.opens_per_minute).and_then(|n| Bucket::new(n.get(), n)),
            failures: NonZeroU32::new(rate.failures_per_minute).and_then(|n| Bucket::new(n.get(), n)),
        }
    }

    pub(super) fn request(&self, tenant: &TenantId) -> Result<Option<Allowance>, Allowance> {
        self.requests.as_ref().map(|bucket| bucket.take(tenant)).transpose()
    }

    pub(super) fn opening(&self, tenant: &TenantId) -> Result<(), Allowance> {
        self.openings.as_ref().map_or(Ok(()), |bucket| bucket.take(tenant).map(drop))
    }

    /// Counts a wrong secret; `Err` says how long this address has to wait.
    pub(super) fn failure(&self, address: IpAddr) -> Result<(), Duration> {
        let Some(bucket) = &self.failures else { return Ok(()) };
        let key = if bucket.limiter.len() < MAX_ADDRESSES { address } else { EVERYONE_ELSE };
        bucket.take(&key).map(drop).map_err(|allowance| allowance.wait)
    }

    pub(super) fn forget_idle_keys(&self) {
        for bucket in self.requests.iter().chain(&self.openings) {
            bucket.forget_idle_keys();
        }
        self.failures.iter().for_each(Bucket::forget_idle_keys);
    }
}

#[derive(Debug)]
struct Bucket<K: std::hash::Hash + Eq + Clone> {
    per_minute: u32,
    limiter: Limiter<K>,
}

impl<K: std::hash::Hash + Eq + Clone> Bucket<K> {
    fn new(per_minute: u32, burst: NonZeroU32) -> Option<Self> {
        let quota = Quota::per_minute(NonZeroU32::new(per_minute)?).allow_burst(burst);
        let limiter = RateLimiter::keyed(quota).with_middleware::<StateInformationMiddleware>();
        Some(Self { per_minute, limiter })
    }

    fn take(&self, key: &K) -> Result<Allowance, Allowance> {
        let allowance = |remaining, wait| Allowance { per_minute: self.per_minute, remaining, wait };
        match self.limiter.check_key(key) {
            Ok(state) => Ok(allowance(state.remaining_burst_capacity(), Duration::ZERO)),
            Err(refusal) => Err(allowance(0, refusal.wait_time_from(DefaultClock::default().now()))),
        }
    }

    fn forget_idle_keys(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}
