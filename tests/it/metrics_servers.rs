//! What the operator's Prometheus is told of servers and their processes: failures, stalls, and what they use.

use reqwest::Method;
use serde_json::json;

use crate::events::{Endpoint, post_and_do_not_read};
use crate::gateway::{peer, send_signal};
use crate::metrics::owned;
use crate::scrape::{Scrape, Watched};
use crate::stateless::{enveloped, mirrored};

const NEWEST: &str = "2025-11-25";

#[tokio::test]
async fn servers_that_fail_are_told_apart_from_clients_that_leave() {
    let watched = Watched::start(&format!("[servers.bad]\nrun = \"{} --exit 3\"\n", peer()));
    let gateway = &watched.gateway;
    let mut gone = gateway.client().open("bad").await;
    while gone.message().await.is_some() {}
    let mut session = gateway.client().connect("peer").await;
    let pid = session.pid().await;
    send_signal(pid, "KILL");
    while session.message().await.is_some() {}
    drop(gateway.client().connect("other").await);
    gateway.until_active(0).await;
    let told = watched.scrape().await;
    assert_eq!(told.by("lockgate_failures_total", "server"), owned(&[("bad", 1.0), ("peer", 1.0)]));
    let reasons = told.by("lockgate_sessions_ended_total", "reason");
    assert_eq!(reasons["client_left"], 1.0);
    let servers: f64 = ["server_exited", "server_closed"].iter().filter_map(|why| reasons.get(*why)).sum();
    assert_eq!((servers, reasons.values().sum()), (2.0, 3.0), "{reasons:?}");
    let starts = owned(&[("bad", 1.0), ("other", 1.0), ("peer", 1.0)]);
    assert_eq!(told.by("lockgate_starts_total", "server"), starts);
    assert!(told.all("lockgate_sessions", &[]).is_empty());
}

#[tokio::test]
async fn who_does_not_read_stalls_and_what_waits_is_told_in_bytes() {
    let deaf =
        format!("[servers.deaf]\nrun = \"{0} --deaf\"\n[servers.silent]\nrun = \"{0} --silent\"\n", peer());
    let settings = format!("[timeouts]\nstalled_reader = \"1h\"\n[limits]\nqueue = \"64KiB\"\n{deaf}");
    let watched = Watched::start(&settings);
    let gateway = &watched.gateway;
    let stalls = |scrape: &Scrape, server: &str, by: &str| {
        scrape.sum("lockgate_stalls_total", &[("server", server), ("by", by)])
    };
    let queue = |scrape: &Scrape, server: &str, whom: &str| {
        scrape.sum("lockgate_queue_bytes", &[("server", server), ("for", whom)])
    };
    // A client that asks for 100 MB and reads none of it.
    let session = Endpoint::new(gateway, "peer").open(NEWEST).await;
    let params = json!({ "count": 100_000, "pad": "x".repeat(1000), "_meta": { "progressToken": 1 } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "steps", "params": params }).to_string();
    let unread = post_and_do_not_read(gateway, &session, &body).await;
    let told = watched
        .until("the client stalls", |told| {
            stalls(told, "peer", "client") >= 1.0 && queue(told, "peer", "client") >= 65536.0
        })
        .await;
    assert_eq!(stalls(&told, "peer", "server"), 0.0);
    // A server that reads nothing takes what a pipe holds.
    let deaf = gateway.client().open("deaf").await;
    let pad = "x".repeat(200_000);
    let body =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "pad": pad } }).to_string();
    assert_eq!(deaf.post_raw(body.clone()).send().await.unwrap().status(), 202);
    let told = watched.until("the server stalls", |told| stalls(told, "deaf", "server") == 1.0).await;
    assert!(queue(&told, "deaf", "server") > 0.0 && stalls(&told, "deaf", "client") == 0.0);
    assert_eq!(told.sum("lockgate_calls_open", &[("server", "deaf")]), 1.0);
    // What waits in the bridge until a server has shown its era waits, too.
    let body = enveloped(1, "echo", json!({ "pad": "x".repeat(5000) }));
    let endpoint = mirrored(gateway, "silent", &body);
    let asking = tokio::spawn(async move { endpoint.post(&body).await });
    watched.until("the call is held back", |told| queue(told, "silent", "server") > 5000.0).await;
    asking.abort();
    // Whatever waited does not any more when they end.
    drop((unread, deaf));
    assert_eq!(session.request(Method::DELETE).send().await.unwrap().status(), 200);
    watched
        .until("nothing waits", |told| {
            ["peer", "deaf"]
                .iter()
                .all(|name| queue(told, name, "client") + queue(told, name, "server") == 0.0)
        })
        .await;
}

#[tokio::test]
async fn what_children_use_appears_with_them_and_goes_with_them() {
    let watched = Watched::start("");
    let mut session = watched.gateway.client().connect("peer").await;
    session.call("orphan", json!({})).await;
    let of = [("server", "peer")];
    let told = watched.until("both are seen", |told| told.sum("lockgate_children", &of) == 2.0).await;
    let memory = told.sum("lockgate_children_memory_bytes", &of);
    assert!(memory > 1e6 && memory < 1e9, "{memory}");
    assert!(!told.all("lockgate_children_cpu_seconds_total", &of).is_empty());
    assert!(!told.all("lockgate_tenant_cpu_seconds_total", &[("tenant", "default")]).is_empty());
    if crate::traces::is_root() {
        assert_eq!(told.sum("lockgate_uids", &[("state", "in_use")]), 1.0);
        let left = ["free", "unclaimed"].map(|state| told.sum("lockgate_uids", &[("state", state)]));
        assert!(left.iter().sum::<f64>() > 9000.0, "all of 20000-29999, less what is set aside: {left:?}");
    }
    drop(session);
    watched.gateway.until_active(0).await;
    let told = watched.scrape().await;
    assert!(told.all("lockgate_children", &[]).is_empty(), "{}", told.text);
    assert!(told.all("lockgate_children_memory_bytes", &[]).is_empty());
    assert!(!told.all("lockgate_children_cpu_seconds_total", &of).is_empty(), "what was used was used");
}
