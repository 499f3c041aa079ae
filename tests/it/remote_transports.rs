//! How the gateway speaks to a remote, and how clients of each kind reach one (seeds D1.12, D3.11).

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use crate::events::{Endpoint, Events};
use crate::gateway::Gateway;
use crate::remote::{NEWEST, answer, call, end, gateway, goes_on, is_told, open, server};
use crate::scripted::reply::{Reply, Step, chunk};
use crate::scripted::{Remote, handshake, legacy, stateless};
use crate::stateless::{enveloped, mirrored, try_call};

const SSE: &str = "transport = \"sse\"";

/// A gateway whose server `docs` is at the remote's `/sse`.
fn before(remote: &Remote, more: &str) -> Gateway {
    Gateway::start(&server("docs", &remote.at("/sse"), more))
}

// D3.11
#[tokio::test]
async fn the_old_transport_is_spoken_to_an_endpoint_of_either_form() {
    for (remote, _) in [legacy::remote(""), legacy::absolute()] {
        let gateway = before(&remote, SSE);
        let session = open(&gateway).await;
        goes_on(&session, 1).await;
        let params = json!({ "count": 2, "_meta": { "progressToken": 1 } });
        let response = session.post(&crate::remote::request(2, "steps", params)).await;
        let (steps, last) = answer(response, 2).await;
        assert_eq!((steps.len(), &last["result"]["said"]), (2, &json!("done")));
        assert_eq!(remote.requests()[0].method, "GET", "nothing is tried that the settings rule out");
        assert!(remote.by("POST").iter().all(|post| post.path == "/message?sessionId=1"));
        assert_eq!(remote.by("GET")[0].header("accept"), Some("text/event-stream"));
        end(&gateway, &[&session]).await;
        remote.left(&remote.by("GET")[0]).await;
        assert!(remote.by("DELETE").is_empty());
    }
}

// What the settings put into the query is for every request, and most streams do not repeat it.
#[tokio::test]
async fn parameters_go_to_the_endpoint_of_the_old_transport_too() {
    let query = "query = { project = \"docs\", key = \"${DOCS_KEY}\" }";
    for transport in [SSE, "transport = \"auto\""] {
        let (remote, _) = legacy::remote("");
        let gateway = before(&remote, &format!("{transport}\n{query}"));
        let session = Endpoint::new(&gateway, "docs").header("env_docs_key", "a&b").open(NEWEST).await;
        goes_on(&session, 1).await;
        assert_eq!(remote.by("GET")[0].path, "/sse?key=a%26b&project=docs");
        let called = remote.of("echo").remove(0);
        assert_eq!(called.path, "/message?sessionId=1&key=a%26b&project=docs", "{transport}");
    }
}

// D3.11
#[tokio::test]
async fn an_endpoint_elsewhere_is_not_believed() {
    let (elsewhere, _) = handshake::remote();
    let (remote, _) = legacy::remote(&format!("http://{}", elsewhere.address));
    let gateway = before(&remote, SSE);
    let response = Endpoint::new(&gateway, "docs").initialize(NEWEST).await;
    is_told(&response.json::<Value>().await.unwrap(), 0, &["endpoint", "another origin"]);
    assert_eq!((elsewhere.connections(), remote.by("POST").len()), (0, 0));
    gateway.until_active(0).await;
}

// D3.11
#[tokio::test]
async fn the_old_transport_waits_for_the_endpoint_but_not_for_ever() {
    for (reply, words) in [
        ((|| Reply::stream(vec![Step::Hang])) as fn() -> Reply, &["endpoint", "no answer within 500ms"][..]),
        (
            || Reply::stream(vec![Step::Bytes(chunk(b"data: {}\n\n")), Step::Hang]),
            &["endpoint", "no answer within 500ms"],
        ),
        (|| Reply::messages(&[]), &["endpoint", "ended"]),
        (|| Reply::new(200, "text/html", "<p>"), &["text/html", "content type"]),
        (|| Reply::status(502), &["502"]),
    ] {
        let remote = Remote::start(move |_| reply());
        let settings = server("docs", &remote.at("/sse"), SSE);
        let gateway = Gateway::start(&format!("[timeouts]\nstart = \"500ms\"\n{settings}"));
        let response = Endpoint::new(&gateway, "docs").initialize(NEWEST).await;
        let answer = match response.headers()["content-type"].to_str().unwrap() {
            "application/json" => response.json().await.unwrap(),
            _ => answer(response, 0).await.1,
        };
        is_told(&answer, 0, words);
        assert!(remote.by("POST").is_empty());
        gateway.until_active(0).await;
    }
}

