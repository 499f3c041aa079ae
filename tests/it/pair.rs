//! Two nodes of one cluster, without a store.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::events::{Endpoint, Events};
use crate::gateway::until;
use crate::scrape::Watched;
use crate::stateless::{enveloped, mirrored};
use crate::tenants::tenant;

const SECRET: &str = "test-secret-of-the-cluster-0123456789";
const NEWEST: &str = "2025-11-25";
/// More than there may be clients, and than two threads let in of those who do not say who they are.
const CROWD: usize = 700;

/// Where its nodes listen to each other.
struct Pair([SocketAddr; 2]);

impl Pair {
    /// At addresses of this machine that nothing else uses.
    fn new() -> Self {
        static PAIRS: AtomicU8 = AtomicU8::new(1);
        let [.., high, low] = std::process::id().to_be_bytes();
        let pair = PAIRS.fetch_add(1, Relaxed);
        Self([8002, 8003].map(|port| SocketAddr::from(([127, high | 1, low, pair], port))))
    }

    /// One of them: `a` or `b`.
    fn start(&self, name: &str, reach: &str, secret: &str, more: &str) -> Watched {
        let [a, b] = self.0;
        let own = if name == "a" { a } else { b };
        let settings = format!(
            "{more}\n[cluster]\nreach = {reach:?}\nnode = {name:?}\nlisten = \"{own}\"\nnodes = [\"{a}\", \"{b}\"]\n"
        );
        Watched::start_with(&settings, &[("LOCKGATE_CLUSTER_SECRET", secret)])
    }

    /// Both, once they know each other.
    async fn together(reach: &str, more: &str) -> (Self, Watched, Watched) {
        let pair = Self::new();
        let (a, b) = (pair.start("a", reach, SECRET, more), pair.start("b", reach, SECRET, more));
        for node in [&a, &b] {
            node.until("the other is known", |scrape| scrape.sum("lockgate_cluster_nodes", &[]) == 2.0).await;
        }
        (pair, a, b)
    }
}

/// The same session, asked for at another node.
fn at(node: &Watched, session: &Endpoint) -> Endpoint {
    let endpoint = Endpoint::new(&node.gateway, "peer");
    session.headers.iter().fold(endpoint, |endpoint, (name, value)| endpoint.header(name, value))
}

fn call(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })
}

async fn result(response: Response) -> Value {
    assert_eq!(response.status(), 200);
    response.json::<Value>().await.unwrap()["result"].take()
}

#[tokio::test]
async fn who_has_another_secret_is_told_of_in_the_log_once() {
    let pair = Pair::new();
    let (a, b) = (
        pair.start("a", "forward", SECRET, ""),
        pair.start("b", "forward", "another-secret-0123456789abc", ""),
    );
    let complaints =
        |node: &Watched| node.gateway.log().matches("is LOCKGATE_CLUSTER_SECRET the same at each?").count();
    for node in [&a, &b] {
        until("the warning", || complaints(node) == 1).await;
    }
    // Each time it is asked for a node that it does not know, it asks again who is there.
    let unknown = Endpoint::new(&a.gateway, "peer").in_session(&format!("b.{}", "A".repeat(64)));
    for _ in 0..3 {
        assert_eq!(unknown.post(&call("echo", json!({}))).await.status(), 404);
    }
    assert_eq!(complaints(&a), 1);
}

/// Such as the processes of sessions.
#[tokio::test]
async fn strangers_neither_keep_nodes_out_nor_take_the_place_of_clients() {
    let (pair, a, b) = Pair::together("forward", "[limits]\nconnections = 200\n").await;
    let session = Endpoint::new(&a.gateway, "peer").open(NEWEST).await;
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        crowd.push(TcpStream::connect(pair.0[0]).await.unwrap());
    }
    let echo = call("echo", json!([1]));
    assert_eq!(result(session.post(&echo).await).await, json!([1]), "by a client of its own");
    assert_eq!(result(at(&b, &session).post(&echo).await).await, json!([1]), "by the other node");
    assert_eq!(a.scrape().await.sum("lockgate_connections_refused_total", &[]), 0.0);
}

#[tokio::test]
async fn who_is_no_node_is_not_answered_at_the_listener_of_nodes() {
    let (pair, a, _b) = Pair::together("forward", "").await;
    let session = Endpoint::new(&a.gateway, "peer").open(NEWEST).await;
    let mut there = Endpoint::at(format!("http://{}/peer/mcp", pair.0[0]));
    there.headers = session.headers.clone();
    let refused = there.header("lockgate-handover", "b.1.x.-").post(&call("echo", json!([1]))).await;
    assert_eq!(refused.status(), StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn a_node_that_ends_waits_for_what_another_answers_by_way_of_it() {
    let (_pair, a, mut b) = Pair::together("forward", "[timeouts]\ndrain = \"16s\"\n").await;
    let session = Endpoint::new(&a.gateway, "peer").open(NEWEST).await;
    let by_b = at(&b, &session);
    let waiting = tokio::spawn(async move { by_b.post(&call("never", json!({}))).await });
    b.until("it is passed on", |scrape| scrape.sum("lockgate_handovers_open", &[]) == 1.0).await;
    b.gateway.signal("TERM");
    // Which it says only if there is something to wait for.
    until("three quarters are over", || b.gateway.log().contains("sessions take no more requests")).await;
    session.post(&json!({ "jsonrpc": "2.0", "id": 8, "method": "later", "params": { "id": 7 } })).await;
    // After so long it is a stream.
    assert_eq!(Events::of(waiting.await.unwrap()).message().await.unwrap()["result"], "late");
    assert_eq!(b.gateway.wait().code(), Some(0));
}

/// The one that ends has processes for nothing new; which calls are its to answer is decided by hashing.
#[tokio::test]
async fn what_a_node_does_not_take_any_more_that_was_to_answer_is_answered_here() {
    let (_pair, a, b) = Pair::together("forward", "[timeouts]\ndrain = \"1h\"\n").await;
    let _keeps_it = a.gateway.client().connect("peer").await;
    a.gateway.signal("TERM");
    until("draining", || a.gateway.log().contains("draining")).await;
    for number in 0..12 {
        let body = enveloped(number, "echo", json!({ "own": number }));
        let endpoint = mirrored(&b.gateway, "stateless", &body).header("x-env-number", &number.to_string());
        assert_eq!(result(endpoint.post(&body).await).await["own"], number);
    }
}

/// Whoever is on this machine is not Fly's proxy, and may be a session.
#[tokio::test]
async fn what_flys_proxy_says_is_believed_of_nobody_else() {
    let (_pair, a, b) = Pair::together("fly", "").await;
    let session = Endpoint::new(&a.gateway, "peer").open(NEWEST).await;
    let echo = call("echo", json!([1]));
    let answer = at(&b, &session).post(&echo).await;
    assert!(!answer.headers().contains_key("fly-replay"));
    assert_eq!(result(answer).await, json!([1]), "passed on");
    let lost = at(&b, &session).header("fly-replay-failed", "instance=a;reason=timeout");
    assert_eq!(result(lost.post(&echo).await).await, json!([1]));
}

#[tokio::test]
async fn an_operator_is_told_that_a_secret_is_revoked_at_one_node_alone() {
    let (_pair, a, _b) = Pair::together("forward", &tenant("t", &["old"], "")).await;
    let answer = crate::nodes::revoke(&a, "old").await;
    assert_eq!(answer["told_others"], Value::Null);
    assert!(answer["detail"].as_str().unwrap().contains("revoke it at each"), "{answer}");
}
