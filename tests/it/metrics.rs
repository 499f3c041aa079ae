//! What the operator's Prometheus is told: that it is so, and that it never falls.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::client::Session;
use crate::events::Endpoint;
use crate::gateway::{Gateway, peer};
use crate::scrape::{Scrape, Watched};
use crate::stateless::{enveloped, mirrored};
use crate::tenants::{client, tenant};

const NEWEST: &str = "2025-11-25";

/// What has come to series between two scrapes.
fn rise(before: &Scrape, after: &Scrape, name: &str, labels: &[(&str, &str)]) -> f64 {
    after.sum(name, labels) - before.sum(name, labels)
}

/// Asserts that so many calls, of so many bytes each way, were counted of a server over a transport and of a tenant,
/// and of nobody else.
fn assert_passed(before: &Scrape, after: &Scrape, whose: [&str; 3], calls: usize, bytes: [usize; 2]) {
    let [server, transport, owner] = whose;
    let of = [("server", server), ("transport", transport)];
    let with = |label| [of[0], of[1], label];
    let counted = |name: &str, label| rise(before, after, name, &with(label));
    let calls = calls as f64;
    assert_eq!(rise(before, after, "lockgate_calls_total", &of), calls);
    assert_eq!(rise(before, after, "lockgate_calls_total", &[]), calls);
    assert_eq!(rise(before, after, "lockgate_call_server_seconds_count", &of), calls);
    for way in ["in", "out"] {
        assert_eq!(counted("lockgate_call_gateway_seconds_count", ("way", way)), calls, "{way}");
    }
    for (from, bytes) in ["client", "server"].into_iter().zip(bytes) {
        assert_eq!(counted("lockgate_messages_total", ("from", from)), calls, "{from}");
        assert_eq!(counted("lockgate_message_bytes_total", ("from", from)), bytes as f64, "{from}");
        let theirs = [("tenant", owner), ("from", from)];
        assert_eq!(rise(before, after, "lockgate_tenant_message_bytes_total", &theirs), bytes as f64);
    }
    assert_eq!(rise(before, after, "lockgate_tenant_calls_total", &[("tenant", owner)]), calls);
    assert_eq!(rise(before, after, "lockgate_tenant_calls_total", &[]), calls);
    assert_eq!(after.sum("lockgate_calls_open", &of), 0.0);
}

