//! What servers and clients of different eras do to each other, and to others, on purpose or by mistake.

use serde_json::{Value, json};

use crate::bridge::{again, call, old, roots, send};
use crate::events::{Endpoint, Events};
use crate::gateway::{Gateway, peer, until_told};
use crate::stateless::{enveloped, mirrored};

/// The most memory that the gateway has had, in MiB.
fn peak(gateway: &Gateway) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// A server of the handshake era that is known as one, started with these arguments.
fn known(arguments: &str) -> String {
    format!("[servers.old]\nrun = \"{} --objects {arguments}\"\nera = \"handshake\"\n", peer())
}

fn streamed(gateway: &Gateway, body: &Value) -> Endpoint {
    mirrored(gateway, "old", body).header("accept", "text/event-stream")
}

/// How many calls of this tool the server has seen.
async fn has_seen(gateway: &Gateway, tool: &str) -> usize {
    let heard = send(gateway, "old", &enveloped(9999, "heard", json!({}))).await["result"].to_string();
    heard.matches(&format!("\\\"name\\\":\\\"{tool}\\\"")).count()
}

#[tokio::test]
async fn answers_to_a_server_that_reads_nothing_take_no_room() {
    let gateway = Gateway::start(&known(""));
    let pings = json!({ "count": 200_000 });
    send(&gateway, "old", &enveloped(1, "tools/call", json!({ "name": "pid" }))).await;
    let session = Endpoint::new(&gateway, "stateless").open("2025-11-25").await;
    let before = peak(&gateway);
    send(&gateway, "old", &enveloped(2, "tools/call", json!({ "name": "pings", "arguments": pings }))).await;
    session.call_slowly(2, "pings", pings).await;
    let after = peak(&gateway);
    assert!(after < before + 40, "{before} MiB became {after} MiB");
}

#[tokio::test]
async fn what_many_are_told_is_small() {
    let gateway = Gateway::start(&known("--name 8000000"));
    let mut open = Vec::new();
    for id in 0..50 {
        let wanted = json!({ "notifications": { "toolsListChanged": true } });
        let listen = enveloped(id, "subscriptions/listen", wanted);
        let mut events = Events::of(mirrored(&gateway, "old", &listen).post(&listen).await);
        events.message().await.unwrap();
        let never = enveloped(100 + id, "tools/call", json!({ "name": "never" }));
        open.push((events, Events::of(streamed(&gateway, &never).post(&never).await)));
    }
    until_told("all calls are open", async || has_seen(&gateway, "never").await == 50).await;
    let before = peak(&gateway);
    let change =
        enveloped(1000, "tools/call", json!({ "name": "changed", "arguments": { "bytes": 8 << 20 } }));
    send(&gateway, "old", &change).await;
    let answers: Vec<_> =
        (0..2000).map(|id| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)).collect();
    let say =
        enveloped(2000, "tools/call", json!({ "name": "say", "arguments": { "text": answers.join("\n") } }));
    mirrored(&gateway, "old", &say).post(&say).await;
    for (listening, calling) in &mut open {
        assert_eq!(listening.message().await.unwrap()["method"], "notifications/tools/list_changed");
        assert_eq!(calling.message().await.unwrap()["result"]["resultType"], "complete");
    }
    let after = peak(&gateway);
    assert!(after < before + 80, "{before} MiB became {after} MiB");
}

#[tokio::test]
async fn a_server_that_begins_late_and_ends_over_the_question_is_started_again() {
    let gateway = Gateway::start(&format!("[servers.late]\nrun = \"{} --fatal --late 5000\"", peer()));
    let body = enveloped(1, "tools/list", json!({}));
    let response = mirrored(&gateway, "late", &body).header("accept", "text/event-stream").post(&body).await;
    let answer = Events::of(response).message().await.unwrap();
    assert!(answer["result"]["tools"].is_array(), "{answer}");
}

/// What the server asks in a call whose client has left is put to nobody else.
#[tokio::test]
async fn nobody_is_asked_what_belongs_to_somebody_who_left() {
    let gateway = Gateway::start(&known(""));
    let dawdle = call(2, "dawdle", json!({ "id": "q", "pause_ms": 1000 }));
    drop(Events::of(streamed(&gateway, &dawdle).post(&dawdle).await));
    // It asks a second from now.
    for id in 3..6 {
        let answer = send(&gateway, "old", &call(id, "echo", json!({ "x": id }))).await;
        assert_eq!(answer["result"]["x"], id, "{answer}");
    }
}

#[tokio::test]
async fn who_is_back_does_not_wait_for_what_the_server_cannot_tell_before() {
    let gateway = Gateway::start(&old());
    let ask = call(1, "block", json!({ "id": "q" }));
    let asked = send(&gateway, "old", &ask).await;
    let answer = send(&gateway, "old", &again(ask, &asked, &roots())).await;
    assert_eq!(answer["result"]["roots"], roots()["roots"], "{answer}");
}

#[tokio::test]
async fn who_waits_for_a_turn_opens_nothing() {
    let rate = "[rate]\nper_minute = 0\nopens_per_minute = 3\n";
    let gateway = Gateway::start(&format!("{rate}{}sessions = 1\n", known("")));
    let ask = call(1, "ask", json!({ "id": "q" }));
    let asked = send(&gateway, "old", &ask).await;
    let waiting: Vec<_> = (2..12)
        .map(|id| {
            let body = call(id, "echo", json!({ "x": id }));
            let endpoint = mirrored(&gateway, "old", &body);
            tokio::spawn(async move { endpoint.post(&body).await.json::<Value>().await.unwrap() })
        })
        .collect();
    send(&gateway, "old", &again(ask, &asked, &roots())).await;
    for answer in waiting {
        assert!(answer.await.unwrap()["result"].is_object());
    }
    assert_eq!(Endpoint::new(&gateway, "peer").initialize("2025-11-25").await.status(), 200);
    assert!(gateway.audit("tenant_limited").is_empty() && gateway.audit("session_refused").is_empty());
}

/// Neither the client of a call that is parked nor anybody who needs no turn waits for what waits for one.
#[tokio::test]
async fn a_large_call_that_waits_keeps_nobody_out() {
    let gateway = Gateway::start(&format!("{}sessions = 1\n", known("")));
    let ask = call(1, "ask", json!({ "id": "q" }));
    let asked = send(&gateway, "old", &ask).await;
    let large = call(2, "echo", json!({ "x": "x".repeat(2 << 20) }));
    let endpoint = mirrored(&gateway, "old", &large);
    let waits = tokio::spawn(async move { endpoint.post(&large).await.json::<Value>().await.unwrap() });
    let mut lists = enveloped(3, "tools/list", json!({}));
    lists["params"]["_meta"] = call(3, "x", json!({}))["params"]["_meta"].clone();
    assert!(send(&gateway, "old", &lists).await["result"]["tools"].is_array());
    assert!(send(&gateway, "old", &again(ask, &asked, &roots())).await["result"]["roots"].is_array());
    assert_eq!(waits.await.unwrap()["result"]["x"].as_str().unwrap().len(), 2 << 20);
}
