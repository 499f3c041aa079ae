use std::num::NonZeroU32;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio_util::task::AbortOnDropHandle;

use super::super::Share;
use super::super::share::HELD_FOR;
use super::*;
use crate::settings::WhileAway;
use crate::store::server::Server;

/// The bucket as its definition has it: one after the other.
#[derive(Clone, Copy, Debug, Default)]
struct Gcra {
    full_at: u64,
}

impl Gcra {
    fn take(&mut self, now: u64, (interval, burst): (u64, u64), want: u32) -> (u32, u32, u64) {
        let next = |full_at: u64| full_at.max(now) + interval;
        let fits = |full_at: u64| next(full_at) <= now + burst * interval;
        let mut granted = 0;
        while granted < want && fits(self.full_at) {
            (self.full_at, granted) = (next(self.full_at), granted + 1);
        }
        let (mut then, mut left) = (self.full_at, 0);
        while fits(then) {
            (then, left) = (next(then), left + 1);
        }
        let wait = if left > 0 { 0 } else { next(then) - now - burst * interval };
        (granted, left, wait)
    }
}

/// However long one looks, no more pass than a burst, what comes in meanwhile, and so many more.
fn within_rate(passed: &[u64], (interval, burst): (u64, u64), more: u64) -> bool {
    let pairs = (0..passed.len()).flat_map(|last| (0..=last).map(move |first| (first, last)));
    pairs.into_iter().all(|(first, last)| {
        (last - first + 1) as u64 <= burst + (passed[last] - passed[first]) / interval + more
    })
}

/// Steps of (µs since the step before, requests wanted at once).
fn steps() -> impl Strategy<Value = (u64, u64, Vec<(u64, u32)>)> {
    let step = (prop_oneof![0..2_000u64, 0..300_000u64], 1..5u32);
    (1..100_000u64, 1..12u64, prop::collection::vec(step, 1..60))
}

async fn connected(server: &Server, node: &str, away: WhileAway) -> (Store, AbortOnDropHandle<()>) {
    let store = server.store(node, away);
    let running = Lifecycle::default().spawn_bound(store.clone().run());
    store.up().await;
    (store, running)
}