#[tokio::test]
async fn the_end_of_the_only_stream_fails_every_call_and_ends_the_session() {
    let (remote, remotes) = legacy::remote("");
    let gateway = before(&remote, SSE);
    let mut session = gateway.client().connect("docs").await;
    let waiting = [session.request("never", json!({})).await, session.request("never", json!({})).await];
    remote.until("both are asked", |remote| remote.of("never").len() == 2).await;
    remotes.end();
    let mut told = Vec::new();
    while let Some(message) = session.message().await {
        let id = message["id"].as_u64().unwrap();
        is_told(&message, id, &["ended its stream"]);
        told.push(id);
    }
    told.sort_unstable();
    assert_eq!(told, waiting, "each one once, then the end of the stream");
    gateway.until_active(0).await;
}

// D3.11: what no line may be is bounded, here as for a child.
#[tokio::test]
async fn a_line_of_the_old_transport_that_is_too_long_is_told() {
    let (remote, remotes) = legacy::remote("");
    let settings = server("docs", &remote.at("/sse"), SSE);
    let gateway = Gateway::start(&format!("[limits]\nline = \"1MiB\"\n{settings}"));
    let mut session = gateway.client().connect("docs").await;
    let id = session.request("never", json!({})).await;
    remote.called("never").await;
    remotes.send(&[&b"data: "[..], &vec![b'x'; 2 << 20], b"\n\n"].concat());
    is_told(&session.answer(id).await, id, &["more than the 1048576 bytes"]);
}

#[tokio::test]
async fn which_transport_a_remote_speaks_is_found_out() {
    let (streamable, _) = handshake::remote();
    let gateway = gateway(&streamable, "transport = \"auto\"");
    goes_on(&open(&gateway).await, 1).await;
    assert_eq!(streamable.requests()[0].rpc(), "initialize", "no other question comes first");
    // A refusal may have words, as Lockgate's own has.
    let words =
        json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32000, "message": "no such method" } });
    for (status, words) in [(400, ""), (404, ""), (405, ""), (405, &*words.to_string())] {
        let (old, words) = (legacy::Legacy::default(), words.to_owned());
        let remote = Remote::start(move |request| match (&*request.method, &*request.path) {
            ("POST", "/sse") => Reply::new(status, "application/json", &*words),
            _ => old.answer(request),
        });
        let gateway = before(&remote, "");
        goes_on(&open(&gateway).await, 1).await;
        let methods: Vec<_> = remote.requests().iter().map(|request| request.method.clone()).collect();
        assert_eq!(methods[..2], ["POST", "GET"], "{status}");
    }
}

#[tokio::test]
async fn what_is_no_sign_of_the_old_transport_is_not_taken_for_one() {
    for status in [401, 403, 429, 500, 503] {
        let remote = Remote::start(move |_| Reply::status(status));
        let gateway = gateway(&remote, "");
        let response = Endpoint::new(&gateway, "docs").initialize(NEWEST).await;
        is_told(&response.json().await.unwrap(), 0, &["credential", &status.to_string()]);
        assert!(remote.by("GET").is_empty(), "{status}");
    }
}

#[tokio::test]
async fn a_setting_is_not_second_guessed() {
    let (remote, _) = legacy::remote("");
    let gateway = before(&remote, "transport = \"streamable\"");
    let response = Endpoint::new(&gateway, "docs").initialize(NEWEST).await;
    is_told(&response.json().await.unwrap(), 0, &["405", "transport"]);
    assert!(remote.by("GET").is_empty());
}

// D1.12
#[tokio::test]
async fn a_client_of_the_old_transport_uses_any_remote() {
    let (streamable, _) = handshake::remote();
    let (old, _) = legacy::remote("");
    let tables = server("docs", &streamable.url(), "") + &server("old", &old.at("/sse"), SSE);
    let gateway = Gateway::start(&format!("[timeouts]\nheartbeat = \"100ms\"\n{tables}"));
    for name in ["docs", "old"] {
        let mut session = gateway.client().connect(name).await;
        assert!(session.endpoint.starts_with(&format!("/{name}/message?sessionId=")));
        assert!(!session.endpoint.contains("remote-session"));
        assert_eq!(session.call("echo", json!({ "x": 1 })).await, json!({ "x": 1 }));
        while session.event().await.unwrap() != ": keepalive" {}
        let bare = crate::client::http().build().unwrap().post(gateway.url(&session.endpoint)).body("{}");
        assert_eq!(bare.send().await.unwrap().status(), 401, "an endpoint is no secret");
        let wrong = crate::client::Client::new(&gateway.url(""), "wrong").post(&session.endpoint, "{}");
        assert_eq!(wrong.send().await.unwrap().status(), 401);
    }
    gateway.until_active(0).await;
}

