//! How a gateway stops (seeds D0.11; promise 7).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::gateway::{Gateway, SECRET, until};
use crate::traces::is_alive;

#[tokio::test]
async fn a_stop_ends_every_stream_and_child_and_exits_0() {
    let mut gateway = Gateway::start("[timeouts]\neof = \"100ms\"\nterm = \"100ms\"");
    let mut sessions = Vec::new();
    for server in ["peer", "other", "stubborn"] {
        sessions.push(gateway.client().connect(server).await);
    }
    let pids = gateway.descendants();
    gateway.signal("TERM");
    for session in &mut sessions {
        assert!(session.message().await.is_none(), "a clean end of the stream");
    }
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
    assert!(gateway.homes().is_empty());
}

#[tokio::test]
async fn a_session_that_nothing_else_wakes_hears_of_the_end() {
    let mut gateway =
        Gateway::start("[timeouts]\ndrain = \"1h\"\nstalled_reader = \"1h\"\nheartbeat = \"1h\"");
    let mut session = gateway.client().connect("peer").await;
    session.call("echo", json!([1])).await;
    gateway.signal("TERM");
    // It would find out by itself when its start slot is due, 10 s after its start.
    let end = tokio::time::timeout(Duration::from_secs(5), session.message()).await;
    assert!(end.is_ok_and(|message| message.is_none()), "{}", gateway.log());
    assert_eq!(gateway.wait().code(), Some(0));
}

#[tokio::test]
async fn requests_in_flight_finish_while_new_sessions_are_refused() {
    let mut gateway = Gateway::start("");
    let mut session = gateway.client().connect("peer").await;
    let id = session.request("ask", json!({ "id": "q" })).await;
    assert_eq!(session.message().await.unwrap()["method"], "roots/list");
    gateway.signal("TERM");
    until("draining", || gateway.log().contains("draining")).await;
    let health = crate::client::get(gateway.url("/health")).await.unwrap();
    assert_eq!(health.status(), 503);
    assert!(health.text().await.unwrap().contains("\"draining\""));
    assert_eq!(crate::client::get(gateway.url("/health/live")).await.unwrap().status(), 200);
    let refused = gateway.client().get("/peer/sse").send().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let request = session.post_raw(r#"{"jsonrpc":"2.0","id":77,"method":"ping"}"#).send().await.unwrap();
    assert_eq!(request.status(), 503, "no new requests either");
    session.send(&json!({ "jsonrpc": "2.0", "id": "q", "result": { "roots": [] } })).await;
    assert_eq!(session.answer(id).await["result"], json!({ "roots": [] }));
    assert!(session.message().await.is_none());
    assert_eq!(gateway.wait().code(), Some(0));
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_told_so() {
    let mut gateway = Gateway::start("[timeouts]\ndrain = \"200ms\"");
    let mut session = gateway.client().connect("peer").await;
    let id = session.request("never", json!({})).await;
    gateway.signal("INT");
    let text = session.answer(id).await["error"]["message"].as_str().unwrap().to_owned();
    assert!(text.contains("shutting down"), "{text}");
    assert!(session.message().await.is_none());
    assert_eq!(gateway.wait().code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once_and_the_exit_code_says_so() {
    let mut gateway = Gateway::start("");
    let mut session = gateway.client().connect("stubborn").await;
    session.request("never", json!({})).await;
    let pids = gateway.descendants();
    gateway.signal("TERM");
    until("draining", || gateway.log().contains("draining")).await;
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(128 + 15));
    until("every child is gone", || pids.iter().all(|pid| !is_alive(*pid))).await;
    // Removing what sessions have left could take long, so that is for the next start.
    let left = roots(gateway.place.path());
    assert_eq!(left.len(), 1);
    let next = Gateway::start_in(gateway.take_place(), "", &[("LOCKGATE_SECRET", SECRET)]);
    assert!(roots(next.place.path()).iter().all(|root| !left.contains(root)));
}

/// Where gateways keep the private directories of their sessions.
fn roots(place: &Path) -> Vec<PathBuf> {
    let list = |path: PathBuf| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let shared = list(place.to_owned())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("lockgate-")));
    list(shared.unwrap()).filter(|path| path.is_dir()).collect()
}