#[test]
fn the_store_counts_exactly_as_gcra_does() {
    let (server, runtime) = (Server::start(), tokio::runtime::Runtime::new().unwrap());
    let (store, _running) = runtime.block_on(connected(&server, "a", WhileAway::Refuse));
    let at_a_time = Script::new(&format!("local now = tonumber(ARGV[4])\n{TAKE}"));
    let mut keys = 0..;
    let key = std::cell::RefCell::new(move || format!("{{lockgate}}:rate:test:{}", keys.next().unwrap()));
    let mut runner = TestRunner::new(Config { cases: 100, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&steps(), |(interval, burst, steps)| {
        let (key, mut model, mut passed) = (key.borrow_mut()(), Gcra::default(), Vec::new());
        // As far from zero as the clock is.
        let mut now = 1_800_000_000_000_000u64;
        for (later, want) in steps {
            now += later;
            let args = (interval, burst, want, now);
            let answer: (u32, u32, u64) = runtime.block_on(store.call(&at_a_time, &[&key], args)).unwrap();
            prop_assert_eq!(answer, model.take(now, (interval, burst), want));
            passed.extend((0..answer.0).map(|_| now));
        }
        prop_assert!(within_rate(&passed, (interval, burst), 0));
        Ok(())
    });
    outcome.unwrap();
}

#[tokio::test]
async fn neither_a_clock_that_was_set_back_nor_another_rate_makes_anybody_wait_longer() {
    let server = Server::start();
    let (store, _running) = connected(&server, "a", WhileAway::Refuse).await;
    let at_a_time = Script::new(&format!("local now = tonumber(ARGV[4])\n{TAKE}"));
    let take = async |interval: u64, now: u64| {
        let taken: Result<(u32, u32, u64), _> =
            store.call(&at_a_time, &["{lockgate}:rate:test"], (interval, 2, 9, now)).await;
        taken.unwrap()
    };
    let now = 1_800_000_000_000_000;
    assert_eq!(take(60_000_000, now).await, (2, 0, 60_000_000));
    assert_eq!(take(60_000_000, now - 3_600_000_000).await, (0, 0, 60_000_000));
    assert_eq!(take(1_000, now).await, (0, 0, 1_000));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_nodes_hold_ahead_is_all_that_a_tenant_has_beyond_its_rate(
        (interval, burst) in (1_000..100_000u64, 1..12u64),
        nodes in 1..4usize,
        k in 1..9u32,
        steps in prop::collection::vec((prop_oneof![0..2_000u64, 0..3_000_000u64], 0..3usize), 1..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let passed = runtime.block_on(async {
            let (begun, mut bucket, mut passed) = (Instant::now(), Gcra::default(), Vec::new());
            let shares: Vec<Share> = (0..nodes).map(|_| Share::default()).collect();
            for (later, node) in steps {
                tokio::time::advance(Duration::from_micros(later)).await;
                let (now, share) = (Instant::now(), &shares[node % nodes]);
                let micros = 1_000_000 + begun.elapsed().as_micros() as u64;
                let mut take = |want| {
                    let (granted, left, wait) = bucket.take(micros, (interval, burst), want);
                    Grant { granted, left, wait: Duration::from_micros(wait) }
                };
                let passes = share.decide(now).unwrap_or_else(|| {
                    let grant = take(1);
                    share.answered(grant, now);
                    if grant.granted == 1 { Ok(0) } else { Err(grant.wait) }
                });
                if passes.is_ok() {
                    passed.push(micros);
                    let mut fetches = false;
                    share.refill(now, || {
                        fetches = true;
                        Lifecycle::default().spawn_bound(async {})
                    });
                    if fetches {
                        share.hold(take(k), now);
                    }
                    tokio::task::yield_now().await;
                }
            }
            passed
        });
        prop_assert!(within_rate(&passed, (interval, burst), nodes as u64 * u64::from(k)));
    }
}

/// One tenant's rate at one node.
struct Node {
    limiter: Limiter,
    sharing: Sharing,
    running: AbortOnDropHandle<()>,
}

impl Node {
    async fn new(server: &Server, name: &str, away: WhileAway, (per_minute, burst): (u32, u32)) -> Self {
        let (store, running) = connected(server, name, away).await;
        let bucket = Bucket::new(per_minute, NonZeroU32::new(burst).unwrap()).map(Arc::new);
        let limiter = Limiter { bucket, ..Limiter::default() };
        Self { limiter, sharing: Sharing::new(store, Lifecycle::default()), running }
    }

    /// How many are left, if it passes.
    async fn pass(&self) -> Result<u32, Unmet> {
        let tenant = TenantId::new("t");
        let asking = Asking { sharing: &self.sharing, limit: Limit::Requests, tenant: &tenant };
        let decided = self.limiter.decide_shared(asking).await;
        decided.map(|allowance| allowance.unwrap().remaining)
    }

    fn decided(&self, by: &str) -> u64 {
        let decisions = self.sharing.store.figures().decisions;
        decisions.iter().find(|(name, _)| *name == by).unwrap().1
    }
}

#[tokio::test]
async fn nodes_take_from_one_bucket_and_know_what_is_left_of_it() {
    let server = Server::start();
    let node = async |name| Node::new(&server, name, WhileAway::Refuse, (1, 4)).await;
    let (one, other) = (node("one").await, node("other").await);
    for left in [3, 1] {
        assert_eq!(one.pass().await.unwrap(), left);
        assert_eq!(other.pass().await.unwrap(), left - 1);
    }
    for _ in 0..10 {
        let Err(Unmet::UsedUp(allowance)) = one.pass().await else { panic!("a fifth of four") };
        assert!(allowance.wait > Duration::from_secs(50), "{allowance:?}");
    }
    assert_eq!((one.decided("store"), one.decided("held")), (3, 9), "a flood of refusals asks once");
}

#[tokio::test]
async fn a_busy_tenant_is_held_some_of_its_rate_ahead() {
    let server = Server::start();
    let node = Node::new(&server, "one", WhileAway::Refuse, (600, 600)).await;
    // As many as are held (4 % of a minute), and then that often again. Others must have their turn to fetch them.
    for _ in 0..100 {
        node.pass().await.unwrap();
        node.limiter.bucket.as_ref().unwrap().share.fetched().await;
    }
    assert_eq!(node.decided("store") + node.decided("held"), 100);
    assert!(node.decided("store") <= 3, "{} calls", node.decided("store"));
}

#[tokio::test]
async fn while_the_store_is_away_a_node_decides_by_itself_or_not_at_all() {
    let mut server = Server::start();
    let alone = Node::new(&server, "one", WhileAway::Alone, (1, 4)).await;
    let refusing = Node::new(&server, "other", WhileAway::Refuse, (1, 4)).await;
    assert_eq!(alone.pass().await.unwrap(), 3);
    server.stop();
    assert!(matches!(refusing.pass().await, Err(Unmet::Away)));
    for left in [2, 1, 0] {
        assert_eq!(alone.pass().await.unwrap(), left, "what has passed before counts");
    }
    assert!(matches!(alone.pass().await, Err(Unmet::UsedUp(_))));
    assert_eq!((alone.decided("alone"), refusing.decided("refused")), (4, 1));
    server.restart();
    refusing.sharing.store.up().await;
    assert_eq!(refusing.pass().await.unwrap(), 3);
    drop((alone.running, refusing.running));
}

#[test]
fn an_interval_is_never_shorter_than_the_rate_has_it() {
    assert_eq!(
        [interval(1), interval(100), interval(7), interval(u32::MAX)],
        [60_000_000, 600_000, 8_571_429, 1]
    );
    assert!(HELD_FOR < Duration::from_secs(60));
}
