use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio_util::task::AbortOnDropHandle;

use super::super::Seat;
use super::*;
use crate::access::Permit;
use crate::catalog::{Catalog, LaunchPlan, Overrides, Target};
use crate::lifecycle::Lifecycle;
use crate::session::{Full, NotOpened};
use crate::settings::WhileAway;
use crate::settings::{Flags, Limits, Platform, Settings};
use crate::store::server::Server;

/// As many sessions as there may be of one tenant.
const LIMIT: usize = 3;

/// The sessions of one node.
struct Node {
    registry: Arc<Registry>,
    limits: Limits,
    plan: LaunchPlan,
    running: AbortOnDropHandle<()>,
}

impl Node {
    async fn new(server: &Server, name: &str, away: WhileAway) -> Self {
        let flags = Flags { allow: vec!["true".into()], ..Flags::default() };
        let mut settings = Settings::load(&flags, &Platform::default()).unwrap();
        settings.limits.sessions_per_tenant = LIMIT;
        let (target, name_of) = (Target::decode("true").unwrap(), settings.servers.keys().next().unwrap());
        let permit = Permit::for_test(&[name_of], &[]);
        let catalog = Catalog::load(&settings).unwrap();
        let plan = catalog.plan(&permit, &target, Overrides::default(), |_| None).unwrap();
        let store = server.store(name, away);
        let running = Lifecycle::default().spawn_bound(store.clone().run());
        store.up().await;
        Self { registry: Arc::new(Registry::sharing(Some(store))), limits: settings.limits, plan, running }
    }

    fn quota(&self) -> &Quota {
        self.registry.quota.as_ref().unwrap()
    }

    async fn seat(&self) -> Result<Seat, NotOpened> {
        self.registry.seat(&self.plan, &self.limits).await
    }

    async fn is_full(&self) -> bool {
        let full = matches!(self.seat().await, Err(NotOpened::Full(Full::Tenant)));
        self.tell().await;
        full
    }

    async fn tell(&self) {
        self.quota().tell(&self.registry).await.unwrap();
    }
}

#[tokio::test]
async fn nodes_have_no_more_sessions_of_a_tenant_together_than_it_may_have() {
    let server = Server::start();
    let one = Node::new(&server, "one", WhileAway::Refuse).await;
    let other = Node::new(&server, "other", WhileAway::Refuse).await;
    let (first, _second) = (one.seat().await.unwrap(), other.seat().await.unwrap());
    let _third = other.seat().await.unwrap();
    assert!(one.is_full().await && other.is_full().await);
    assert_eq!(
        (one.registry.active(), other.registry.active()),
        (1, 2),
        "who is refused gives the seat back"
    );
    drop(first);
    one.tell().await;
    let _fourth = other.seat().await.unwrap();
    assert!(one.is_full().await);
}

#[tokio::test]
async fn sessions_of_a_node_that_is_gone_do_not_count() {
    let server = Server::start();
    let one = Node::new(&server, "one", WhileAway::Refuse).await;
    let other = Node::new(&server, "other", WhileAway::Refuse).await;
    let _seats = [one.seat().await.unwrap(), one.seat().await.unwrap(), one.seat().await.unwrap()];
    assert!(other.is_full().await);
    // It is killed, and comes back under its name: what it was is forgotten at once.
    drop(one.running);
    let again = Node::new(&server, "one", WhileAway::Refuse).await;
    let _others = [other.seat().await.unwrap(), other.seat().await.unwrap(), again.seat().await.unwrap()];
    assert!(other.is_full().await);
}

#[tokio::test]
async fn a_word_that_comes_late_changes_nothing() {
    let server = Server::start();
    let one = Node::new(&server, "one", WhileAway::Refuse).await;
    let other = Node::new(&server, "other", WhileAway::Refuse).await;
    let seat = one.seat().await.unwrap();
    let tenant = one.plan.tenant().clone();
    let late = one.registry.counted(&tenant);
    drop(seat);
    one.tell().await;
    assert_eq!(one.quota().take(&tenant, Count { sessions: LIMIT, ..late }, LIMIT).await, Ok(()));
    let _seats = [other.seat().await.unwrap(), other.seat().await.unwrap(), other.seat().await.unwrap()];
    // Two of three are told again, before the third was there.
    let store = &other.quota().store;
    let late = [store.member(), "1000", "2", "2"];
    let _: () = store.call(&TELL, &[&key(&tenant)], &late).await.unwrap();
    assert!(one.is_full().await, "the other's count is what it said last");
}

