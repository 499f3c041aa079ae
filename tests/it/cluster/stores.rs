//! The store that nodes share: what holds over all of them while it is there, and what becomes of it when it is not.

use reqwest::{Method, Response};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::front::{Front, Way};
use super::load::plan;
use super::nodes::{Cluster, Node, Plan};
use super::store::Guard;
use super::talk::{Outcome, Talk, try_call};
use crate::events::Endpoint;
use crate::gateway::until_told;

const SESSIONS: usize = 7;

/// Nodes that share a store, and few seats.
fn few_seats() -> Plan {
    let limits = format!("[sandbox]\nprofile = \"off\"\n[limits]\nsessions_per_tenant = {SESSIONS}\n");
    Plan::of("forward").with_store(Guard::Password).with(&limits)
}

fn endpoint(base: &str) -> Endpoint {
    Endpoint::at(format!("{base}/peer/mcp"))
}

/// A session that is asked for here: its endpoint, or why there is none.
async fn open(base: &str) -> Result<Endpoint, Response> {
    let endpoint = endpoint(base);
    let response = endpoint.initialize("2025-11-25").await;
    if response.status() != 200 {
        return Err(response);
    }
    let id = response.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    Ok(endpoint.in_session(&id).header("mcp-protocol-version", "2025-11-25"))
}

/// So many at once; those that came about. The others must have been refused for the tenant's quota.
async fn open_many(base: &str, count: usize) -> Vec<Endpoint> {
    let mut opening = JoinSet::new();
    for _ in 0..count {
        let base = base.to_owned();
        opening.spawn(async move { open(&base).await });
    }
    let mut opened = Vec::new();
    for one in opening.join_all().await {
        match one {
            Ok(endpoint) => opened.push(endpoint),
            Err(response) => assert_eq!(response.status(), 429),
        }
    }
    opened
}

async fn until_store(nodes: &[Node], is_up: bool) {
    for node in nodes {
        let wanted = if is_up { 1.0 } else { 0.0 };
        until_told(&format!("{} has its store: {is_up}", node.name), async || {
            node.scrape().await.sum("lockgate_store_up", &[]) == wanted
        })
        .await;
    }
}

async fn is_well(endpoint: &Endpoint) {
    assert_eq!(try_call(endpoint, "are you there?").await, Outcome::Own);
}

#[test]
fn a_tenants_sessions_are_counted_over_all_nodes() {
    Cluster::run(few_seats(), async |cluster| {
        until_store(&cluster.nodes, true).await;
        let front = Front::start(Way::Turns, cluster).await;
        let opened = open_many(&front.base, SESSIONS * 2).await;
        assert_eq!(opened.len(), SESSIONS);
        // A seat that is free is free on every node.
        assert!(opened[0].request(Method::DELETE).send().await.unwrap().status().is_success());
        let mut again = None;
        until_told("the seat is free", async || {
            again = open(&front.base).await.ok();
            again.is_some()
        })
        .await;
        assert_eq!(open_many(&front.base, 3).await.len(), 0);
        for endpoint in &opened[1..] {
            is_well(endpoint).await;
        }
    });
}

#[test]
fn the_seats_of_a_node_that_was_killed_are_free_again() {
    Cluster::run(few_seats(), async |cluster| {
        until_store(&cluster.nodes, true).await;
        let dead = cluster.nodes[1].base();
        assert_eq!(open_many(&dead, SESSIONS).await.len(), SESSIONS);
        let other = cluster.nodes[0].base();
        assert_eq!(open(&other).await.err().expect("no seat is left").status(), 429);
        cluster.node("n2").kill();
        until_told("its seats are free", async || open(&other).await.is_ok()).await;
    });
}

#[test]
fn no_session_notices_that_the_store_is_restarted_and_limits_hold_again_after_it() {
    Cluster::run(few_seats(), async |cluster| {
        until_store(&cluster.nodes, true).await;
        let front = Front::start(Way::Turns, cluster).await;
        let opened = open_many(&front.base, SESSIONS).await;
        assert_eq!(opened.len(), SESSIONS);
        let store = cluster.store.as_mut().expect("a store");
        store.kill();
        until_store(&cluster.nodes, false).await;
        for endpoint in &opened {
            is_well(endpoint).await;
        }
        cluster.store.as_mut().unwrap().begin();
        until_store(&cluster.nodes, true).await;
        // Each node tells anew how many it has.
        until_told("the seats are taken", async || match open(&front.base).await {
            Ok(endpoint) => {
                assert!(endpoint.request(Method::DELETE).send().await.unwrap().status().is_success());
                false
            }
            Err(response) => response.status() == 429,
        })
        .await;
        for endpoint in &opened {
            is_well(endpoint).await;
        }
    });
}

