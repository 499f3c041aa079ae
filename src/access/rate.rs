//! How often: buckets of each tenant, and one for each address that sends wrong secrets.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{NotUntil, Quota, RateLimiter};

use crate::settings::{Rate, TenantRate};

type Single = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;
type ByAddress =
    RateLimiter<IpAddr, DefaultKeyedStateStore<IpAddr>, DefaultClock, StateInformationMiddleware>;

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

/// How often one tenant may do something. What it has used stays used over a reload that leaves its rates
/// as they are.
#[derive(Debug, Default)]
pub(super) struct Rates {
    requests: Option<Arc<Bucket>>,
    openings: Option<Arc<Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    quota: Quota,
    per_minute: u32,
    limiter: Single,
}

/// How often an address may send a wrong secret.
#[derive(Debug)]
pub(super) struct Failures {
    per_minute: u32,
    limiter: Option<Arc<ByAddress>>,
}

/// Addresses that are remembered at most; further ones share a bucket. Bounds what an attacker with many
/// addresses can make us keep.
const MAX_ADDRESSES: usize = 50_000;
const EVERYONE_ELSE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

// === impl Rates ===

impl Rates {
    /// The rates of a tenant: its own, else everybody's. `before` are those it had until now.
    pub(super) fn new(all: &Rate, own: TenantRate, before: Option<&Self>) -> Self {
        let opens = own.opens_per_minute.unwrap_or(all.opens_per_minute);
        let requests = Bucket::new(own.per_minute.unwrap_or(all.per_minute), own.burst.unwrap_or(all.burst));
        let openings = NonZeroU32::new(opens).and_then(|burst| Bucket::new(opens, burst));
        Self {
            requests: unchanged(requests, before.and_then(|rates| rates.requests.as_ref())),
            openings: unchanged(openings, before.and_then(|rates| rates.openings.as_ref())),
        }
    }

    pub(super) fn request(&self) -> Result<Option<Allowance>, Allowance> {
        self.requests.as_ref().map(|bucket| bucket.take()).transpose()
    }

    pub(super) fn opening(&self) -> Result<(), Allowance> {
        self.openings.as_ref().map_or(Ok(()), |bucket| bucket.take().map(drop))
    }
}

/// The bucket as it was, if the new one would be of the same size.
fn unchanged(new: Option<Bucket>, before: Option<&Arc<Bucket>>) -> Option<Arc<Bucket>> {
    let new = new?;
    Some(before.filter(|old| old.quota == new.quota).cloned().unwrap_or_else(|| Arc::new(new)))
}

impl Bucket {
    fn new(per_minute: u32, burst: NonZeroU32) -> Option<Self> {
        let quota = Quota::per_minute(NonZeroU32::new(per_minute)?).allow_burst(burst);
        let limiter = RateLimiter::direct(quota).with_middleware();
        Some(Self { quota, per_minute, limiter })
    }

    fn take(&self) -> Result<Allowance, Allowance> {
        let allowance = |remaining, wait| Allowance { per_minute: self.per_minute, remaining, wait };
        match self.limiter.check() {
            Ok(state) => Ok(allowance(state.remaining_burst_capacity(), Duration::ZERO)),
            Err(refusal) => Err(allowance(0, wait(&refusal))),
        }
    }
}

// === impl Failures ===

impl Failures {
    pub(super) fn new(rate: &Rate, before: Option<&Self>) -> Self {
        let per_minute = rate.failures_per_minute;
        let fresh = || {
            let quota = Quota::per_minute(NonZeroU32::new(per_minute)?);
            Some(Arc::new(RateLimiter::keyed(quota).with_middleware()))
        };
        let kept = before.filter(|before| before.per_minute == per_minute);
        Self { per_minute, limiter: kept.map_or_else(fresh, |before| before.limiter.clone()) }
    }

    /// Counts a wrong secret; `Err` says how long this address has to wait.
    pub(super) fn count(&self, address: IpAddr) -> Result<(), Duration> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        let key = if limiter.len() < MAX_ADDRESSES { address } else { EVERYONE_ELSE };
        limiter.check_key(&key).map(drop).map_err(|refusal| wait(&refusal))
    }

    pub(super) fn forget_idle_keys(&self) {
        if let Some(limiter) = &self.limiter {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

fn wait(refusal: &NotUntil<<DefaultClock as Clock>::Instant>) -> Duration {
    refusal.wait_time_from(DefaultClock::default().now())
}
