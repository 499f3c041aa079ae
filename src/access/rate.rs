//! How often: buckets of each tenant, which all nodes may have together, and one for each address that sends wrong
//! secrets.

mod share;
mod shared;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{NotUntil, Quota, RateLimiter};
use serde::Serialize;

pub(super) use self::shared::Sharing;

use self::share::Share;
use self::shared::Asking;
use crate::ids::TenantId;
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

/// Which of a tenant's rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Its requests.
    Requests,
    /// The sessions that it opens.
    Openings,
}

/// Why something is not let pass.
#[derive(Clone, Debug)]
pub(super) enum Unmet {
    /// The rate is used up.
    UsedUp(Allowance),
    /// What all nodes have used cannot be found out.
    Away,
}

/// How often one tenant may do something. What it has used stays used over a reload that leaves its rates
/// as they are.
#[derive(Debug, Default)]
pub(super) struct Rates {
    requests: Limiter,
    openings: Limiter,
}

/// What bounds one rate, if anything does, and what it has decided so far.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    bucket: Option<Arc<Bucket>>,
    /// Outlives reloads.
    decisions: Arc<Decisions>,
}

#[derive(Debug, Default)]
struct Decisions {
    allowed: AtomicU64,
    limited: AtomicU64,
}

/// How a rate is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RateUse {
    /// How many there may be in a minute; `None` without a limit.
    pub per_minute: Option<u32>,
    /// How many were allowed so far.
    pub allowed: u64,
    /// How many were refused so far.
    pub limited: u64,
}

#[derive(Debug)]
struct Bucket {
    quota: Quota,
    per_minute: u32,
    limiter: Single,
    /// What is known of the same bucket of all nodes.
    share: Share,
}

/// How often an address may send a wrong secret.
#[derive(Debug)]
pub(super) struct Failures {
    per_minute: u32,
    limiter: Option<Arc<ByAddress>>,
    decisions: Arc<Decisions>,
}

/// Addresses that are remembered at most; further ones share a bucket. Bounds what an attacker with many
/// addresses can make us keep.
const MAX_ADDRESSES: usize = 50_000;
const EVERYONE_ELSE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

impl Limit {
    /// For keys and the log.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Openings => "openings",
        }
    }
}

impl fmt::Display for Limit {
    /// For whoever has reached it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requests => "request",
            Self::Openings => "session opening",
        })
    }
}

// === impl Rates ===

impl Rates {
    /// The rates of a tenant: its own, else everybody's. `before` are those it had until now.
    pub(super) fn new(all: &Rate, own: TenantRate, before: Option<&Self>) -> Self {
        let opens = own.opens_per_minute.unwrap_or(all.opens_per_minute);
        let requests = Bucket::new(own.per_minute.unwrap_or(all.per_minute), own.burst.unwrap_or(all.burst));
        let openings = NonZeroU32::new(opens).and_then(|burst| Bucket::new(opens, burst));
        Self {
            requests: Limiter::new(requests, before.map(|rates| &rates.requests)),
            openings: Limiter::new(openings, before.map(|rates| &rates.openings)),
        }
    }

    /// Counts a request.
    pub(super) fn request(&self) -> Result<Option<Allowance>, Unmet> {
        self.requests.decide().map_err(Unmet::UsedUp)
    }

    /// Counts a request of the tenant whose rates these are, over all nodes.
    pub(super) async fn request_shared(
        &self,
        sharing: &Sharing,
        tenant: &TenantId,
    ) -> Result<Option<Allowance>, Unmet> {
        self.requests.decide_shared(Asking { sharing, limit: Limit::Requests, tenant }).await
    }

    /// Counts a session that it opens; over all nodes, if that is shared.
    pub(super) async fn opening(&self, sharing: Option<&Sharing>, tenant: &TenantId) -> Result<(), Unmet> {
        match sharing {
            None => self.openings.decide().map_err(Unmet::UsedUp),
            Some(sharing) => {
                self.openings.decide_shared(Asking { sharing, limit: Limit::Openings, tenant }).await
            }
        }
        .map(drop)
    }

    /// How requests and openings are used.
    pub(super) fn usage(&self) -> (RateUse, RateUse) {
        (self.requests.usage(), self.openings.usage())
    }
}

impl Limiter {
    /// With the bucket as it was `before`, if the new one would be of the same size.
    fn new(bucket: Option<Bucket>, before: Option<&Self>) -> Self {
        let known = before.and_then(|before| before.bucket.as_ref());
        let unchanged = |new: &Bucket| known.filter(|old| old.quota == new.quota).cloned();
        let bucket = bucket.map(|new| unchanged(&new).unwrap_or_else(|| Arc::new(new)));
        Self { bucket, decisions: before.map(|before| before.decisions.clone()).unwrap_or_default() }
    }

    /// So many in a minute, all of which may come at once.
    pub(super) fn of(per_minute: NonZeroU32) -> Self {
        Self { bucket: Bucket::new(per_minute.get(), per_minute).map(Arc::new), ..Self::default() }
    }

    pub(super) fn decide(&self) -> Result<Option<Allowance>, Allowance> {
        let decision = self.bucket.as_ref().map(|bucket| bucket.take()).transpose();
        self.decisions.count(decision.is_ok());
        decision
    }

    fn usage(&self) -> RateUse {
        self.decisions.usage(self.bucket.as_ref().map(|bucket| bucket.per_minute))
    }
}

impl Decisions {
    fn count(&self, passed: bool) {
        if passed { &self.allowed } else { &self.limited }.fetch_add(1, Relaxed);
    }

    fn usage(&self, per_minute: Option<u32>) -> RateUse {
        RateUse { per_minute, allowed: self.allowed.load(Relaxed), limited: self.limited.load(Relaxed) }
    }
}

impl Bucket {
    fn new(per_minute: u32, burst: NonZeroU32) -> Option<Self> {
        let quota = Quota::per_minute(NonZeroU32::new(per_minute)?).allow_burst(burst);
        let limiter = RateLimiter::direct(quota).with_middleware();
        Some(Self { quota, per_minute, limiter, share: Share::default() })
    }

    fn take(&self) -> Result<Allowance, Allowance> {
        match self.limiter.check() {
            Ok(state) => Ok(self.allowance(state.remaining_burst_capacity(), Duration::ZERO)),
            Err(refusal) => Err(self.allowance(0, wait(&refusal))),
        }
    }

    fn allowance(&self, remaining: u32, wait: Duration) -> Allowance {
        Allowance { per_minute: self.per_minute, remaining, wait }
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
        let decisions = before.map(|before| before.decisions.clone()).unwrap_or_default();
        Self { per_minute, limiter: kept.map_or_else(fresh, |before| before.limiter.clone()), decisions }
    }

    /// Counts a wrong secret; `Err` says how long this address has to wait.
    pub(super) fn count(&self, address: IpAddr) -> Result<(), Duration> {
        let decision = self.limiter.as_ref().map_or(Ok(()), |limiter| {
            let key = if limiter.len() < MAX_ADDRESSES { address } else { EVERYONE_ELSE };
            limiter.check_key(&key).map(drop).map_err(|refusal| wait(&refusal))
        });
        self.decisions.count(decision.is_ok());
        decision
    }

    /// How many wrong secrets came, and how many addresses are remembered.
    pub(super) fn usage(&self) -> (RateUse, usize) {
        let usage = self.decisions.usage(Some(self.per_minute).filter(|rate| *rate > 0));
        (usage, self.limiter.as_ref().map_or(0, |limiter| limiter.len()))
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