#[tokio::test]
async fn what_is_said_again_lasts_on_though_nothing_has_changed() {
    let server = Server::start();
    let one = Node::new(&server, "one", WhileAway::Refuse).await;
    let _seat = one.seat().await.unwrap();
    let tenant = one.plan.tenant().clone();
    let store = &one.quota().store;
    let expire = Script::new("return redis.call('PEXPIRE', KEYS[1], 1000)");
    let _: () = store.call(&expire, &[&key(&tenant)], 0).await.unwrap();
    one.quota().changed(&tenant);
    one.tell().await;
    let left = Script::new("return redis.call('PTTL', KEYS[1])");
    let left: u64 = store.call(&left, &[&key(&tenant)], 0).await.unwrap();
    assert!(left > 1000, "{left} ms");
}

#[tokio::test]
async fn a_store_that_has_lost_everything_is_told_again() {
    let mut server = Server::start();
    let one = Node::new(&server, "one", WhileAway::Refuse).await;
    let other = Node::new(&server, "other", WhileAway::Refuse).await;
    let seats = [one.seat().await.unwrap(), one.seat().await.unwrap(), one.seat().await.unwrap()];
    let registry = one.registry.clone();
    let _telling = Lifecycle::default().spawn_bound(async move { registry.keep_told().await });
    server.restart();
    // Until both are connected, and the one has told. Each answer is one more round of the store's.
    other.quota().store.lost().await;
    other.quota().store.up().await;
    one.quota().store.up().await;
    while !other.is_full().await {}
    drop(seats);
    while other.is_full().await {}
}

#[tokio::test]
async fn while_the_store_is_away_a_node_counts_its_own_or_opens_none() {
    let mut server = Server::start();
    let alone = Node::new(&server, "one", WhileAway::Alone).await;
    let refusing = Node::new(&server, "other", WhileAway::Refuse).await;
    let _seats = [refusing.seat().await.unwrap(), refusing.seat().await.unwrap()];
    server.stop();
    let _alone = [alone.seat().await.unwrap(), alone.seat().await.unwrap(), alone.seat().await.unwrap()];
    assert!(matches!(alone.seat().await, Err(NotOpened::Full(Full::Tenant))));
    assert!(matches!(refusing.seat().await, Err(NotOpened::Away)));
    assert_eq!(refusing.registry.active(), 2, "the seat is given back");
}

/// What may happen at one of the nodes.
#[derive(Clone, Copy, Debug)]
enum Step {
    Open,
    /// Two at a time.
    Race,
    Close,
    Tell,
    /// The answer is not waited for.
    Hasty,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let kinds = [Step::Open, Step::Open, Step::Race, Step::Close, Step::Tell, Step::Hasty];
    prop::collection::vec((0..3usize, prop::sample::select(kinds.to_vec())), 1..40)
}

#[test]
fn whatever_is_opened_and_closed_there_are_never_more_than_may_be_and_none_is_lost() {
    let (server, runtime) = (Server::start(), tokio::runtime::Runtime::new().unwrap());
    let nodes: Vec<Node> = ["a", "b", "c"]
        .iter()
        .map(|name| runtime.block_on(Node::new(&server, name, WhileAway::Refuse)))
        .collect();
    let mut runner = TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&steps(), |steps| {
        runtime.block_on(async {
            let mut seats: HashMap<usize, Vec<Seat>> = HashMap::new();
            for (at, step) in steps {
                let (node, own) = (&nodes[at], seats.entry(at).or_default());
                match step {
                    Step::Open => own.extend(node.seat().await),
                    Step::Race => {
                        let (one, other) = tokio::join!(node.seat(), node.seat());
                        own.extend(one.into_iter().chain(other));
                    }
                    Step::Close => drop(own.pop()),
                    Step::Tell => node.tell().await,
                    Step::Hasty => drop(tokio::time::timeout(Duration::ZERO, node.seat()).await.map(drop)),
                }
                let open: usize = seats.values().map(Vec::len).sum();
                prop_assert!(open <= LIMIT, "{open} are open");
            }
            // What is left to be told is, and then there is room for exactly the rest.
            for node in &nodes {
                node.tell().await;
            }
            let mut open: usize = seats.values().map(Vec::len).sum();
            let mut more = Vec::new();
            while let Ok(seat) = nodes[open % 3].seat().await {
                more.push(seat);
                open += 1;
            }
            prop_assert_eq!(open, LIMIT);
            drop((seats, more));
            for node in &nodes {
                node.tell().await;
            }
            Ok(())
        })
    });
    outcome.unwrap();
}
