//! Faults that take more than one answer: floods, redirects, sessions that are lost, remotes that are killed.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::events::{Endpoint, Events};
use crate::gateway::Gateway;
use crate::remote::{
    NEWEST, answer, call, end, gateway, goes_on, is_told, open, request, server, shows_nothing,
};
use crate::scripted::reply::{Reply, Step, chunk, event_with_id};
use crate::scripted::{Remote, faults, handshake, rpc};

const NEITHER_REACHED: &[&str] = &["reach", "connect", "closed", "broke"];

#[tokio::test]
async fn a_flood_of_events_fills_no_memory_and_holds_up_nobody() {
    let (remote, server) = handshake::remote_but("fault", faults::floods_with_events);
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    let bystander = open(&gateway).await;
    let params = json!({ "_meta": { "progressToken": 1 } });
    let body = request(5, "fault", params).to_string();
    let unread = crate::events::post_and_do_not_read(&gateway, &session, &body).await;
    let asked = remote.called("fault").await;
    for id in 0..100 {
        goes_on(&bystander, id).await;
    }
    let resident = gateway.resident();
    assert!(resident < 96 << 10, "{resident} KiB");
    drop(unread);
    end(&gateway, &[&session, &bystander]).await;
    remote.left(&asked).await;
    remote.until("both have ended there", |_| server.sessions().is_empty()).await;
}

#[tokio::test]
async fn a_redirect_within_the_origin_is_followed_with_the_same_body() {
    let (remote, _) = handshake::remote_but("fault", |request| match &*request.path {
        "/mcp" => Reply::status(307).header("location", "/elsewhere"),
        _ => Reply::json(&rpc::result(&request.message(), json!({ "path": request.path }))),
    });
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    let answer = call(&session, 5, "fault", json!({ "x": 1 })).await;
    assert_eq!(answer["result"]["path"], "/elsewhere");
    let sent = remote.of("fault");
    assert_eq!((sent.len(), sent[0].body == sent[1].body), (2, true));
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_not_followed_and_nothing_of_us_goes_there() {
    let (elsewhere, _) = handshake::remote();
    let location = elsewhere.url();
    let (remote, _) =
        handshake::remote_but("fault", move |_| Reply::status(307).header("location", &location));
    let gateway = gateway(&remote, "headers = { X-Key = \"sesame\" }");
    let session = open(&gateway).await;
    is_told(&call(&session, 5, "fault", json!({})).await, 5, &["redirect", "another origin"]);
    goes_on(&session, 6).await;
    assert_eq!(elsewhere.connections(), 0);
}

/// What these messages tell of a session that was lost, in the order of the alphabet.
fn told_of_loss(messages: &[Value]) -> Vec<&str> {
    let mut methods = Vec::new();
    for message in messages {
        if message["method"] == "notifications/message" {
            assert_eq!(message["params"]["level"], "warning");
            let text = message["params"]["data"].to_string();
            assert!(text.contains("docs") && text.contains("lost"), "{text}");
            shows_nothing(&text);
        }
        methods.push(message["method"].as_str().unwrap().trim_start_matches("notifications/"));
    }
    methods.sort_unstable();
    methods
}

#[tokio::test]
async fn a_session_that_the_remote_forgot_is_begun_once_more_and_the_client_is_told() {
    let (remote, server) = handshake::remote();
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    let mut listening = Events::of(session.get().await);
    // Then the handshake is behind it.
    remote.until("the gateway listens", |remote| !remote.by("GET").is_empty()).await;
    server.forget();
    let (mut told, answer) = answer(session.post(&request(5, "session", json!({}))).await, 5).await;
    assert_eq!(answer["result"]["session"], "remote-session-2");
    // The warning may come with the call, to which it belongs.
    while told.len() < 4 {
        told.push(listening.message().await.unwrap());
    }
    assert_eq!(
        told_of_loss(&told),
        ["message", "prompts/list_changed", "resources/list_changed", "tools/list_changed"]
    );
    // What the client said once is said again for it, and the request goes out a second time.
    let begun = remote.of("initialize");
    assert_eq!((begun.len(), &begun[0].message()["params"]), (2, &begun[1].message()["params"]));
    assert_eq!(begun[1].header("mcp-session-id"), None);
    assert_eq!(remote.of("notifications/initialized").len(), 2);
    assert_eq!(remote.of("session").len(), 2);
    goes_on(&session, 6).await;
    end(&gateway, &[&session]).await;
    remote.until("the second has ended there", |_| server.sessions().is_empty()).await;
}

#[tokio::test]
async fn calls_that_lose_their_session_together_begin_it_once() {
    let (remote, server) = handshake::remote();
    let gateway = gateway(&remote, "");
    let session = Arc::new(open(&gateway).await);
    // Then the handshake is behind it.
    remote.until("the gateway listens", |remote| !remote.by("GET").is_empty()).await;
    server.forget();
    let mut calls = Vec::new();
    for id in 10..20 {
        let session = session.clone();
        calls.push(tokio::spawn(async move { goes_on(&session, id).await }));
    }
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(remote.of("initialize").len(), 2);
}

#[tokio::test]
async fn a_session_that_is_lost_again_and_again_fails_the_call() {
    let (remote, _) = handshake::remote_but("fault", |_| Reply::status(404));
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    let bystander = open(&gateway).await;
    is_told(&call(&session, 5, "fault", json!({})).await, 5, &["session", "404"]);
    assert_eq!((remote.of("fault").len(), remote.of("initialize").len()), (2, 3));
    goes_on(&session, 6).await;
    goes_on(&bystander, 7).await;
    end(&gateway, &[&session, &bystander]).await;
}

/// What a client sees of a server that it cannot begin with: what a child's failure in the session looks like.
async fn cannot_begin(gateway: &Gateway, words: &[&str]) {
    let endpoint = Endpoint::new(gateway, "docs").header("origin", ORIGIN);
    let response = endpoint.initialize(NEWEST).await;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, "application/json"));
    assert_eq!(headers["access-control-allow-origin"], ORIGIN);
    assert!(!headers.contains_key("mcp-session-id"));
    is_told(&response.json().await.unwrap(), 0, words);
    gateway.until_active(0).await;
}