#[tokio::test]
async fn what_passes_is_counted_to_the_byte_on_every_transport() {
    let watched = Watched::start(&[tenant("a", &["a"], ""), tenant("b", &["b"], "")].concat());
    let gateway = &watched.gateway;

    let mut session = client(gateway, "a").connect("peer").await;
    let start = watched.scrape().await;
    let body = json!({ "jsonrpc": "2.0", "id": "x", "method": "echo", "params": "ä" }).to_string();
    let mut back = 0;
    for _ in 0..3 {
        assert_eq!(session.post_raw(body.clone()).send().await.unwrap().status(), 202);
        back += session.event().await.unwrap().len();
    }
    let after = watched.scrape().await;
    assert_passed(&start, &after, ["peer", "sse", "a"], 3, [3 * body.len(), back]);

    let streamable = Endpoint::new(gateway, "peer").of_tenant("b").open(NEWEST).await;
    let start = watched.scrape().await;
    let response = streamable.post_raw(body.clone()).await;
    let back = response.text().await.unwrap().len();
    let after = watched.scrape().await;
    assert_passed(&start, &after, ["peer", "streamable", "b"], 1, [body.len(), back]);

    let body = enveloped(1, "echo", json!({ "pad": "x".repeat(20_000) }));
    let shared = mirrored(gateway, "stateless", &body).of_tenant("b");
    shared.post(&body).await.text().await.unwrap();
    let start = watched.scrape().await;
    let mut back = 0;
    for _ in 0..2 {
        back += shared.post(&body).await.text().await.unwrap().len();
    }
    let after = watched.scrape().await;
    let sent = 2 * body.to_string().len();
    assert_passed(&start, &after, ["stateless", "stateless", "b"], 2, [sent, back]);

    let live = |transport, server, owner, era| {
        let stage = ("stage", "live");
        [("transport", transport), ("server", server), ("tenant", owner), ("era", era), stage]
    };
    assert_eq!(after.sum("lockgate_sessions", &live("sse", "peer", "a", "handshake")), 1.0);
    assert_eq!(after.sum("lockgate_sessions", &live("streamable", "peer", "b", "handshake")), 1.0);
    assert_eq!(after.sum("lockgate_sessions", &live("stateless", "stateless", "b", "stateless")), 1.0);
    assert_eq!(after.sum("lockgate_sessions", &[]), 3.0);
    assert_eq!(after.by("lockgate_tenant_sessions", "tenant"), owned(&[("a", 1.0), ("b", 2.0)]));
    assert_eq!(after.by("lockgate_starts_total", "server"), owned(&[("peer", 2.0), ("stateless", 1.0)]));
    assert_eq!(after.sum("lockgate_start_ready_seconds_count", &[]), 3.0);
    assert_eq!(after.sum("lockgate_start_answer_seconds_count", &[]), 3.0);

    // When they end, nothing of it is lost.
    drop(session);
    assert_eq!(streamable.request(Method::DELETE).send().await.unwrap().status(), 200);
    gateway.until_active(1).await;
    let ended = watched.scrape().await;
    for transport in ["sse", "streamable"] {
        let labels = [("transport", transport), ("reason", "client_left")];
        assert_eq!(ended.sum("lockgate_sessions_ended_total", &labels), 1.0, "{transport}");
    }
    assert_eq!(ended.sum("lockgate_sessions_ended_total", &[]), 2.0);
    let quiet = |name: &str| !name.contains("_ended_") && !name.contains("cpu_seconds");
    let kept = |scrape: &Scrape| {
        scrape.counters().into_iter().filter(|(name, _)| quiet(name)).collect::<BTreeMap<_, _>>()
    };
    let now = kept(&ended);
    for (name, value) in kept(&after).into_iter().filter(|(name, _)| !name.contains("limiter")) {
        assert_eq!(now[&name], value, "{name}");
    }
}

pub(crate) fn owned(pairs: &[(&str, f64)]) -> BTreeMap<String, f64> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

/// Is refused for each reason that costs little. The sessions that fill the gateway.
async fn be_refused(gateway: &Gateway) -> [Session; 3] {
    let status = async |secret: &str, path: &str, header: (&str, &str)| {
        client(gateway, secret).header(header.0, header.1).get(path).send().await.unwrap().status().as_u16()
    };
    let nothing = ("x-nothing", "");
    let (first, second) = (client(gateway, "a").open("peer").await, client(gateway, "b").open("one").await);
    assert_eq!(status("a", "/peer/sse", nothing).await, 429);
    assert_eq!(status("b", "/one/sse", nothing).await, 503);
    let third = client(gateway, "b").open("peer").await;
    assert_eq!(status("b", "/peer/sse", nothing).await, 503);
    assert_eq!(status("b", "/nobody/sse", nothing).await, 403);
    assert_eq!(status("b", "/peer/sse", ("origin", "https://evil.example")).await, 403);
    assert_eq!(status("b", "/peer/sse", ("env_ld_preload", "x")).await, 400);
    assert_eq!(status("b", "/peer/sse", ("accept", "image/png")).await, 406);
    assert_eq!(status("b", "/peer/message", nothing).await, 405);
    assert_eq!(status("c", "/nobody/sse", nothing).await, 403);
    assert_eq!(status("c", "/nobody/sse", nothing).await, 429);
    for expected in [401, 401, 429] {
        assert_eq!(status("of-nobody", "/peer/sse", nothing).await, expected);
    }
    let post = async |path: &str, body: &str| {
        client(gateway, "b").post(path, body).send().await.unwrap().status().as_u16()
    };
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string();
    assert_eq!(post("/peer/message?sessionId=none", &ping).await, 404);
    assert_eq!(post(&second.endpoint, "{").await, 400);
    assert_eq!(post(&second.endpoint, &"x".repeat(100_000)).await, 413);
    [first, second, third]
}

