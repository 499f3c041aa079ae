//! What an attack found: what one session can hold, take and wait for at a remote that does its worst.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Response;
use serde_json::{Value, json};

use crate::events::Events;
use crate::gateway::Gateway;
use crate::remote::{answer, call, end, gateway, goes_on, is_told, open, request, server};
use crate::scripted::reply::{Door, Reply, Step, chunk};
use crate::scripted::{Remote, Request, handshake, legacy, rpc, stateless};
use crate::stateless::try_call;

fn cancelled(id: u64) -> Value {
    rpc::notification("notifications/cancelled", json!({ "requestId": id }))
}

/// A remote of which calls of tools are never answered.
fn hanging() -> Remote {
    handshake::remote_but("tools/call", |_| Reply::raw(vec![Step::Hang])).0
}

#[tokio::test]
async fn large_calls_that_hang_are_called_off_and_hold_up_nobody() {
    let remote = hanging();
    let gateway = gateway(&remote, "");
    let mut session = gateway.client().connect("docs").await;
    let large = json!({ "name": "t", "arguments": { "x": "x".repeat(3 << 20) } });
    let mut asked = Vec::new();
    for count in 1..3 {
        asked.push(session.request("tools/call", large.clone()).await);
        remote.until("it is called", |remote| remote.of("tools/call").len() == count).await;
    }
    session.send(&cancelled(asked[0])).await;
    let told = remote.called("notifications/cancelled").await;
    assert_eq!(told.message()["params"]["requestId"], asked[0]);
    let calls = remote.of("tools/call");
    remote.left(&calls[0]).await;
    let ping = session.request("ping", json!({})).await;
    let answer = session.answer(ping).await;
    assert_eq!(answer, rpc::answer(&remote.called("ping").await.message(), ""), "in the remote's words");
    assert!(!calls[1].has_left(), "the other is waited for");
}

#[tokio::test]
async fn a_client_that_is_initialized_again_and_again_is_listened_for_once() {
    let sessions = handshake::Handshake::default();
    let remote = Remote::start(move |request| match &*request.method {
        // One that never ends by itself.
        "GET" => Reply::stream(vec![Step::Bytes(chunk(b": \n\n")), Step::Hang]),
        _ => sessions.answer(request),
    });
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    for _ in 1..200 {
        let note = rpc::notification("notifications/initialized", json!({}));
        assert_eq!(session.post(&note).await.status(), 202);
    }
    let all = |remote: &Remote| remote.of("notifications/initialized").len() == 200;
    remote.until("all are told", all).await;
    let open = |remote: &Remote| remote.by("GET").iter().filter(|get| !get.has_left()).count();
    remote.until("few streams are open", |remote| open(remote) <= 2).await;
    goes_on(&session, 1).await;
    assert!(open(&remote) <= 2);
    // Those, and what requests came by.
    remote.until("few connections are open", |remote| remote.open_connections() <= 6).await;
    end(&gateway, &[&session]).await;
}

#[tokio::test]
async fn a_remote_that_forgets_and_then_hangs_is_not_waited_for_for_ever() {
    let (sessions, hangs) = (Arc::new(handshake::Handshake::default()), Arc::new(AtomicBool::new(false)));
    let (own, does) = (sessions.clone(), hangs.clone());
    let remote = Remote::start(move |request| match &*request.rpc() {
        "initialize" if does.load(Ordering::SeqCst) => Reply::raw(vec![Step::Hang]),
        _ => own.answer(request),
    });
    let tables = server("docs", &remote.url(), "");
    let gateway = Gateway::start(&format!("[timeouts]\nstart = \"1s\"\n{tables}"));
    let session = open(&gateway).await;
    hangs.store(true, Ordering::SeqCst);
    sessions.forget();
    is_told(&call(&session, 5, "echo", json!({})).await, 5, &["could not be initialized again"]);
    let given_up = remote.of("initialize").remove(1);
    remote.left(&given_up).await;
    hangs.store(false, Ordering::SeqCst);
    goes_on(&session, 6).await;
    end(&gateway, &[&session]).await;
}

/// A status that is no word on its era is none later either.
#[tokio::test]
async fn a_remote_that_was_out_of_order_when_it_was_asked_its_era_is_asked_again() {
    for (status, transport) in [(503, ""), (404, ""), (405, ""), (405, "transport = \"streamable\"")] {
        let (server, works) = (stateless::Stateless::default(), Arc::new(AtomicBool::new(false)));
        let does = works.clone();
        let remote = Remote::start(move |request| match does.load(Ordering::SeqCst) {
            true => server.answer(request),
            false => Reply::new(status, "text/html", "<p>Sorry</p>"),
        });
        let gateway = gateway(&remote, transport);
        is_told(&try_call(&gateway, "docs", 1, "echo", json!({})).await, 1, &[&status.to_string()]);
        let asked = remote.of("server/discover").len();
        works.store(true, Ordering::SeqCst);
        let answer = try_call(&gateway, "docs", 2, "echo", json!({ "x": 1 })).await;
        assert_eq!((&answer["id"], &answer["result"]["x"]), (&json!(2), &json!(1)), "{status}: {answer}");
        assert!(remote.of("server/discover").len() > asked, "{status}: it is asked again");
        assert_eq!(remote.of("echo").len(), 1, "{status}: nothing is called before that is known");
    }
}

/// What the client has answered, as it has reached the remote.
fn answers(remote: &Remote) -> Vec<Value> {
    let result = |request: Arc<Request>| request.message().get("result").cloned();
    remote.requests().into_iter().filter_map(result).collect()
}

