//! Which era a server speaks, and what clients of the other are told (protocol.md section 4).

use serde_json::{Value, json};

use crate::events::{Endpoint, fault};
use crate::gateway::{Gateway, peer, until};
use crate::stateless::{enveloped, mirrored, try_call};

const HANDSHAKE: [&str; 5] = ["2024-10-07", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

async fn discover(gateway: &Gateway, server: &str) -> (u16, i64, Value) {
    let body = enveloped("probe", "server/discover", json!({}));
    fault(mirrored(gateway, server, &body).post(&body).await).await
}

/// A server of the handshake era: clients of the other fall back on this answer, and no process stays.
async fn is_refused(gateway: &Gateway, server: &str) {
    let (status, code, answer) = discover(gateway, server).await;
    assert_eq!((status, code, &answer["id"]), (400, -32022, &json!("probe")));
    assert_eq!(answer["error"]["data"]["supported"], json!(HANDSHAKE));
    assert!(answer["error"]["message"].as_str().unwrap().contains("`initialize`"), "{answer}");
}

/// How often a process was started, once all have ended: as many as the log says of both.
async fn opened(gateway: &Gateway) -> usize {
    let count = |what: &str| gateway.log().matches(what).count();
    until("the log is whole", || {
        count("session_ended") > 0 && count("session_opened") == count("session_ended")
    })
    .await;
    count("session_opened")
}

#[tokio::test]
async fn a_server_of_the_handshake_era_is_found_out_once() {
    let gateway = Gateway::start("");
    for server in ["peer", "fatal"] {
        is_refused(&gateway, server).await;
        gateway.until_active(0).await;
        let started = opened(&gateway).await;
        is_refused(&gateway, server).await;
        let body = enveloped(1, "tools/list", json!({}));
        assert_eq!(fault(mirrored(&gateway, server, &body).post(&body).await).await.1, -32022);
        assert_eq!(opened(&gateway).await, started, "it was asked again");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_speaks_the_handshake_era() {
    let gateway = Gateway::start(&format!("[servers.silent]\nrun = \"{} --silent\"", peer()));
    is_refused(&gateway, "silent").await;
    gateway.until_active(0).await;
}

#[tokio::test]
async fn a_server_of_both_eras_serves_both_with_processes_of_their_own() {
    let gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "dual").open("2025-11-25").await;
    let one = session.call(1, "pid", json!({})).await["result"].clone();
    let two = try_call(&gateway, "dual", 1, "pid", json!({})).await["result"].clone();
    assert!(one.is_u64() && two.is_u64() && one != two);
    // The question was put to the process that was going to be shared, and to no other.
    let heard = session.call(2, "heard", json!({})).await["result"].to_string();
    assert!(!heard.contains("server/discover"), "{heard}");
    let heard = try_call(&gateway, "dual", 2, "heard", json!({})).await["result"].to_string();
    assert_eq!(heard.matches("lockgate-discover").count(), 1);
    assert_eq!(gateway.descendants().len(), 2);
}

#[tokio::test]
async fn a_handshake_client_is_never_probed_at() {
    let gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "fatal").open("2025-11-25").await;
    let sse = gateway.client().connect("fatal").await;
    is_refused(&gateway, "fatal").await;
    session.call(1, "pid", json!({})).await;
    drop(sse);
}

#[tokio::test]
async fn a_server_of_the_stateless_era_tells_handshake_clients_so() {
    let gateway = Gateway::start("");
    let response = Endpoint::new(&gateway, "stateless").initialize("2025-11-25").await;
    assert!(!response.headers().contains_key("mcp-session-id"));
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["error"]["code"], -32022);
    assert_eq!(answer["error"]["data"]["supported"], json!(["2026-07-28"]));
    gateway.until_active(0).await;
}

#[tokio::test]
async fn what_the_settings_say_needs_no_process_to_be_known() {
    let settings = format!(
        "[servers.old]\nrun = \"{0} --old\"\nera = \"handshake\"\n[servers.new]\nrun = \"{0} --new --stateless\"\nera = \"stateless\"",
        peer()
    );
    let gateway = Gateway::start(&settings);
    is_refused(&gateway, "old").await;
    let (status, code, answer) = fault(Endpoint::new(&gateway, "new").initialize("2025-11-25").await).await;
    assert_eq!((status, code), (400, -32022));
    assert_eq!(answer["error"]["data"]["supported"], json!(["2026-07-28"]));
    let sse = gateway.client().get("/new/sse").send().await.unwrap();
    assert_eq!(fault(sse).await.1, -32022);
    assert!(!gateway.log().contains("session_opened"));
    let heard = try_call(&gateway, "new", 1, "heard", json!({})).await["result"].to_string();
    assert!(!heard.contains("server/discover"), "{heard}");
}

#[tokio::test]
async fn a_server_that_cannot_be_started_is_told_in_band() {
    let gateway =
        Gateway::start(&format!("[servers.gone]\nrun = \"{} --exit 7\"\nera = \"stateless\"", peer()));
    let answer = try_call(&gateway, "gone", 1, "tools/list", json!({})).await;
    assert_eq!(answer["error"]["code"], -32603);
    assert!(answer["error"]["message"].as_str().unwrap().contains("refusing to run"), "{answer}");
}

#[tokio::test]
async fn a_server_that_dies_at_once_is_told_as_that_and_not_started_again_and_again() {
    let run = format!("run = \"{} --exit", peer());
    let gateway = Gateway::start(&format!(
        "[servers.known]\n{run} 7\"\nera = \"stateless\"\n[servers.unknown]\n{run} 8\""
    ));
    let call = enveloped(1, "tools/call", json!({ "name": "echo", "arguments": {} }));
    let response = mirrored(&gateway, "known", &call).post(&call).await;
    assert_eq!(response.status(), 200);
    let answer: Value = response.json().await.unwrap();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(1), &json!(-32603)));
    assert!(answer["error"]["message"].as_str().unwrap().contains("status 7"), "{answer}");
    gateway.until_active(0).await;
    assert_eq!(opened(&gateway).await, 1);
    // It may be of the other era and dislike the question, or be ill: both are said.
    let (status, code, answer) = fault(mirrored(&gateway, "unknown", &call).post(&call).await).await;
    assert_eq!((status, code), (400, -32022));
    let text = answer["error"]["message"].as_str().unwrap();
    assert!(
        text.contains("status 8") && text.contains("refusing to run") && text.contains("`initialize`"),
        "{text}"
    );
}
