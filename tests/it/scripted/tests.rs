//! The scripted servers, looked at without a gateway: a test that trusts them must not be misled.

use std::sync::Arc;

use reqwest::Response;
use serde_json::{Value, json};

use super::reply::{Door, Step, event};
use super::{Remote, Reply, Request, faults, handshake, legacy, stateless};
use crate::client::http;
use crate::events::first_event;

fn request(id: u64, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

async fn post(url: &str, session: &str, message: &Value) -> Response {
    let request = http().build().unwrap().post(url).header("mcp-session-id", session);
    request.header("content-type", "application/json").body(message.to_string()).send().await.unwrap()
}

/// The messages of a stream so far, until there are so many.
async fn messages(response: &mut Response, count: usize) -> Vec<Value> {
    let (mut found, mut buffer) = (Vec::new(), Vec::new());
    while found.len() < count {
        buffer.extend_from_slice(&response.chunk().await.unwrap().expect("more"));
        while let Some(event) = first_event(&mut buffer) {
            found.extend(event.data.map(|data| serde_json::from_str::<Value>(&data).unwrap()));
        }
    }
    found
}

#[tokio::test]
async fn a_session_begins_is_used_forgotten_and_ended() {
    let (remote, server) = handshake::remote();
    let begun = post(&remote.url(), "", &request(0, "initialize", json!({ "protocolVersion": "x" }))).await;
    let id = begun.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    let answer: Value = begun.json().await.unwrap();
    assert_eq!(answer["result"]["protocolVersion"], "x");
    let called = post(&remote.url(), &id, &request(1, "session", json!({}))).await;
    assert_eq!(called.json::<Value>().await.unwrap()["result"]["session"], json!(id));
    let get = http().build().unwrap().get(remote.url()).header("mcp-session-id", &id);
    let mut listening = get.send().await.unwrap();
    assert_eq!(server.say(&json!({ "n": 1 })), 1);
    assert_eq!(messages(&mut listening, 1).await, [json!({ "n": 1 })]);
    drop(listening);
    remote.left(&remote.by("GET")[0]).await;
    let deleted =
        http().build().unwrap().delete(remote.url()).header("mcp-session-id", &id).send().await.unwrap();
    assert_eq!((deleted.status().as_u16(), server.sessions().len()), (200, 0));
    assert_eq!(post(&remote.url(), &id, &request(2, "echo", json!({}))).await.status(), 404);
    assert_eq!(remote.of("session")[0].header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_question_and_a_door_hold_up_the_answer() {
    let (remote, server) = handshake::remote();
    post(&remote.url(), "", &request(0, "initialize", json!({}))).await;
    let id = server.sessions().remove(0);
    let mut asked = post(&remote.url(), &id, &request(1, "ask", json!({}))).await;
    assert_eq!(messages(&mut asked, 1).await[0]["method"], "roots/list");
    let answer = json!({ "jsonrpc": "2.0", "id": 0, "result": { "roots": [] } });
    assert_eq!(post(&remote.url(), &id, &answer).await.status(), 202);
    assert_eq!(messages(&mut asked, 1).await[0]["result"], json!({ "roots": [] }));
    assert_eq!(asked.chunk().await.unwrap(), None);
    let (url, message) = (remote.url(), request(2, "gated", json!({})));
    let waiting = tokio::spawn(async move { post(&url, &id, &message).await });
    remote.called("gated").await;
    server.door.open();
    assert_eq!(waiting.await.unwrap().json::<Value>().await.unwrap()["result"]["said"], "late");
}

#[tokio::test]
async fn the_old_transport_names_its_endpoint_and_answers_on_the_stream() {
    for (remote, server) in [legacy::remote(""), legacy::absolute()] {
        let mut stream = http().build().unwrap().get(remote.at("/sse")).send().await.unwrap();
        let text = String::from_utf8(stream.chunk().await.unwrap().unwrap().to_vec()).unwrap();
        let endpoint = text.trim().rsplit_once("data: ").unwrap().1;
        let url = reqwest::Url::parse(&remote.at("/sse")).unwrap().join(endpoint).unwrap();
        assert_eq!(post(url.as_str(), "", &request(3, "echo", json!({ "x": 1 }))).await.status(), 202);
        assert_eq!(messages(&mut stream, 1).await[0]["result"]["x"], 1);
        server.send(&event(&json!({ "n": 2 })));
        assert_eq!(messages(&mut stream, 1).await, [json!({ "n": 2 })]);
        server.end();
        assert_eq!(stream.chunk().await.unwrap(), None);
        let elsewhere = remote.at("/message?sessionId=9");
        assert_eq!(post(&elsewhere, "", &request(4, "echo", json!({}))).await.status(), 404);
    }
}

#[tokio::test]
async fn without_sessions_the_headers_must_repeat_the_body() {
    let (remote, server) = stateless::remote();
    let body = crate::stateless::enveloped(1, "subscriptions/listen", json!({ "notifications": {} }));
    let send = |method: &str| {
        let request = http().build().unwrap().post(remote.url()).header("mcp-protocol-version", "2026-07-28");
        request.header("mcp-method", method).body(body.to_string()).send()
    };
    assert_eq!(send("tools/list").await.unwrap().status(), 400);
    let mut listening = send("subscriptions/listen").await.unwrap();
    messages(&mut listening, 1).await;
    server.touch();
    assert_eq!(messages(&mut listening, 1).await[0]["method"], "notifications/tools/list_changed");
    let dual = stateless::dual();
    let plain = post(&dual.url(), "", &request(1, "initialize", json!({}))).await;
    assert!(plain.headers().contains_key("mcp-session-id"));
}

/// What a client that believes everything gets; `None` if the response is not whole.
async fn got(fault: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Option<String> {
    let remote = Remote::start(fault);
    let client = http().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let sent = client.post(remote.url()).body(request(5, "fault", json!({})).to_string()).send().await;
    sent.ok()?.text().await.ok()
}

#[tokio::test]
async fn a_fault_is_the_one_that_its_name_says() {
    for (fault, whole) in [
        (faults::closes_before_headers as fn(&Request) -> Reply, false),
        (faults::resets, false),
        (faults::closes_in_the_headers, false),
        (faults::closes_in_the_json, false),
        (faults::cuts_the_stream, false),
        (faults::cuts_the_stream_in_an_event, false),
        (faults::says_too_great_a_length, false),
        (faults::is_not_http, false),
        (faults::says_too_small_a_length, true),
        (faults::ends_the_stream, true),
        (faults::answers_html, true),
        (faults::answers_nothing, true),
    ] {
        assert_eq!(got(fault).await.is_some(), whole);
    }
    for fault in [faults::drips, faults::answers_in_odd_pieces, faults::answers_in_the_wrong_type] {
        assert!(got(fault).await.unwrap().contains(r#""id":5"#));
    }
    assert!(!got(faults::answers_another_id).await.unwrap().contains(r#""id":5"#));
    assert_eq!(got(faults::answers_twice).await.unwrap().matches(r#""id":5"#).count(), 2);
    assert_eq!(got(faults::answers_invalid_utf8).await.unwrap().matches("\u{fffd}done").count(), 1);
}

#[tokio::test]
async fn who_leaves_is_seen_to_leave() {
    let door = Door::default();
    let shut = door.clone();
    let remote = Remote::start(move |request| match &*request.path {
        "/hang" => faults::hangs_before_headers(request),
        "/flood" => faults::floods_with_events(request),
        "/drip" => faults::drips_for_ever(request),
        "/door" => Reply::behind(&shut, Reply::status(200)),
        _ => Reply::raw(vec![Step::Close]),
    });
    let remote = Arc::new(remote);
    for (number, path) in ["/hang", "/flood", "/drip", "/door"].into_iter().enumerate() {
        let sending = tokio::spawn(http().build().unwrap().get(remote.at(path)).send());
        remote.until("it is asked", |remote| remote.requests().len() > number).await;
        assert!(!remote.requests()[number].has_left());
        sending.abort();
        drop(sending.await);
        remote.left(&remote.requests()[number]).await;
    }
    remote.until("all have ended", |remote| remote.open_connections() == 0).await;
    assert_eq!(remote.connections(), 4);
}