#[tokio::test]
async fn an_answer_to_a_forgotten_session_is_none_to_the_next_one() {
    let (remote, sessions) = handshake::remote();
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    let mut listening = Events::of(session.get().await);
    let question = request(0, "elicitation/create", json!({ "message": "Sure?" }));
    remote.until("the first asks", |_| sessions.say(&question) == 1).await;
    assert_eq!(listening.message().await.unwrap(), question);
    let reason = json!({ "requestId": 0, "reason": "the server has ended the session" });
    let off = rpc::notification("notifications/cancelled", reason);
    sessions.forget();
    // By this it shows that the session is lost; what the client is told of that may come with it.
    let (mut told, _) = answer(session.post(&request(5, "echo", json!({}))).await, 5).await;
    while !told.contains(&off) {
        told.push(listening.message().await.unwrap());
    }
    let say = |action: &str| json!({ "jsonrpc": "2.0", "id": 0, "result": { "action": action } });
    session.post(&say("late")).await;
    remote.until("the next asks", |_| sessions.say(&question) == 1).await;
    while listening.message().await.unwrap() != question {}
    assert_eq!(session.post(&say("accept")).await.status(), 202);
    remote.until("it is answered", |remote| !answers(remote).is_empty()).await;
    goes_on(&session, 6).await;
    assert_eq!(answers(&remote), [json!({ "action": "accept" })]);
    end(&gateway, &[&session]).await;
}

#[tokio::test]
async fn what_the_old_transport_brings_is_passed_on_while_its_post_is_held() {
    let (old, door) = (legacy::Legacy::default(), Door::default());
    let shut = door.clone();
    let remote = Remote::start(move |request| match (old.answer(request), &*request.rpc()) {
        // The answer is on the stream by now.
        (taken, "session") => Reply::behind(&shut, taken),
        (reply, _) => reply,
    });
    let gateway = Gateway::start(&server("docs", &remote.at("/sse"), "transport = \"sse\""));
    let session = open(&gateway).await;
    assert_eq!(call(&session, 5, "session", json!({})).await["result"]["session"], "1");
    let held = remote.of("session").remove(0);
    goes_on(&session, 6).await;
    assert!(!held.has_left(), "it is still held");
    door.open();
    goes_on(&session, 7).await;
    end(&gateway, &[&session]).await;
}

/// What one session may have asked a remote at once.
const AT_ONCE: usize = 64;

#[tokio::test]
async fn only_so_many_calls_of_a_session_are_at_a_remote_at_once() {
    let remote = hanging();
    let gateway = gateway(&remote, "");
    let mut session = gateway.client().connect("docs").await;
    let mut bystander = gateway.client().connect("docs").await;
    for _ in 0..100 {
        session.request("tools/call", json!({ "name": "t" })).await;
    }
    let reached = || remote.of("tools/call");
    remote.until("as many are there as may be", |_| reached().len() >= AT_ONCE).await;
    for gone in 0..100 - AT_ONCE {
        assert!(reached().len() <= AT_ONCE + gone, "{} with {gone} cancelled", reached().len());
        let id = reached()[gone].message()["id"].as_u64().unwrap();
        session.send(&cancelled(id)).await;
        // The session is taken at its word in order, so it has been heard to the end of its calls by now.
        let told = |remote: &Remote| remote.of("notifications/cancelled").len() > gone;
        remote.until("it is told", told).await;
        remote.until("the next is called", |_| reached().len() > AT_ONCE + gone).await;
    }
    assert_eq!(reached().len(), 100);
    assert_eq!(bystander.call("echo", json!({ "x": 1 })).await, json!({ "x": 1 }));
}

/// A session of the `sse` transport, of which nothing more is read, and where its messages go.
async fn open_unread(gateway: &Gateway) -> (Response, String) {
    let mut stream = gateway.client().get("/docs/sse").send().await.unwrap();
    let mut text = String::new();
    while !text.ends_with("\n\n") {
        text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
    let endpoint = text.trim_end().strip_prefix("event: endpoint\ndata: ").unwrap().to_owned();
    (stream, endpoint)
}

#[tokio::test]
async fn large_replies_that_nobody_reads_fill_no_memory() {
    let (page, door) = ("x".repeat(4 << 20), Door::default());
    let shut = door.clone();
    let (remote, _) = handshake::remote_but("fault", move |request| {
        let id = &request.message()["id"];
        let reply = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"text":"{page}"}}}}"#);
        Reply::behind(&shut, Reply::new(200, "application/json", reply))
    });
    let gateway = gateway(&remote, "");
    let bystander = open(&gateway).await;
    let (unread, endpoint) = open_unread(&gateway).await;
    let before = gateway.peak();
    let begin = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {} });
    let calls = (1..=60).map(|id| request(id, "fault", json!({})));
    for message in std::iter::once(request(0, "initialize", begin)).chain(calls) {
        let posted = gateway.client().post(&endpoint, &message.to_string()).send().await.unwrap();
        assert_eq!(posted.status(), 202);
    }
    remote.until("all are called", |remote| remote.of("fault").len() == 60).await;
    door.open();
    for id in 0..100 {
        goes_on(&bystander, id).await;
    }
    // Two replies are held, each a few times on its way; all of them are 240 MiB.
    let grown = gateway.peak().saturating_sub(before);
    assert!(grown < 96 << 10, "{grown} KiB");
    drop(unread);
    end(&gateway, &[&bystander]).await;
}
