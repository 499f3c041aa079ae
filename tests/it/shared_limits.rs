//! Several gateways that share a store: what a tenant may have, it may have once, whichever node it asks.

use std::time::{Duration, Instant};

use reqwest::Response;

use crate::client::Client;
use crate::gateway::{Gateway, until_told};
use crate::nodes::{node, until_nodes};
use crate::scrape::Watched;
use crate::valkey::Valkey;

/// So many nodes, each of which knows of all.
async fn nodes(count: usize, store: &Valkey, settings: &str) -> Vec<Watched> {
    let names = ["a", "b", "c"].into_iter().take(count);
    let nodes: Vec<Watched> = names.map(|name| node(name, &store.settings(), settings)).collect();
    for node in &nodes {
        until_nodes(node, count as u64).await;
    }
    nodes
}

/// A session, which ends when that is dropped; else with which status there is none.
async fn open(gateway: &Gateway) -> Result<Response, u16> {
    let response = gateway.client().get("/peer/sse").send().await.unwrap();
    let status = response.status().as_u16();
    if status == 200 { Ok(response) } else { Err(status) }
}

/// As soon as there may be one.
async fn until_open(gateway: &Gateway) -> Response {
    // Longer than a node is waited for that is gone.
    for _ in 0..600 {
        match open(gateway).await {
            Ok(session) => return session,
            Err(status) => assert!([429, 503].contains(&status), "{status}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never came about: a session")
}

/// What the guard says to a request; behind it, this one is malformed.
async fn passes(client: &Client) -> bool {
    let status = client.post("/peer/mcp", "{").send().await.unwrap().status();
    assert!([400, 406, 429].contains(&status.as_u16()), "{status}");
    status.as_u16() != 429
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_its_rate_once_over_all_nodes() {
    const PER_MINUTE: u32 = 600;
    const BURST: u32 = 20;
    let store = Valkey::start(&[]);
    let nodes = nodes(3, &store, &format!("[rate]\nper_minute = {PER_MINUTE}\nburst = {BURST}\n")).await;
    let begun = Instant::now();
    let flood = async |node: &Watched| {
        let (client, mut passed) = (node.gateway.client(), 0);
        while begun.elapsed() < Duration::from_secs(4) {
            passed += u32::from(passes(&client).await);
        }
        passed
    };
    let (a, b, c) = tokio::join!(flood(&nodes[0]), flood(&nodes[1]), flood(&nodes[2]));
    let came_in = (begun.elapsed().as_secs_f64() * f64::from(PER_MINUTE) / 60.0).ceil() as u32;
    let most = BURST + came_in + PER_MINUTE / 20;
    assert!(a + b + c <= most, "{a} + {b} + {c} passed, {most} may");
    assert!(a + b + c >= came_in / 2, "{a} + {b} + {c} passed, though {came_in} came in");
    let scrape = nodes[0].scrape().await;
    let decided = |by: &str| scrape.sum("lockgate_store_decisions_total", &[("by", by)]);
    assert!(decided("held") > decided("store"), "a flood asks seldom");
}

#[tokio::test]
async fn each_node_tells_what_is_left_for_all_of_them() {
    let store = Valkey::start(&[]);
    let nodes = nodes(2, &store, "[rate]\nper_minute = 6\nburst = 4\n").await;
    for (node, left) in [(0, 3), (1, 2), (0, 1), (1, 0)] {
        let response = nodes[node].gateway.client().get("/peer/sse").send().await.unwrap();
        assert_eq!(response.headers()["ratelimit"], format!("\"requests\";r={left};t=0"));
    }
    let refused = nodes[0].gateway.client().get("/peer/sse").send().await.unwrap();
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
}

#[tokio::test]
async fn a_tenant_has_its_sessions_once_over_all_nodes() {
    let store = Valkey::start(&[]);
    let nodes = nodes(3, &store, "[limits]\nsessions_per_tenant = 4\n").await;
    let [a, b, c] = [0, 1, 2].map(|node: usize| &nodes[node].gateway);
    let opened = tokio::join!(open(a), open(b), open(c), open(a), open(b), open(c));
    let opened = [opened.0, opened.1, opened.2, opened.3, opened.4, opened.5];
    let refused = opened.iter().filter(|one| one.as_ref().is_err_and(|status| *status == 429)).count();
    let mut sessions: Vec<Response> = opened.into_iter().flatten().collect();
    assert_eq!((sessions.len(), refused), (4, 2));

    drop(sessions.pop());
    sessions.push(until_open(a).await);
    for node in [a, b, c] {
        assert_eq!(open(node).await.unwrap_err(), 429);
    }
}

#[tokio::test]
async fn what_a_killed_node_had_is_free_once_it_is_back_or_has_not_been_heard_of_for_ten_seconds() {
    let store = Valkey::start(&[]);
    let settings = "[limits]\nsessions_per_tenant = 2\n";
    let mut nodes = nodes(2, &store, settings).await;
    let (b, a) = (nodes.pop().unwrap(), nodes.pop().unwrap());
    let both = [open(&a.gateway).await.unwrap(), open(&a.gateway).await.unwrap()];
    assert_eq!(open(&b.gateway).await.unwrap_err(), 429);
    // Without a chance to tell anybody.
    drop((a, both));
    let a = node("a", &store.settings(), settings);
    until_nodes(&a, 2).await;
    drop([open(&b.gateway).await.unwrap(), open(&b.gateway).await.unwrap()]);

    let both = [until_open(&a.gateway).await, until_open(&a.gateway).await];
    assert_eq!(open(&b.gateway).await.unwrap_err(), 429);
    drop((a, both));
    until_open(&b.gateway).await;
}

#[tokio::test]
async fn a_store_that_has_lost_everything_learns_what_there_is() {
    let mut store = Valkey::start(&[]);
    let nodes = nodes(2, &store, "[limits]\nsessions_per_tenant = 2\n").await;
    let [a, b] = [0, 1].map(|node: usize| &nodes[node].gateway);
    let both = [open(a).await.unwrap(), open(a).await.unwrap()];
    store.kill();
    nodes[1].until("the loss is seen", |scrape| scrape.sum("lockgate_store_up", &[]) == 0.0).await;
    store.start_again();
    until_nodes(&nodes[0], 2).await;
    until_nodes(&nodes[1], 2).await;
    until_told("it counts for the other node", async || open(b).await.is_err()).await;
    drop(both);
    until_open(b).await;
}

#[tokio::test]
async fn while_the_store_is_away_each_node_has_the_limits_by_itself() {
    let mut store = Valkey::start(&[]);
    let limits =
        "[limits]\nsessions_per_tenant = 2\n[rate]\nper_minute = 6\nburst = 4\nopens_per_minute = 0\n";
    let nodes = nodes(2, &store, limits).await;
    let [a, b] = [0, 1].map(|node: usize| &nodes[node].gateway);
    let _one = [open(a).await.unwrap(), open(a).await.unwrap()];
    store.kill();
    let _other = [open(b).await.unwrap(), open(b).await.unwrap()];
    assert_eq!(open(b).await.unwrap_err(), 429, "sessions");
    let [a, b] = [a.client(), b.client()];
    assert!(passes(&b).await);
    assert!(!passes(&b).await, "rate");
    // What has passed before the loss counts.
    assert_eq!([passes(&a).await, passes(&a).await, passes(&a).await], [true, true, false]);
}

#[tokio::test]
async fn while_the_store_is_away_what_it_decides_is_refused_if_that_is_wanted() {
    let mut store = Valkey::start(&[]);
    let away = format!("{}away = \"refuse\"\n", store.settings());
    let rated = node("a", &away, "[rate]\nper_minute = 600\nburst = 9\n");
    let unrated = node("b", &away, "");
    until_nodes(&rated, 2).await;
    until_nodes(&unrated, 2).await;
    let mut live = unrated.gateway.client().connect("peer").await;
    store.kill();
    for gateway in [&rated.gateway, &unrated.gateway] {
        let refused = gateway.client().get("/peer/sse").send().await.unwrap();
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["retry-after"]),
            (503, &"5".parse().unwrap())
        );
        assert!(refused.text().await.unwrap().contains("store is out of reach"));
    }
    live.call("echo", serde_json::json!([1])).await;
    assert_eq!(unrated.gateway.descendants().len(), 1, "nothing was started");
    for node in [&rated, &unrated] {
        let scrape = node.scrape().await;
        assert_eq!(scrape.sum("lockgate_refusals_total", &[("reason", "store")]), 1.0, "{}", scrape.text);
        assert_eq!(scrape.sum("lockgate_store_decisions_total", &[("by", "refused")]), 1.0);
    }
    store.start_again();
    until_open(&unrated.gateway).await;
}