#[tokio::test]
async fn each_refusal_is_counted_for_its_reason_and_each_decision_of_a_rate() {
    let limits = "[limits]\nsessions = 3\nmessage = \"64KiB\"\n";
    let rates = "[rate]\nper_minute = 0\nopens_per_minute = 0\nfailures_per_minute = 2\n";
    let tenants = [
        tenant("a", &["a"], "sessions = 1"),
        tenant("b", &["b"], ""),
        tenant("c", &["c"], "rate = { per_minute = 1, burst = 1 }"),
    ];
    let one = format!("[servers.one]\nrun = \"{} --name 1\"\nsessions = 1\n", peer());
    let watched = Watched::start(&format!("{rates}{limits}{one}{}", tenants.concat()));
    let gateway = &watched.gateway;
    let _open = be_refused(gateway).await;
    let told = watched.scrape().await;
    let expected = [
        ("headers", 1.0),
        ("host_full", 1.0),
        ("message", 1.0),
        ("method", 1.0),
        ("no_session", 1.0),
        ("origin", 1.0),
        ("rate", 1.0),
        ("secret", 2.0),
        ("server", 2.0),
        ("server_full", 1.0),
        ("tenant_full", 1.0),
        ("too_large", 1.0),
        ("variable", 1.0),
        ("wrong_secrets", 1.0),
    ];
    assert_eq!(told.by("lockgate_refusals_total", "reason"), owned(&expected));
    let decided = |tenant: &str, limiter: &str| {
        ["allowed", "limited"].map(|decision| {
            let labels = [("tenant", tenant), ("limiter", limiter), ("decision", decision)];
            told.sum("lockgate_limiter_decisions_total", &labels)
        })
    };
    assert_eq!(decided("c", "requests"), [1.0, 1.0]);
    assert_eq!(decided("", "wrong_secrets"), [2.0, 1.0]);
    assert_eq!(told.sum("lockgate_limiter_addresses", &[]), 1.0);
    assert_eq!(told.sum("lockgate_sessions_limit", &[]), 3.0);
    assert_eq!(told.sum("lockgate_server_sessions_limit", &[("server", "one")]), 1.0);
    assert_eq!(told.sum("lockgate_tenant_sessions_limit", &[("tenant", "a")]), 1.0);
    // What was refused has opened nothing and is no call.
    assert_eq!(told.sum("lockgate_sessions_opened_total", &[]), 3.0);
    assert_eq!(told.sum("lockgate_calls_total", &[]), 0.0);
}