#[tokio::test]
async fn a_remote_without_sessions_serves_clients_without_sessions() {
    let (remote, remotes) = stateless::remote();
    let gateway = gateway(&remote, "");
    let answer = try_call(&gateway, "docs", 1, "echo", json!({ "x": 1 })).await;
    assert_eq!((&answer["id"], &answer["result"]["x"]), (&json!(1), &json!(1)));
    let named = json!({ "name": "caf\u{e9} \u{2603}", "arguments": {} });
    let body = enveloped(2, "tools/call", named);
    // The name goes into a header as 2026-07-28 says.
    let encoded = format!("=?base64?{}?=", BASE64_STANDARD.encode("caf\u{e9} \u{2603}"));
    let plain = mirrored(&gateway, "docs", &enveloped(2, "tools/call", json!({ "name": "x" })));
    plain.header("mcp-name", &encoded).post(&body).await;
    remote.until("it is called", |remote| !remote.of("tools/call").is_empty()).await;
    assert_eq!(remote.of("tools/call")[0].header("mcp-name"), Some(&*encoded));
    let params = json!({ "count": 2, "_meta": { "progressToken": "t" } });
    let body = enveloped(3, "steps", params);
    let (steps, _) = crate::remote::answer(mirrored(&gateway, "docs", &body).post(&body).await, 3).await;
    assert!(steps.iter().all(|step| step["params"]["progressToken"] == "t") && steps.len() == 2);
    let listen =
        enveloped("l", "subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    let mut events = Events::of(mirrored(&gateway, "docs", &listen).post(&listen).await);
    assert_eq!(events.message().await.unwrap()["method"], "notifications/subscriptions/acknowledged");
    remotes.touch();
    let changed = events.message().await.unwrap();
    assert_eq!(changed["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "l");
    let listening = remote.called("subscriptions/listen").await;
    drop(events);
    remote.left(&listening).await;
    assert!(
        remote.requests().iter().all(|sent| sent.method == "POST" && sent.header("mcp-session-id").is_none())
    );
}

#[tokio::test]
async fn clients_without_sessions_are_never_shown_the_answers_of_others() {
    let (remote, _) = stateless::remote();
    let gateway = std::sync::Arc::new(gateway(&remote, ""));
    let mut clients = Vec::new();
    for client in 0..10u64 {
        let gateway = gateway.clone();
        clients.push(tokio::spawn(async move {
            for call in 0..20u64 {
                let own = json!({ "client": client, "call": call });
                let answer = try_call(&gateway, "docs", call, "echo", own.clone()).await;
                assert_eq!(answer["result"]["client"], own["client"]);
                assert_eq!((&answer["id"], &answer["result"]["call"]), (&json!(call), &own["call"]));
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn clients_of_either_era_are_served_and_in_their_own_where_the_remote_has_both() {
    let (sessions, _) = handshake::remote();
    let (none, _) = stateless::remote();
    let tables = server("docs", &sessions.url(), "") + &server("none", &none.url(), "");
    let gateway = Gateway::start(&tables);
    let answer = try_call(&gateway, "docs", 1, "session", json!({})).await;
    assert_eq!(answer["result"]["session"], "remote-session-1", "{answer}");
    let session = Endpoint::new(&gateway, "none").open(NEWEST).await;
    let answer = call(&session, 1, "session", json!({})).await;
    assert_eq!(answer["result"]["session"], "none", "{answer}");
    let dual = stateless::dual();
    let gateway = self::gateway(&dual, "");
    let session = open(&gateway).await;
    assert_eq!(call(&session, 1, "session", json!({})).await["result"]["session"], "remote-session-1");
    let answer = try_call(&gateway, "docs", 1, "session", json!({})).await;
    assert_eq!(answer["result"]["session"], "none");
}
