//! What happens to messages on their way (seeds D0.5, D0.9; promises 2 and 3).

use serde_json::{Value, json};

use crate::gateway::{Gateway, until};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn payloads_pass_byte_for_byte() {
    let gateway = Gateway::start("");
    let mut session = gateway.client().connect("peer").await;
    let params = r#"{"n":12345678901234567890123,"dup":1,"dup":2,"s":"\ud83d\ude00\u2028 é 😀 \\ \" "}"#;
    let text = format!(r#"{{"jsonrpc":"2.0","id":"q\/1","method":"raw","params":{params}}}"#);
    assert_eq!(session.post_raw(text.clone()).send().await.unwrap().status(), 202);
    let answer = session.message().await.unwrap();
    assert_eq!(answer["id"], "q/1");
    assert_eq!(answer["result"], text);
    // Line breaks between tokens do not split the message.
    let broken = "{\r\n\"jsonrpc\":\"2.0\",\n\"id\":7,\"method\":\"echo\",\"params\":[\n1]}";
    assert_eq!(session.post_raw(broken).send().await.unwrap().status(), 202);
    assert_eq!(session.message().await.unwrap()["result"], json!([1]));
    // A line separator inside a string reaches the client as an escape, in one event.
    assert_eq!(
        session.call("echo", json!({ "s": "a\u{2028}b\u{2029}c\u{85}d" })).await["s"],
        "a\u{2028}b\u{2029}c\u{85}d"
    );
}

#[tokio::test]
async fn requests_notifications_and_answers_pass_in_both_directions() {
    let gateway = Gateway::start("");
    let mut session = gateway.client().connect("peer").await;
    // The server asks with an id that the client is using, too.
    let id = session.request("ask", json!({ "id": 1 })).await;
    let question = session.message().await.unwrap();
    assert_eq!((&question["method"], &question["id"]), (&json!("roots/list"), &json!(1)));
    session.send(&json!({ "jsonrpc": "2.0", "id": 1, "result": { "roots": ["r"] } })).await;
    assert_eq!(session.answer(id).await["result"], json!({ "roots": ["r"] }));
    session.call("notes", json!({ "count": 1000 })).await;
    let order: Vec<u64> = session.aside.drain(..).map(|note| note["params"]["n"].as_u64().unwrap()).collect();
    assert_eq!(order, (0..1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn noise_bad_utf8_and_a_flood_on_stderr_cost_nothing() {
    let gateway = Gateway::start("");
    let mut session = gateway.client().connect("peer").await;
    assert_eq!(session.call("noise", json!({})).await, "done");
    assert!(session.aside.is_empty(), "noise reached the client: {:?}", session.aside);
    assert_eq!(session.call("bad_utf8", json!({})).await, "a\u{fffd}");
    assert_eq!(session.call("stderr", json!({ "bytes": 4 * MIB })).await, "done");
}

#[tokio::test]
async fn a_message_at_the_limit_passes_and_one_byte_more_fails_alone() {
    let gateway = Gateway::start("");
    let mut session = gateway.client().connect("peer").await;
    let message = |id: usize, length: usize| {
        let head = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"echo","params":["#);
        format!("{head}\"{}\"]}}", "x".repeat(length - head.len() - 4))
    };
    let largest = message(1000, 4 * MIB);
    assert_eq!(largest.len(), 4 * MIB);
    assert_eq!(session.post_raw(largest.clone()).send().await.unwrap().status(), 202);
    let sent: Value = serde_json::from_str(&largest).unwrap();
    assert_eq!(session.answer(1000).await["result"], sent["params"]);
    let response = session.post_raw(message(1001, 4 * MIB + 1)).send().await.unwrap();
    assert_eq!(response.status(), 413);
    assert!(response.text().await.unwrap().contains("limits.message"));

    let id = session.request("big", json!({ "bytes": 16 * MIB })).await;
    let answer = session.answer(id).await;
    let head = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":\"").len();
    assert_eq!(answer["result"].as_str().unwrap().len(), 16 * MIB - head - 2);
    let id = session.request("big", json!({ "bytes": 16 * MIB + 1 })).await;
    let error = session.answer(id).await;
    assert!(error["error"]["message"].as_str().unwrap().contains("limits.line"), "{error}");
    assert_eq!(session.call("echo", json!([1])).await, json!([1]), "the session lives on");
}

#[tokio::test]
async fn an_idle_stream_gets_heartbeats_even_before_the_child_has_spoken() {
    let gateway = Gateway::start("[timeouts]\nheartbeat = \"100ms\"");
    let mut session = gateway.client().open("peer").await;
    for _ in 0..3 {
        assert_eq!(session.event().await.unwrap(), ": keepalive");
    }
}

#[tokio::test]
async fn before_initialize_everything_is_answered_at_once() {
    let gateway = Gateway::start("");
    let mut session = gateway.client().open("peer").await;
    let id = session.request("tools/list", json!({})).await;
    let message = session.answer(id).await["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("has not been initialized"), "{message}");
    let note =
        session.post_raw(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).send().await.unwrap();
    assert_eq!(note.status(), 400);
    session.initialize().await;
}

#[tokio::test]
async fn a_client_that_reconnected_goes_on_without_a_second_initialize() {
    let gateway = Gateway::start("");
    let mut session = gateway.client().open("peer").await;
    let request = r#"{"jsonrpc":"2.0","id":41,"method":"echo","params":["again"]}"#;
    let posted = session.post_raw(request).header("mcp-protocol-version", "2025-06-18").send().await.unwrap();
    assert_eq!(posted.status(), 202);
    assert_eq!(session.answer(41).await["result"], json!(["again"]));
    assert!(session.aside.is_empty(), "the handshake's answer reached the client: {:?}", session.aside);
    assert_eq!(session.call("echo", json!(["more"])).await, json!(["more"]));
}

#[tokio::test]
async fn a_request_that_takes_too_long_fails_and_its_late_answer_goes_to_nobody() {
    let gateway = Gateway::start("[timeouts]\nrequest = \"200ms\"");
    let mut session = gateway.client().connect("peer").await;
    let id = session.request("never", json!({})).await;
    let error = session.answer(id).await;
    assert!(error["error"]["message"].as_str().unwrap().contains("did not answer within 200ms"), "{error}");
    assert_eq!(session.call("later", json!({ "id": id })).await, "done");
    assert!(session.aside.is_empty(), "the late answer was delivered");
}

#[tokio::test]
async fn a_request_id_that_is_open_cannot_be_used_again() {
    let gateway = Gateway::start("");
    let session = gateway.client().connect("peer").await;
    let request = r#"{"jsonrpc":"2.0","id":9,"method":"never"}"#;
    assert_eq!(session.post_raw(request).send().await.unwrap().status(), 202);
    let again = session.post_raw(request).send().await.unwrap();
    assert_eq!(again.status(), 400);
    let body: Value = again.json().await.unwrap();
    assert_eq!((&body["id"], &body["error"]["code"]), (&json!(9), &json!(-32600)));
}

#[tokio::test]
async fn a_child_that_reads_nothing_makes_its_client_wait_and_nobody_else() {
    let peer = crate::gateway::peer();
    let gateway =
        Gateway::start(&format!("[servers.deaf]\nrun = \"{peer} --deaf\"\n[limits]\nqueue = \"64KiB\""));
    let deaf = gateway.client().open("deaf").await;
    let filler = "x".repeat(32 << 10);
    let mut refused = None;
    for id in 0..20 {
        let method = if id == 0 { "initialize" } else { "m" };
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":["{filler}"]}}"#);
        let response = deaf.post_raw(body).send().await.unwrap();
        if response.status() != 202 {
            refused = Some(response);
            break;
        }
    }
    let refused = refused.expect("the queue has an end");
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    gateway.client().connect("peer").await;
}

/// Opens a session of `peer`, floods its client, who reads the endpoint from the raw socket and nothing more.
async fn flooded(gateway: &Gateway) -> tokio::net::TcpStream {
    let mut stream = tokio::net::TcpStream::connect(&gateway.address).await.unwrap();
    let endpoint = crate::raw::open(&mut stream, "peer").await;
    let pad = "x".repeat(1000);
    for body in [
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}"#.to_owned(),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"notes","params":{{"count":100000,"pad":"{pad}"}}}}"#),
    ] {
        assert_eq!(gateway.client().post(&endpoint, &body).send().await.unwrap().status(), 202);
    }
    stream
}

#[tokio::test]
async fn a_client_that_reads_nothing_makes_its_server_wait_and_costs_little_memory() {
    let gateway = Gateway::start("[limits]\nqueue = \"64KiB\"");
    let _stream = flooded(&gateway).await;
    // 100 MB are on their way; the server gets rid of what pipe, queue and socket hold.
    gateway.until_stuck(1).await;
    let resident = gateway.resident();
    assert!(resident < 48 << 10, "{resident} KiB");
    gateway.client().connect("peer").await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off_and_its_child_with_it() {
    let settings =
        "[timeouts]\nstalled_reader = \"500ms\"\nheartbeat = \"100ms\"\n[limits]\nqueue = \"64KiB\"";
    let gateway = Gateway::start(settings);
    let _stream = flooded(&gateway).await;
    let pid = *gateway.descendants().first().unwrap();
    until("the child is gone", || !crate::traces::is_alive(pid)).await;
    until("the log says why", || gateway.log().contains("the client read nothing for 500ms")).await;
}
