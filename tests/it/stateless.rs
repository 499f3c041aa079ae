//! Clients of 2026-07-28: each request stands for itself.

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::events::{Endpoint, Events};
use crate::gateway::{Gateway, until, until_told};

pub(crate) const VERSION: &str = "2026-07-28";

pub(crate) fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
    })
}

/// A request with the envelope.
pub(crate) fn enveloped(id: impl Into<Value>, method: &str, mut params: Value) -> Value {
    let mut meta = meta();
    if let Some(more) = params["_meta"].as_object() {
        more.iter().for_each(|(key, value)| meta[key] = value.clone());
    }
    params["_meta"] = meta;
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params })
}

/// An endpoint whose headers repeat the body.
pub(crate) fn mirrored(gateway: &Gateway, server: &str, body: &Value) -> Endpoint {
    let version =
        body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].as_str().unwrap_or(VERSION);
    let mut endpoint = Endpoint::new(gateway, server)
        .header("mcp-protocol-version", version)
        .header("mcp-method", body["method"].as_str().unwrap());
    let name = body["params"]["name"].as_str().or(body["params"]["uri"].as_str());
    if let Some(name) = name {
        endpoint = endpoint.header("mcp-name", name);
    }
    endpoint
}

/// Sends a request and reads its whole answer, from JSON.
pub(crate) async fn try_call(gateway: &Gateway, server: &str, id: u64, method: &str, params: Value) -> Value {
    let body = enveloped(id, method, params);
    mirrored(gateway, server, &body).post(&body).await.json().await.unwrap()
}

async fn result(gateway: &Gateway, method: &str, params: Value) -> Value {
    try_call(gateway, "stateless", 1, method, params).await["result"].clone()
}

async fn open(gateway: &Gateway, body: &Value) -> Events {
    Events::of(mirrored(gateway, "stateless", body).post(body).await)
}

fn names_no_session(headers: &HeaderMap) -> bool {
    !headers.contains_key("mcp-session-id")
}

#[tokio::test]
async fn a_request_is_answered_as_json_and_no_session_is_ever_named() {
    let gateway = Gateway::start("");
    let body = enveloped("a/b", "echo", json!({ "x": 1 }));
    let endpoint = mirrored(&gateway, "stateless", &body);
    let named = endpoint.in_session(&"A".repeat(43)).header("last-event-id", "1-1");
    for _ in 0..2 {
        let response = named.post(&body).await;
        assert_eq!(response.status(), 200);
        assert!(names_no_session(response.headers()));
        let answer: Value = response.json().await.unwrap();
        assert_eq!((&answer["id"], &answer["result"]["x"]), (&json!("a/b"), &json!(1)));
    }
    let bad = enveloped(1, "ping", json!({}));
    assert!(names_no_session(mirrored(&gateway, "stateless", &bad).post(&bad).await.headers()));
}