/// Opens a session, calls once, and ends it.
async fn come_and_go(watched: &Watched, number: usize) {
    if number.is_multiple_of(2) {
        let mut session = watched.gateway.client().connect("peer").await;
        session.call("echo", json!(number)).await;
    } else {
        let session = Endpoint::new(&watched.gateway, "peer").open(NEWEST).await;
        session.call(1, "echo", json!(number)).await;
        session.request(Method::DELETE).send().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_been_counted_never_falls_whoever_ends_meanwhile() {
    const SESSIONS: usize = 80;
    let watched = std::sync::Arc::new(Watched::start("[timeouts]\neof = \"10ms\"\n"));
    let done = std::sync::Arc::new(AtomicBool::new(false));
    let (seen, scraped) = (watched.clone(), done.clone());
    let scraping = tokio::spawn(async move {
        let (mut before, mut start, mut scrapes) = (BTreeMap::new(), None, 0);
        while !scraped.load(Ordering::Relaxed) {
            let scrape = seen.scrape().await;
            let now = scrape.counters();
            for (name, value) in before {
                assert!(now.get(&name).is_some_and(|now| *now >= value), "{name} fell from {value}");
            }
            let began = scrape.sum("process_start_time_seconds", &[]);
            assert_eq!(*start.get_or_insert(began), began, "a start that moves looks like another one");
            (before, scrapes) = (now, scrapes + 1);
        }
        scrapes
    });
    let mut coming = JoinSet::new();
    for worker in 0..8 {
        let watched = watched.clone();
        coming.spawn(async move {
            for number in 0..SESSIONS / 8 {
                come_and_go(&watched, worker + number).await;
            }
        });
    }
    coming.join_all().await;
    watched.gateway.until_active(0).await;
    done.store(true, Ordering::Relaxed);
    assert!(scraping.await.unwrap() > 5);
    let told = watched.scrape().await;
    let sessions = SESSIONS as f64;
    assert_eq!(told.sum("lockgate_sessions_opened_total", &[]), sessions);
    assert_eq!(told.sum("lockgate_sessions_ended_total", &[]), sessions);
    assert_eq!(told.sum("lockgate_starts_total", &[]), sessions);
    // `initialize` and `echo`.
    for name in ["lockgate_calls_total", "lockgate_call_server_seconds_count", "lockgate_tenant_calls_total"]
    {
        assert_eq!(told.sum(name, &[]), 2.0 * sessions, "{name}");
    }
    for way in ["in", "out"] {
        let times = told.sum("lockgate_call_gateway_seconds_count", &[("way", way)]);
        assert_eq!(times, 2.0 * sessions, "{way}");
    }
    assert_eq!(told.sum("lockgate_queue_bytes", &[]) + told.sum("lockgate_calls_open", &[]), 0.0);
}

#[tokio::test]
async fn a_message_that_is_not_taken_is_not_counted_and_each_call_of_a_batch_is() {
    let watched = Watched::start("");
    let session = Endpoint::new(&watched.gateway, "peer").open("2025-03-26").await;
    let before = watched.scrape().await;
    let again = json!({ "jsonrpc": "2.0", "id": 9, "method": "initialize", "params": {} });
    assert_ne!(session.post(&again).await.status(), 200, "it is initialized already");
    let call = |id: u64| json!({ "jsonrpc": "2.0", "id": id, "method": "echo", "params": {} });
    let response = session.post(&json!([call(1), call(2), call(3)])).await;
    assert_eq!(response.status(), 200);
    response.text().await.unwrap();
    let after = watched.scrape().await;
    for (name, labels) in [
        ("lockgate_calls_total", &[][..]),
        ("lockgate_messages_total", &[("from", "client")]),
        ("lockgate_call_server_seconds_count", &[]),
        ("lockgate_call_gateway_seconds_count", &[("way", "in")]),
    ] {
        assert_eq!(rise(&before, &after, name, labels), 3.0, "{name}");
    }
}

#[tokio::test]
async fn tenants_that_a_reload_removes_keep_what_they_have_counted() {
    let both = [tenant("a", &["a"], ""), tenant("b", &["b"], "")].concat();
    let admin = "\n[admin]\naddress = \"127.0.0.1:0\"\n";
    let watched = Watched::start(&both);
    client(&watched.gateway, "a").connect("peer").await.call("echo", json!({})).await;
    watched.gateway.until_active(0).await;
    watched.gateway.reload(&format!("{}{admin}", tenant("b", &["b"], ""))).await;
    let told = watched.scrape().await;
    let of = [("tenant", "a")];
    assert_eq!(told.sum("lockgate_tenant_calls_total", &of), 2.0);
    assert_eq!(told.sum("lockgate_tenant_sessions_opened_total", &of), 1.0);
    assert!(told.all("lockgate_tenant_sessions_limit", &of).is_empty());
    assert_eq!(told.all("lockgate_tenant_calls_total", &[("tenant", "b")]).len(), 1);
}