#[test]
fn a_node_without_its_store_goes_on_alone() {
    Cluster::run(few_seats(), async |cluster| {
        until_store(&cluster.nodes, true).await;
        let front = Front::start(Way::Turns, cluster).await;
        let talk = Talk::open(cluster, &front, 0).await;
        let store = cluster.store.as_ref().expect("a store");
        cluster.nodes[0].machine.part(&store.machine);
        until_store(&cluster.nodes[..1], false).await;
        until_store(&cluster.nodes[1..], true).await;
        let alone = cluster.nodes[0].base();
        is_well(&open(&alone).await.expect("it decides by itself")).await;
        talk.is_well().await;
        let by = cluster.nodes[0].scrape().await.sum("lockgate_store_decisions_total", &[("by", "alone")]);
        assert!(by >= 1.0, "{by} were decided alone");
        cluster.nodes[0].machine.rejoin(&store.machine);
        until_store(&cluster.nodes, true).await;
        talk.is_well().await;
    });
}

#[test]
fn a_node_without_its_store_refuses_where_it_is_told_to() {
    Cluster::run(
        few_seats().away("refuse").with("[rate]\nper_minute = 60000\nburst = 1000\n"),
        async |cluster| {
            until_store(&cluster.nodes, true).await;
            let front = Front::start(Way::Turns, cluster).await;
            let talk = Talk::open(cluster, &front, 0).await;
            let store = cluster.store.as_ref().expect("a store");
            cluster.nodes[0].machine.part(&store.machine);
            until_store(&cluster.nodes[..1], false).await;
            let refused = open(&cluster.nodes[0].base()).await.err().expect("nobody may decide");
            assert_eq!(refused.status(), 503);
            assert!(refused.headers().contains_key("retry-after"));
            // The others have theirs, and no session has ended.
            is_well(&open(&cluster.nodes[1].base()).await.expect("it has its store")).await;
            cluster.nodes[0].machine.rejoin(&store.machine);
            until_store(&cluster.nodes, true).await;
            talk.is_well().await;
            is_well(&open(&cluster.nodes[0].base()).await.expect("as before")).await;
        },
    );
}

/// Requests of one tenant at all nodes at once, until so many were taken; how many in how many seconds.
async fn taken_of_a_flood(talks: Vec<Talk>, enough: usize) -> (usize, f64) {
    let begun = Instant::now();
    let mut flood = JoinSet::new();
    let each = enough / talks.len();
    for talk in talks {
        flood.spawn(async move {
            let mut taken = 0;
            while taken < each {
                match talk.try_call("more").await {
                    Outcome::Own => taken += 1,
                    Outcome::Status(429) => {}
                    outcome => panic!("{outcome:?}"),
                }
            }
            taken
        });
    }
    let taken = flood.join_all().await.into_iter().sum();
    (taken, begun.elapsed().as_secs_f64())
}

/// Behind a front end that spreads requests, and where they are handed over and must not be counted twice.
#[test]
fn one_tenant_over_three_nodes_has_its_rate_and_not_three_times() {
    const PER_MINUTE: f64 = 1800.0;
    const BURST: f64 = 20.0;
    let rate = format!("[rate]\nper_minute = {PER_MINUTE}\nburst = {BURST}\nopens_per_minute = 0\n");
    Cluster::run(plan("forward").with_store(Guard::Tls).with(&rate), async |cluster| {
        until_store(&cluster.nodes, true).await;
        let front = Front::start(Way::Turns, cluster).await;
        let mut talks = Vec::new();
        for number in 0..6 {
            talks.push(Talk::open(cluster, &front, number).await);
        }
        let (taken, seconds) = taken_of_a_flood(talks, 180).await;
        let allowed = (BURST + PER_MINUTE / 60.0 * seconds) * 1.05;
        assert!(taken as f64 <= allowed, "{taken} were taken in {seconds} s, not {allowed}");
        // Each was counted once, where it came in.
        let charged = cluster.sum("lockgate_store_decisions_total", &[]).await;
        println!("{taken} in {seconds} s, of {allowed}; {charged} decisions");
    });
}
