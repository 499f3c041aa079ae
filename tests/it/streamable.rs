//! Sessions of Streamable HTTP, 2025-03-26 to 2025-11-25 (protocol.md section 2; seeds D2 and D4).

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::events::{Endpoint, Events, fault};
use crate::gateway::{Gateway, until, until_told};
use crate::tenants::tenant;
use crate::traces::is_alive;

const NEWEST: &str = "2025-11-25";

fn request(id: u64, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

fn cancelled(id: u64) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } })
}

#[tokio::test]
async fn initialize_opens_a_session_of_its_own_with_and_without_a_slash() {
    let gateway = Gateway::start("");
    let mut pids = Vec::new();
    for path in ["peer", "peer"] {
        let mut endpoint = Endpoint::new(&gateway, path);
        endpoint.url.push_str(if pids.is_empty() { "" } else { "/" });
        let session = endpoint.open("some-other-version").await;
        assert_eq!(session.headers[0].1.len(), 43);
        pids.push(session.call(1, "pid", json!({})).await["result"].clone());
    }
    assert_ne!(pids[0], pids[1]);
    assert_eq!(gateway.descendants().len(), 2);
}

#[tokio::test]
async fn a_session_is_found_by_its_owner_at_its_server_only() {
    let gateway = Gateway::start(&tenant("a", &["a"], ""));
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    let id = session.headers[0].1.clone();
    let ping = request(1, "echo", json!({}));
    let unknown = "A".repeat(43);
    let others = [
        Endpoint::new(&gateway, "peer").in_session(&unknown),
        Endpoint::new(&gateway, "peer").in_session("not an id"),
        Endpoint::new(&gateway, "other").in_session(&id),
        Endpoint::new(&gateway, "peer").in_session(&id).of_tenant("a"),
    ];
    for other in &others {
        let (status, code, body) = fault(other.post(&ping).await).await;
        assert_eq!((status, code), (404, -32001));
        assert_eq!(body["id"], 1);
        assert_eq!(other.get().await.status(), 404);
        assert_eq!(other.request(Method::DELETE).send().await.unwrap().status(), 404);
    }
    // Neither does one transport take the sessions of another.
    let sse = gateway.client().connect("peer").await;
    let sse_id = sse.endpoint.rsplit('=').next().unwrap();
    assert_eq!(Endpoint::new(&gateway, "peer").in_session(sse_id).post(&ping).await.status(), 404);
    let posted = gateway.client().post(&format!("/peer/message?sessionId={id}"), &ping.to_string());
    assert_eq!(posted.send().await.unwrap().status(), 404);
    assert_eq!(session.call(2, "echo", json!(["still here"])).await["result"], json!(["still here"]));
}

