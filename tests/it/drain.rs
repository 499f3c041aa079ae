//! How one of several nodes makes way: sessions are used until the last moment, others take the new ones, and who is
//! sent away is told when to come back.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::events::{Endpoint, Events, fault};
use crate::gateway::{Gateway, SECRET, until, with_peers};
use crate::stateless::{enveloped, mirrored, try_call};

const NEWEST: &str = "2025-11-25";
/// The last revision whose clients may take an event without data for a fault.
const OLDER: &str = "2025-06-18";

/// One node of several, of which nobody knows the others.
fn node(drain: &str) -> Gateway {
    let settings = with_peers(&format!(
        "[cluster]\nreach = \"forward\"\nlisten = \"127.0.0.1:0\"\nnodes = [\"127.0.0.1:1\"]\n[timeouts]\n{drain}"
    ));
    let secrets =
        [("LOCKGATE_SECRET", SECRET), ("LOCKGATE_CLUSTER_SECRET", "test-secret-of-the-cluster-0123456789")];
    Gateway::start_bare(&settings, &secrets)
}

async fn begin(gateway: &Gateway) {
    gateway.signal("TERM");
    until("draining", || gateway.log().contains("draining")).await;
}

async fn opens_nothing(response: Response) {
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(response.status(), 503);
    let body: Value = response.json().await.unwrap();
    assert!(body["error"]["message"].as_str().unwrap().contains("shutting down"), "{body}");
}

/// What a stream says to its end.
async fn rest(mut response: Response) -> String {
    assert_eq!(response.status(), 200);
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.extend_from_slice(&chunk);
    }
    String::from_utf8(text).unwrap()
}

/// The milliseconds after which a stream with this end has its client come back.
fn farewell(text: &str, end: &str) -> u64 {
    let line = text.strip_suffix(end).unwrap_or_else(|| panic!("another end: {text:?}"));
    let line = line.rsplit('\n').next().unwrap();
    line.strip_prefix("retry: ").unwrap_or_else(|| panic!("no farewell: {text:?}")).parse().unwrap()
}

#[tokio::test]
async fn sessions_are_used_until_none_is_left_while_new_ones_are_refused() {
    let mut gateway = node("drain = \"1h\"");
    let mut old = gateway.client().connect("peer").await;
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    begin(&gateway).await;
    for (path, status) in [("/health", 503), ("/health/ready", 503), ("/health/live", 200)] {
        assert_eq!(crate::client::get(gateway.url(path)).await.unwrap().status(), status, "{path}");
    }
    opens_nothing(gateway.client().get("/peer/sse").send().await.unwrap()).await;
    opens_nothing(Endpoint::new(&gateway, "peer").initialize(NEWEST).await).await;
    assert_eq!(old.call("echo", json!([1])).await, json!([1]));
    assert_eq!(session.call(1, "echo", json!([2])).await["result"], json!([2]));
    // A listening stream can be opened and resumed.
    let mut listening = Events::of(session.get().await);
    let id = listening.next().await.unwrap().id.unwrap();
    drop(listening);
    let session = session.header("last-event-id", &id);
    assert_eq!(session.get().await.status(), 200);
    assert_eq!(session.request(Method::DELETE).send().await.unwrap().status(), 200);
    assert_eq!(old.call("echo", json!([3])).await, json!([3]));
    drop(old);
    until("every session is gone", || gateway.descendants().is_empty()).await;
    assert_eq!(gateway.wait().code(), Some(0));
}

#[tokio::test]
async fn calls_that_stand_for_themselves_go_on_where_a_server_is_warm() {
    let gateway = node("drain = \"1h\"\nwarm = \"1h\"");
    let before = try_call(&gateway, "stateless", 1, "pid", json!({})).await["result"].clone();
    begin(&gateway).await;
    assert_eq!(try_call(&gateway, "stateless", 2, "pid", json!({})).await["result"], before);
    let call = enveloped(3, "echo", json!({}));
    opens_nothing(mirrored(&gateway, "dual", &call).post(&call).await).await;
}

#[tokio::test]
async fn a_second_signal_cuts_short_that_sessions_are_kept() {
    let mut gateway = node("drain = \"1h\"");
    let mut session = gateway.client().connect("peer").await;
    begin(&gateway).await;
    assert_eq!(session.call("echo", json!([1])).await, json!([1]));
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(128 + 15));
}

#[tokio::test]
async fn who_is_sent_away_is_told_when_to_come_back_and_opens_another_session() {
    let mut gateway = node("drain = \"2s\"");
    let newest = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    let older = Endpoint::new(&gateway, "peer").open(OLDER).await;
    let busy = Endpoint::new(&gateway, "peer").open(NEWEST).await.header("accept", "text/event-stream");
    let never = busy.post(&json!({ "jsonrpc": "2.0", "id": 1, "method": "never" })).await;
    let streams = [
        newest.get().await,
        older.get().await,
        never,
        gateway.client().get("/peer/sse").send().await.unwrap(),
    ];
    gateway.signal("TERM");
    let [newest_says, older_says, never_says, sse_says] = {
        let [a, b, c, d] = streams.map(rest);
        <[String; 4]>::from(tokio::join!(a, b, c, d))
    };
    assert!(never_says.contains("the gateway is shutting down; open a new session"), "{never_says}");
    let waits = [
        farewell(&newest_says, "\n\n"),
        farewell(&older_says, "\n"),
        farewell(&never_says, "\n\n"),
        farewell(&sse_says, "\n"),
    ];
    let soon = Duration::from_millis(500)..Duration::from_millis(1500);
    assert!(waits.iter().all(|wait| soon.contains(&Duration::from_millis(*wait))), "{waits:?}");
    assert_eq!(gateway.wait().code(), Some(0));
    // At the node that takes its place.
    let next = Gateway::start("");
    let id = newest.headers.iter().find(|(name, _)| name == "mcp-session-id").unwrap().1.clone();
    let back = Endpoint::new(&next, "peer").in_session(&id).header("last-event-id", "0-0");
    for response in
        [back.get().await, back.post(&json!({ "jsonrpc": "2.0", "id": 2, "method": "echo" })).await]
    {
        let (status, code, body) = fault(response).await;
        assert_eq!((status, code), (404, -32001));
        assert!(body["error"]["message"].as_str().unwrap().contains("open a new one"), "{body}");
    }
    Endpoint::new(&next, "peer").open(NEWEST).await;
}

#[tokio::test]
async fn who_is_alone_does_not_say_when_to_come_back() {
    let mut gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    let stream = session.get().await;
    let old = gateway.client().get("/peer/sse").send().await.unwrap();
    gateway.signal("TERM");
    let (says, old_says) = tokio::join!(rest(stream), rest(old));
    // But for the event that such a stream begins with.
    assert_eq!((says.matches("retry: ").count(), old_says.matches("retry: ").count()), (1, 0));
    assert_eq!(gateway.wait().code(), Some(0));
}