#[tokio::test]
async fn ids_and_tokens_come_back_byte_for_byte() {
    let gateway = Gateway::start("");
    let body = enveloped(1, "steps", json!({ "count": 2, "_meta": { "progressToken": "T" } }));
    let text = body.to_string().replace(r#""id":1"#, r#""id":"q\/1""#).replace(r#":"T""#, r#":"t\u0041""#);
    let response = mirrored(&gateway, "stateless", &body).post_raw(text).await;
    let mut events = Events::of(response);
    for _ in 0..2 {
        let event = events.next().await.unwrap();
        assert_eq!(event.id, None, "nothing can be resumed here");
        assert!(event.data.unwrap().contains(r#""progressToken":"t\u0041""#));
    }
    assert!(events.next().await.unwrap().data.unwrap().contains(r#""id":"q\/1""#));
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn closing_the_connection_cancels_the_request() {
    let gateway = Gateway::start("");
    result(&gateway, "pid", json!({})).await;
    let heard =
        async |what: &str| result(&gateway, "heard", json!({})).await.to_string().matches(what).count();
    // One that has shown nothing yet, one that is a stream, one that listens.
    let never = enveloped(7, "never", json!({}));
    let endpoint = mirrored(&gateway, "stateless", &never);
    let waiting = tokio::spawn(async move { endpoint.post(&never).await });
    until_told("it is heard", async || heard(r#"\"never\""#).await > 0).await;
    waiting.abort();
    until_told("it is cancelled", async || heard("notifications/cancelled").await == 1).await;
    let listen =
        enveloped("l", "subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    let mut events = open(&gateway, &listen).await;
    events.message().await.unwrap();
    drop(events);
    until_told("it is cancelled", async || heard("notifications/cancelled").await == 2).await;
    // Nobody else was cancelled, and the backend goes on.
    assert_eq!(result(&gateway, "echo", json!({ "x": 1 })).await["x"], 1);
    assert_eq!(gateway.descendants().len(), 1);
}

#[tokio::test]
async fn subscriptions_bear_the_id_of_their_own_request() {
    let gateway = Gateway::start("");
    let wanted = json!({ "notifications": { "toolsListChanged": true } });
    let mut streams = Vec::new();
    for id in [json!("1"), json!(1), json!("listen:0"), json!("listen:0")] {
        let mut events = open(&gateway, &enveloped(id.clone(), "subscriptions/listen", wanted.clone())).await;
        let first = events.message().await.unwrap();
        assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(first["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], id);
        streams.push((id, events));
    }
    result(&gateway, "touch", json!({})).await;
    result(&gateway, "unlisten", json!({})).await;
    for (id, mut events) in streams {
        let changed = events.message().await.unwrap();
        assert_eq!(changed["method"], "notifications/tools/list_changed");
        assert_eq!(changed["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], id);
        let end = events.message().await.unwrap();
        assert_eq!(end["id"], id);
        assert_eq!(end["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], id);
        assert_eq!(events.next().await, None);
    }
}

#[tokio::test]
async fn log_lines_go_to_the_one_who_asked_for_them_or_to_nobody() {
    let gateway = Gateway::start("");
    let level = json!({ "io.modelcontextprotocol/logLevel": "debug" });
    let wants = enveloped(1, "log", json!({ "text": "x", "_meta": level }));
    let mut events = open(&gateway, &wants).await;
    assert_eq!(events.message().await.unwrap()["params"]["data"], "x");
    assert_eq!(events.message().await.unwrap()["result"], "done");
    assert_eq!(result(&gateway, "log", json!({ "text": "y" })).await, "done");
    // With two that asked, nobody can tell whose line it is.
    let pending = enveloped(2, "never", json!({ "_meta": level }));
    let endpoint = mirrored(&gateway, "stateless", &pending);
    let waiting = tokio::spawn(async move { endpoint.post(&pending).await });
    let heard = async || result(&gateway, "heard", json!({})).await.to_string();
    until_told("it is heard", async || heard().await.contains(r#"\"never\""#)).await;
    let response = mirrored(&gateway, "stateless", &wants).post(&wants).await;
    assert_eq!(response.headers()["content-type"], "application/json");
    waiting.abort();
}

#[tokio::test]
async fn a_question_of_the_server_is_answered_for_clients_that_cannot_be_asked() {
    let gateway = Gateway::start("");
    let body = enveloped(1, "ask", json!({ "id": 5 }));
    let endpoint = mirrored(&gateway, "stateless", &body);
    let waiting = tokio::spawn(async move { endpoint.post(&body).await });
    let response = waiting.await.unwrap();
    // The peer answers its caller with the result of its question, which is an error and so has none.
    assert_eq!(response.json::<Value>().await.unwrap()["result"], Value::Null);
    assert!(result(&gateway, "heard", json!({})).await.to_string().contains("input_required"));
}

#[tokio::test]
async fn a_crash_is_told_in_band_and_the_next_request_gets_another_server() {
    let gateway = Gateway::start("");
    let first = result(&gateway, "pid", json!({})).await;
    let answer = try_call(&gateway, "stateless", 5, "exit", json!({ "status": 3, "stderr": "why\n" })).await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(5), &json!(-32603)));
    assert!(answer["error"]["message"].as_str().unwrap().contains("status 3"));
    let second = result(&gateway, "pid", json!({})).await;
    assert!(second.is_u64() && second != first);
    gateway.until_active(1).await;
}

#[tokio::test]
async fn a_warm_server_ends_after_a_while_without_requests() {
    let gateway = Gateway::start("[timeouts]\nwarm = \"300ms\"");
    result(&gateway, "pid", json!({})).await;
    assert_eq!(gateway.descendants().len(), 1);
    until("the server is gone", || gateway.descendants().is_empty()).await;
    gateway.until_active(0).await;
    assert!(result(&gateway, "pid", json!({})).await.is_u64());
    // A subscription keeps it.
    let listen = enveloped("l", "subscriptions/listen", json!({ "notifications": {} }));
    let mut events = open(&gateway, &listen).await;
    events.message().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(900)).await;
    assert_eq!(gateway.descendants().len(), 1);
    drop(events);
    until("the server is gone", || gateway.descendants().is_empty()).await;
}

#[tokio::test]
async fn a_drain_lets_requests_finish_and_ends_subscriptions() {
    let mut gateway = Gateway::start("[timeouts]\ndrain = \"5m\"");
    let listen = enveloped("l", "subscriptions/listen", json!({ "notifications": {} }));
    let mut listening = open(&gateway, &listen).await;
    listening.message().await.unwrap();
    let steps = json!({ "count": 30, "pause_ms": 20, "_meta": { "progressToken": 1 } });
    let mut events = open(&gateway, &enveloped(1, "steps", steps)).await;
    events.message().await.unwrap();
    gateway.signal("TERM");
    let mut last = Value::Null;
    while let Some(message) = events.message().await {
        last = message;
    }
    assert_eq!(last["result"], "done");
    let end = listening.message().await.unwrap();
    assert_eq!((&end["id"], &end["result"]["resultType"]), (&json!("l"), &json!("complete")));
    assert_eq!(listening.next().await, None);
    assert!(gateway.wait().success());
}