#[tokio::test]
async fn what_is_no_beginning_is_told_how_to_begin() {
    let gateway = Gateway::start("");
    let bare = Endpoint::new(&gateway, "peer");
    let (status, code, body) = fault(bare.post(&request(7, "tools/list", json!({}))).await).await;
    assert_eq!((status, code, &body["id"]), (400, -32000, &json!(7)));
    assert!(body["error"]["message"].as_str().unwrap().contains("`initialize`"));
    for method in [Method::GET, Method::DELETE] {
        let response = bare.request(method).send().await.unwrap();
        assert_eq!(response.headers()["allow"], "POST, OPTIONS");
        assert_eq!(response.status(), 405);
    }
    let put = bare.request(Method::PUT).send().await.unwrap();
    assert_eq!(
        (put.status(), &put.headers()["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &"GET, POST, DELETE, OPTIONS".parse().unwrap())
    );
    let session = bare.open(NEWEST).await;
    let (status, code, _) = fault(session.initialize(NEWEST).await).await;
    assert_eq!((status, code), (400, -32600));
    assert_eq!(gateway.descendants().len(), 1);
}

#[tokio::test]
async fn a_server_that_refuses_leaves_no_session() {
    let gateway = Gateway::start("");
    let response = Endpoint::new(&gateway, "peer").initialize("refuse").await;
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("mcp-session-id"));
    assert_eq!(response.json::<Value>().await.unwrap()["error"]["code"], -32602);
    gateway.until_active(0).await;
}

#[tokio::test]
async fn a_client_that_leaves_before_it_knows_its_session_leaves_none() {
    let gateway = Gateway::start(&format!("[servers.silent]\nrun = \"{} --silent\"", crate::gateway::peer()));
    let endpoint = Endpoint::new(&gateway, "silent");
    let waiting = tokio::spawn(async move { endpoint.initialize(NEWEST).await });
    gateway.until_active(1).await;
    waiting.abort();
    gateway.until_active(0).await;
    until("no process is left", || gateway.descendants().is_empty()).await;
}

#[tokio::test]
async fn ids_come_back_as_they_were_whatever_the_order_of_the_answers() {
    let gateway = Gateway::start("");
    let session = std::sync::Arc::new(Endpoint::new(&gateway, "peer").open(NEWEST).await);
    for id in [r#""a\/b""#, "0", r#""1""#, "1", "-5"] {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"raw","params":{{"x":12345678901234567890123}}}}"#
        );
        let answer = session.post_raw(text.clone()).await;
        let answer = answer.text().await.unwrap();
        let parsed: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(parsed["id"], serde_json::from_str::<Value>(id).unwrap(), "{answer}");
    }
    // The last is answered first.
    let mut waiting = Vec::new();
    for id in 10..20 {
        let session = session.clone();
        waiting.push(tokio::spawn(async move { session.post(&request(id, "never", json!({}))).await }));
    }
    let heard = async || session.call(99, "heard", json!({})).await["result"].to_string();
    until_told("all are heard", async || heard().await.matches(r#"\"never\""#).count() == 10).await;
    for (count, id) in (10..20).rev().enumerate() {
        session.call(100 + count as u64, "later", json!({ "id": id })).await;
    }
    for (id, task) in (10..20).zip(waiting) {
        let answer: Value = task.await.unwrap().json().await.unwrap();
        assert_eq!((&answer["id"], &answer["result"]), (&json!(id), &json!("late")));
    }
}

#[tokio::test]
async fn notifications_reach_the_child_once_and_are_answered_with_nothing() {
    let gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    let note = r#"{"jsonrpc":"2.0","method":"notifications/x","params":{"n":12345678901234567890123}}"#;
    let response = session.post_raw(note).await;
    assert_eq!(response.status(), 202);
    assert!(response.text().await.unwrap().is_empty());
    let heard = session.call(1, "heard", json!({})).await;
    let lines: Vec<_> = heard["result"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
    assert_eq!(lines.iter().filter(|line| line.contains("notifications/initialized")).count(), 1);
    assert_eq!(lines.iter().filter(|line| **line == note).count(), 1);
}

#[tokio::test]
async fn what_precedes_an_answer_makes_it_a_stream_with_ids() {
    let gateway = Gateway::start("");
    for (revision, primes) in [("2025-03-26", false), ("2025-06-18", false), (NEWEST, true)] {
        let session = Endpoint::new(&gateway, "peer").open(revision).await;
        let params = json!({ "count": 3, "_meta": { "progressToken": "t" } });
        let mut events = Events::of(session.post(&request(5, "steps", params)).await);
        if primes {
            let first = events.next().await.unwrap();
            assert_eq!((first.data.as_deref(), first.retry.as_deref()), (Some(""), Some("1000")));
            assert!(first.id.unwrap().ends_with("-0"));
        }
        for n in 1..=3 {
            let event = events.next().await.unwrap();
            assert!(event.id.unwrap().ends_with(&format!("-{n}")));
            let message: Value = serde_json::from_str(&event.data.unwrap()).unwrap();
            assert_eq!(
                (&message["params"]["progress"], &message["params"]["progressToken"]),
                (&json!(n), &json!("t"))
            );
        }
        assert_eq!(events.message().await.unwrap()["result"], "done");
        assert_eq!(events.next().await, None);
        assert_eq!(session.call(6, "echo", json!([1])).await["result"], json!([1]));
    }
}

#[tokio::test]
async fn a_question_of_the_server_comes_with_the_call_it_belongs_to() {
    let gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    let mut call = Events::of(session.post(&request(1, "ask", json!({ "id": 1 }))).await);
    let question = call.message().await.unwrap();
    assert_eq!((&question["method"], &question["id"]), (&json!("roots/list"), &json!(1)));
    let answer = session.post(&json!({ "jsonrpc": "2.0", "id": 1, "result": { "roots": ["r"] } })).await;
    assert_eq!(answer.status(), 202);
    assert_eq!(call.message().await.unwrap()["result"], json!({ "roots": ["r"] }));
    assert_eq!(call.next().await, None);
}

#[tokio::test]
async fn each_message_comes_on_exactly_one_stream() {
    let gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    let mut listening = Events::of(session.get().await);
    assert_eq!(listening.next().await.unwrap().id.unwrap(), "0-0");
    // Two calls are open: what belongs to neither comes on the listening stream, progress on its own.
    let waiting = tokio::spawn({
        let request = session.request(Method::POST).header("content-type", "application/json");
        request.body(request_text(1, "never")).send()
    });
    let params = json!({ "count": 2, "_meta": { "progressToken": 1 } });
    let mut steps = Events::of(session.post(&request(2, "steps", params)).await);
    for n in 1..=2 {
        assert_eq!(steps.message().await.unwrap()["params"]["progress"], n);
    }
    assert_eq!(steps.message().await.unwrap()["result"], "done");
    assert_eq!(steps.next().await, None);
    assert_eq!(session.call(3, "notes", json!({ "count": 2 })).await["result"], "done");
    assert_eq!(session.call(4, "log", json!({ "text": "x" })).await["result"], "done");
    for expected in [json!(0), json!(1)] {
        assert_eq!(listening.message().await.unwrap()["params"]["n"], expected);
    }
    assert_eq!(listening.message().await.unwrap()["method"], "notifications/message");
    waiting.abort();
}

fn request_text(id: u64, method: &str) -> String {
    request(id, method, json!({})).to_string()
}

#[tokio::test]
async fn what_comes_before_the_listening_stream_waits_for_it_and_a_second_replaces_the_first() {
    let gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    session.call(1, "notes", json!({ "count": 3 })).await;
    let mut first = Events::of(session.get().await);
    for n in 0..3 {
        assert_eq!(first.message().await.unwrap()["params"]["n"], n);
    }
    let mut second = Events::of(session.get().await);
    assert_eq!(first.next().await, None);
    assert_eq!(second.next().await.unwrap().id.unwrap(), "0-3");
    session.call(2, "notes", json!({ "count": 1 })).await;
    assert_eq!(second.message().await.unwrap()["params"]["n"], 0);
}

/// Has the server ask something, with id 9, while no call of ours is open that the question could belong to, until it
/// has an answer.
async fn ask_unasked(gateway: &Gateway, session: &Endpoint) {
    let mark = gateway.homes()[0].join("answered");
    let params = json!({ "id": 9, "mark": mark });
    let asking = session.post(&json!({ "jsonrpc": "2.0", "method": "ask", "params": params })).await;
    assert_eq!(asking.status(), 202);
    until("the question is answered", || mark.exists()).await;
}

#[tokio::test]
async fn a_question_that_nobody_can_be_asked_is_answered_for_the_client() {
    let gateway = Gateway::start("[timeouts]\nstalled_reader = \"300ms\"");
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    ask_unasked(&gateway, &session).await;
    let heard = session.call(2, "heard", json!({})).await["result"].to_string();
    assert!(heard.contains(r#"\"id\":9,\"error\""#) && heard.contains("no stream open"), "{heard}");
}

#[tokio::test]
async fn delete_ends_the_session_once() {
    let mut gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    let pid = session.call(1, "pid", json!({})).await["result"].as_u64().unwrap() as u32;
    let mut listening = Events::of(session.get().await);
    let delete = || session.request(Method::DELETE).send();
    assert_eq!(delete().await.unwrap().status(), 200);
    assert_eq!(delete().await.unwrap().status(), 404);
    assert_eq!(session.post(&request(2, "pid", json!({}))).await.status(), 404);
    while listening.next().await.is_some() {}
    until("the child is gone", || !is_alive(pid)).await;
    gateway.until_active(0).await;
    gateway.signal("TERM");
    assert!(gateway.wait().success());
}

#[tokio::test]
async fn the_version_header_is_believed_only_if_it_names_a_version() {
    let gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "peer").open("2025-06-18").await;
    for version in ["2024-10-07", "2024-11-05", "2025-03-26", "2025-06-18", NEWEST] {
        let session = Endpoint::new(&gateway, "peer")
            .in_session(&session.headers[0].1)
            .header("mcp-protocol-version", version);
        session.call(1, "echo", json!({})).await;
    }
    let id = session.headers[0].1.clone();
    let without = Endpoint::new(&gateway, "peer").in_session(&id);
    without.call(2, "echo", json!({})).await;
    let wrong = without.header("mcp-protocol-version", "1999-01-01");
    let (status, code, body) = fault(wrong.post(&request(3, "echo", json!({}))).await).await;
    assert_eq!((status, code), (400, -32000));
    assert!(body["error"]["message"].as_str().unwrap().contains("2025-11-25"));
    assert_eq!(wrong.get().await.status(), 400);
    assert_eq!(wrong.request(Method::DELETE).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn only_the_first_revision_has_batches() {
    let gateway = Gateway::start("");
    let old = Endpoint::new(&gateway, "peer").open("2025-03-26").await;
    let batch = json!([request(1, "echo", json!([1])), request(2, "echo", json!([2]))]);
    let answers: Value = old.post(&batch).await.json().await.unwrap();
    let mut results: Vec<_> = answers.as_array().unwrap().iter().map(|a| a["result"][0].clone()).collect();
    results.sort_by_key(|n| n.as_u64());
    assert_eq!(results, [1, 2]);
    let notes = json!([{ "jsonrpc": "2.0", "method": "a" }, { "jsonrpc": "2.0", "method": "b" }]);
    assert_eq!(old.post(&notes).await.status(), 202);
    // A member that cannot be taken is answered in its place.
    let doubled = json!([request(3, "echo", json!([3])), request(3, "echo", json!([3]))]);
    let answers: Value = match old.post(&doubled).await {
        response if response.headers()["content-type"] == "application/json" => {
            response.json().await.unwrap()
        }
        response => {
            let mut events = Events::of(response);
            json!([events.message().await, events.message().await])
        }
    };
    assert!(answers.to_string().contains("still open"), "{answers}");
    assert!(answers.to_string().contains(r#""result":[3]"#), "{answers}");
    let many: Vec<_> = (0..101).map(|n| request(n, "echo", json!({}))).collect();
    for bad in [json!([]), json!(many), json!([1]), json!([request(1, "initialize", json!({}))])] {
        let (status, code, _) = fault(old.post(&bad).await).await;
        assert_eq!((status, code), (400, -32600), "{bad}");
    }
    let new = Endpoint::new(&gateway, "peer").open("2025-06-18").await;
    assert_eq!(fault(new.post(&batch).await).await.1, -32600);
}

#[tokio::test]
async fn a_call_off_ends_the_call_and_nothing_else() {
    let gateway = Gateway::start("");
    let session = std::sync::Arc::new(Endpoint::new(&gateway, "peer").open(NEWEST).await);
    let params = json!({ "count": 1, "_meta": { "progressToken": 1 } });
    let mut steps = Events::of(session.post(&request(1, "steps", params)).await);
    while steps.next().await.is_some() {}
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.post(&request(7, "never", json!({}))).await }
    });
    let heard = async || session.call(2, "heard", json!({})).await["result"].to_string();
    until_told("it is heard", async || heard().await.contains("never")).await;
    assert_eq!(session.post(&cancelled(7)).await.status(), 202);
    let response = waiting.await.unwrap();
    assert_eq!(Events::of(response).next().await, None);
    assert!(
        session.call(3, "heard", json!({})).await["result"].to_string().contains("notifications/cancelled")
    );
    // The late answer goes to nobody, and the id is free again.
    session.call(4, "later", json!({ "id": 7 })).await;
    assert_eq!(session.call(7, "echo", json!([7])).await["result"], json!([7]));
}

#[tokio::test]
async fn a_child_that_ends_fails_what_is_open_and_the_session_with_it() {
    let gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    let bystander = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    let answer = session.call(1, "exit", json!({ "status": 3, "stderr": "last words\n" })).await;
    assert_eq!(answer["error"]["code"], -32603);
    let text = answer["error"]["message"].as_str().unwrap();
    assert!(text.contains("status 3") && text.contains("last words"), "{text}");
    assert_eq!(session.post(&request(2, "pid", json!({}))).await.status(), 404);
    bystander.call(1, "echo", json!({})).await;
}

#[tokio::test]
async fn a_request_without_an_answer_fails_in_time_and_the_session_goes_on() {
    let gateway = Gateway::start("[timeouts]\nrequest = \"200ms\"");
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    let answer = session.call(1, "never", json!({})).await;
    assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32603), &json!(1)));
    assert_eq!(session.call(2, "later", json!({ "id": 1 })).await["result"], "done");
}

#[tokio::test]
async fn bodies_and_media_types_are_checked() {
    let gateway = Gateway::start("[limits]\nmessage = \"4MiB\"");
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    let echo = request(1, "echo", json!({}));
    assert_eq!(fault(session.post_raw("{").await).await.1, -32700);
    assert_eq!(fault(session.post_raw("{}").await).await.1, -32600);
    assert_eq!(session.post_raw("x".repeat(5 << 20)).await.status(), 413);
    let plain = session.request(Method::POST).header("content-type", "text/plain").body(echo.to_string());
    assert_eq!(plain.send().await.unwrap().status(), 415);
    for (accept, status) in [
        ("*/*", 200),
        ("application/*, text/*;q=0.5", 200),
        ("application/json", 406),
        ("image/png", 406),
        ("text/event-stream", 200),
    ] {
        let id = session.headers[0].1.clone();
        let endpoint = Endpoint::new(&gateway, "peer").in_session(&id).header("accept", accept);
        let response = endpoint.post(&echo).await;
        assert_eq!(response.status(), status, "{accept}");
        if accept == "text/event-stream" {
            assert_eq!(Events::of(response).message().await.unwrap()["result"], json!({}));
        }
    }
    let id = session.headers[0].1.clone();
    let json_only = Endpoint::new(&gateway, "peer").in_session(&id).header("accept", "application/json");
    assert_eq!(json_only.get().await.status(), 406);
}

#[tokio::test]
async fn large_messages_pass_both_ways_as_json() {
    let gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    let text = "x".repeat(3 << 20);
    assert_eq!(session.call(1, "echo", json!([text])).await["result"][0], text);
    let big = session.call(2, "big", json!({ "bytes": 8 << 20 })).await;
    assert!(big["result"].as_str().unwrap().len() > 8_000_000);
}

#[tokio::test]
async fn an_idle_session_ends_and_activity_postpones_it() {
    let gateway = Gateway::start("[timeouts]\nidle = \"700ms\"\nlifetime = \"1h\"");
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    let mut listening = Events::of(session.get().await);
    listening.next().await.unwrap();
    while listening.next().await.is_some() {}
    assert_eq!(session.post(&request(1, "pid", json!({}))).await.status(), 404);
    gateway.until_active(0).await;
}

#[tokio::test]
async fn a_drain_lets_calls_finish_and_ends_streams() {
    let mut gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    let mut listening = Events::of(session.get().await);
    let params = json!({ "count": 30, "pause_ms": 20, "_meta": { "progressToken": 1 } });
    let mut steps = Events::of(session.post(&request(5, "steps", params)).await);
    steps.message().await.unwrap();
    gateway.signal("TERM");
    let mut last = Value::Null;
    while let Some(message) = steps.message().await {
        last = message;
    }
    assert_eq!(last["result"], "done");
    while listening.next().await.is_some() {}
    assert!(gateway.wait().success());
}

#[tokio::test]
async fn browsers_and_clients_that_look_for_oauth_get_clear_answers() {
    let gateway = Gateway::start("[access]\norigins = [\"https://app.example\"]");
    let http = crate::client::http().build().unwrap();
    for path in [
        "/.well-known/oauth-protected-resource/peer/mcp",
        "/.well-known/oauth-protected-resource",
        "/.well-known/openid-configuration",
        "/.well-known/mcp",
    ] {
        assert_eq!(http.get(gateway.url(path)).send().await.unwrap().status(), 404, "{path}");
    }
    assert_eq!(http.post(gateway.url("/register")).send().await.unwrap().status(), 404);
    for (method, secret) in [(Method::POST, None), (Method::GET, Some("wrong")), (Method::DELETE, None)] {
        let mut request = http.request(method, gateway.url("/peer/mcp"));
        if let Some(secret) = secret {
            request = request.bearer_auth(secret);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"lockgate\"");
        assert_eq!(fault(response).await.0, 401);
    }
    let preflight = http
        .request(Method::OPTIONS, gateway.url("/peer/mcp"))
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "mcp-session-id, last-event-id, mcp-method, mcp-param-x, evil",
        );
    let granted = preflight.send().await.unwrap();
    assert_eq!(granted.status(), 204);
    assert_eq!(granted.headers()["access-control-allow-methods"], "GET, POST, DELETE, OPTIONS");
    assert_eq!(
        granted.headers()["access-control-allow-headers"],
        "mcp-session-id, last-event-id, mcp-method, mcp-param-x"
    );
    let endpoint = Endpoint::new(&gateway, "peer").header("origin", "https://app.example");
    let opened = endpoint.initialize(NEWEST).await;
    assert!(opened.headers()["access-control-expose-headers"].to_str().unwrap().contains("Mcp-Session-Id"));
    assert_eq!(opened.headers()["access-control-allow-origin"], "https://app.example");
}

#[tokio::test]
async fn streams_name_their_session_and_show_signs_of_life() {
    let gateway = Gateway::start("[timeouts]\nheartbeat = \"100ms\"");
    let session = Endpoint::new(&gateway, "peer").open("2025-06-18").await;
    let response = session.get().await;
    assert_eq!(response.headers()["mcp-session-id"], session.headers[0].1.as_str());
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    let mut listening = Events::of(response);
    for _ in 0..3 {
        assert_eq!(listening.next().await.unwrap(), crate::events::Event::default());
    }
}

#[tokio::test]
async fn a_slow_answer_becomes_a_stream_that_can_be_resumed() {
    let gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    let mut slow = Events::of(session.post(&request(1, "never", json!({}))).await);
    let first = slow.next().await.unwrap();
    assert_eq!(first.data.as_deref(), Some(""));
    drop(slow);
    session.call(2, "later", json!({ "id": 1 })).await;
    let resumed =
        session.request(Method::GET).header("last-event-id", first.id.unwrap()).send().await.unwrap();
    let mut resumed = Events::of(resumed);
    assert_eq!(resumed.message().await.unwrap()["result"], "late");
    assert_eq!(resumed.next().await, None);
}

#[tokio::test]
async fn noise_and_a_flood_on_stderr_do_no_harm() {
    let gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    assert_eq!(session.call(1, "noise", json!({})).await["result"], "done");
    assert_eq!(session.call(2, "stderr", json!({ "bytes": 1 << 20 })).await["result"], "done");
    assert_eq!(session.call(3, "bad_utf8", json!({})).await["result"], "a\u{fffd}");
}

#[tokio::test]
async fn who_does_not_read_is_cut_off_and_the_session_goes_on() {
    let gateway = Gateway::start("[timeouts]\nstalled_reader = \"500ms\"");
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    let params = json!({ "count": 40_000, "pad": "x".repeat(1000), "_meta": { "progressToken": 1 } });
    let body = request(1, "steps", params).to_string();
    let unread = crate::events::post_and_do_not_read(&gateway, &session, &body).await;
    // The child is in the middle of its flood, so it answers this only once somebody made room.
    assert_eq!(session.call_slowly(2, "echo", json!([2])).await["result"], json!([2]));
    drop(unread);
}

#[tokio::test]
async fn a_client_that_leaves_a_slow_beginning_leaves_nothing() {
    let gateway = Gateway::start(&format!("[servers.silent]\nrun = \"{} --silent\"", crate::gateway::peer()));
    let response = Endpoint::new(&gateway, "silent").initialize(NEWEST).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let id = response.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    gateway.until_active(1).await;
    drop(response);
    gateway.until_active(0).await;
    assert_eq!(Endpoint::new(&gateway, "silent").in_session(&id).get().await.status(), 404);
}

#[tokio::test]
async fn a_question_on_a_stream_that_was_cut_is_answered_for_the_client() {
    let gateway = Gateway::start("[timeouts]\nstalled_reader = \"300ms\"");
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    let mut slow = Events::of(session.post(&request(1, "never", json!({}))).await);
    slow.next().await.unwrap();
    drop(slow);
    ask_unasked(&gateway, &session).await;
    let heard = session.call(2, "heard", json!({})).await["result"].to_string();
    assert!(heard.contains(r#"\"id\":9,\"error\""#), "{heard}");
}

#[tokio::test]
async fn requests_are_timed_whatever_else_is_due() {
    let gateway =
        Gateway::start("[timeouts]\nstart = \"300ms\"\nrequest = \"200ms\"\nstalled_reader = \"10m\"");
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    // Until what was due at the start lies behind.
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    assert_eq!(session.call(1, "never", json!({})).await["error"]["code"], -32603);
}

#[tokio::test]
async fn the_answers_to_a_batch_are_gathered() {
    let gateway = Gateway::start("");
    let session = std::sync::Arc::new(Endpoint::new(&gateway, "peer").open("2025-03-26").await);
    let batch = json!([request(1, "echo", json!([1])), request(2, "never", json!({}))]);
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.post(&batch).await }
    });
    let heard = async || session.call(3, "heard", json!({})).await["result"].to_string();
    until_told("it is heard", async || heard().await.contains("never")).await;
    session.call(4, "later", json!({ "id": 2 })).await;
    let response = waiting.await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    let answers: Value = response.json().await.unwrap();
    assert_eq!((&answers[0]["result"], &answers[1]["result"]), (&json!([1]), &json!("late")));
}

#[tokio::test]
async fn who_leaves_in_the_middle_of_a_flood_makes_room_at_once() {
    let gateway = Gateway::start("[timeouts]\nstalled_reader = \"10m\"");
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    let params = json!({ "count": 40_000, "pad": "x".repeat(1000), "_meta": { "progressToken": 1 } });
    let body = request(1, "steps", params).to_string();
    let unread = crate::events::post_and_do_not_read(&gateway, &session, &body).await;
    gateway.until_stuck(1).await;
    drop(unread);
    // That the client has left takes a moment to arrive.
    let echo = async || session.call_slowly(2, "echo", json!([2])).await["result"] == json!([2]);
    until_told("there is room", echo).await;
}