/// A page that may call the gateway of [`for_browsers`].
const ORIGIN: &str = "https://app.example";

fn for_browsers(remote: &Remote) -> Gateway {
    Gateway::start(&format!("[access]\norigins = [{ORIGIN:?}]\n{}", server("docs", &remote.url(), "")))
}

#[tokio::test]
async fn a_session_id_that_cannot_be_sent_back_ends_the_beginning() {
    for id in ["two words", "caf\u{e9}"] {
        let answer = |request: &crate::scripted::Request| Reply::json(&rpc::answer(&request.message(), ""));
        let (remote, _) =
            handshake::remote_but("initialize", move |request| answer(request).header("mcp-session-id", id));
        cannot_begin(&for_browsers(&remote), &["session id"]).await;
    }
}

#[tokio::test]
async fn a_session_id_counts_only_where_it_is_given() {
    let (remote, _) = handshake::remote_but("fault", |request| {
        Reply::json(&rpc::result(&request.message(), json!({}))).header("mcp-session-id", "another")
    });
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    call(&session, 5, "fault", json!({})).await;
    goes_on(&session, 6).await;
    assert_eq!(remote.of("echo")[0].header("mcp-session-id"), Some("remote-session-1"));
}

// D1.8
#[tokio::test]
async fn a_remote_that_is_killed_fails_its_calls_and_nobody_elses() {
    let (mut remote, _) = handshake::remote();
    let (other, _) = handshake::remote();
    let tables = server("docs", &remote.url(), "") + &server("more", &other.url(), "");
    let gateway = Gateway::start(&tables);
    let session = Arc::new(open(&gateway).await);
    let bystander = Endpoint::new(&gateway, "more").open(NEWEST).await;
    let child = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { call(&session, 5, "never", json!({})).await }
    });
    remote.called("never").await;
    remote.kill();
    is_told(&waiting.await.unwrap(), 5, NEITHER_REACHED);
    is_told(&call(&session, 6, "echo", json!({})).await, 6, NEITHER_REACHED);
    goes_on(&bystander, 7).await;
    goes_on(&child, 8).await;
    end(&gateway, &[&bystander, &child, &session]).await;
}

// D1.8
#[tokio::test]
async fn a_remote_that_is_down_is_told_to_whoever_begins() {
    let (mut remote, _) = handshake::remote();
    remote.kill();
    let gateway = for_browsers(&remote);
    cannot_begin(&gateway, NEITHER_REACHED).await;
    goes_on(&Endpoint::new(&gateway, "peer").open(NEWEST).await, 1).await;
}

#[tokio::test]
async fn a_stream_that_is_cut_is_resumed_behind_its_last_event() {
    let (server, asked) = (handshake::Handshake::default(), Mutex::new(Value::Null));
    let remote = Remote::start(move |request| match (request.header("last-event-id"), &*request.rpc()) {
        (Some("5/1"), _) => Reply::messages(&rpc::steps(&asked.lock().unwrap())[1..]),
        (_, "fault") => {
            *asked.lock().unwrap() = request.message();
            let step = rpc::steps(&request.message()).remove(0);
            Reply::stream(vec![Step::Bytes(chunk(&event_with_id("5/1", &step))), Step::Close])
        }
        _ => server.answer(request),
    });
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    let params = json!({ "count": 2, "_meta": { "progressToken": 1 } });
    let (before, answer) = answer(session.post(&request(5, "fault", params)).await, 5).await;
    let steps: Vec<_> = before.iter().map(|note| note["params"]["progress"].as_u64().unwrap()).collect();
    assert_eq!((steps, &answer["result"]["said"]), (vec![1, 2], &json!("done")));
    assert_eq!(remote.of("fault").len(), 1, "what may have been done already is not asked for again");
    let resumed = remote.by("GET").into_iter().find(|get| get.header("last-event-id").is_some()).unwrap();
    assert_eq!(resumed.header("mcp-session-id"), Some("remote-session-1"));
}

/// That nobody is there says nothing of the era, neither now nor later.
#[tokio::test]
async fn a_remote_that_is_down_is_not_taken_for_one_of_the_other_era() {
    let (mut remote, _) = handshake::remote();
    remote.kill();
    let gateway = gateway(&remote, "");
    let answer = crate::stateless::try_call(&gateway, "docs", 1, "echo", json!({})).await;
    is_told(&answer, 1, NEITHER_REACHED);
}
