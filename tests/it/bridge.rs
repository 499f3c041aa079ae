//! Clients and servers of different eras, as seen from outside: who shares what, what is left, and what is told when it
//! goes wrong. What each feature does is in `matrix`; what the machines do, beside them.

use serde_json::{Value, json};

use crate::events::{Endpoint, Events};
use crate::gateway::{Gateway, SECRET, peer, send_signal, until_told, with_peers};
use crate::stateless::{enveloped, mirrored};
use crate::tenants::hash;

const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// A call of a tool by a client that can be asked for its roots.
pub(crate) fn call(id: u64, tool: &str, arguments: Value) -> Value {
    let mut body = enveloped(id, "tools/call", json!({ "name": tool, "arguments": arguments }));
    body["params"]["_meta"][CAPABILITIES] = json!({ "roots": {} });
    body
}

pub(crate) async fn send(gateway: &Gateway, server: &str, body: &Value) -> Value {
    let response = mirrored(gateway, server, body).post(body).await;
    let status = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// The same call once more, with an answer to all that was asked.
pub(crate) fn again(mut body: Value, asked: &Value, answer: &Value) -> Value {
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let questions = asked["result"]["inputRequests"].as_object().unwrap();
    let answers: serde_json::Map<_, _> = questions.keys().map(|key| (key.clone(), answer.clone())).collect();
    body["id"] = json!(body["id"].as_u64().unwrap() + 1000);
    body["params"]["inputResponses"] = json!(answers);
    body["params"]["requestState"] = asked["result"]["requestState"].clone();
    body
}

pub(crate) fn roots() -> Value {
    json!({ "roots": [{ "uri": "file:///a" }] })
}

/// What was asked for is known no more, and why.
fn is_unknown(answer: &Value) {
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("original request"), "{answer}");
}

/// A server of the handshake era that answers as the protocol wants it.
pub(crate) fn old() -> String {
    format!("[servers.old]\nrun = \"{} --objects\"\n", peer())
}

async fn pid(gateway: &Gateway, id: u64) -> u64 {
    send(gateway, "old", &call(id, "pid", json!({}))).await["result"]["value"].as_u64().unwrap()
}

#[tokio::test]
async fn a_call_that_asks_its_client_has_a_process_of_its_own_until_it_is_answered() {
    let gateway = Gateway::start(&old());
    let first = pid(&gateway, 1).await;
    let ask = call(2, "ask", json!({ "id": 0 }));
    let asked = send(&gateway, "old", &ask).await;
    let questions = asked["result"]["inputRequests"].as_object().unwrap();
    assert!(questions.values().all(|question| question["method"] == "roots/list"), "{asked}");
    // Whoever comes meanwhile has another, which is asked nothing of this one.
    assert_ne!(pid(&gateway, 3).await, first);
    let answer = send(&gateway, "old", &again(ask, &asked, &roots())).await;
    assert_eq!(answer["result"]["roots"], roots()["roots"], "{answer}");
    assert_eq!(answer["id"], 1002);
    assert_eq!(pid(&gateway, 4).await, first);
    assert_eq!(gateway.descendants().len(), 2);
}

#[tokio::test]
async fn where_there_may_be_no_other_process_calls_wait_for_their_turn() {
    let gateway = Gateway::start(&format!("[servers.one]\nrun = \"{} --one\"\nsessions = 1", peer()));
    let ask = call(1, "ask", json!({ "id": "q" }));
    let asked = send(&gateway, "one", &ask).await;
    let waiting = call(2, "echo", json!({ "x": 1 }));
    let waits = send(&gateway, "one", &waiting);
    tokio::pin!(waits);
    // What cannot be asked anything is not kept waiting.
    let mut lists = enveloped(3, "tools/list", json!({}));
    lists["params"]["_meta"][CAPABILITIES] = json!({ "roots": {} });
    tokio::select! {
        biased;
        answer = &mut waits => panic!("{answer}"),
        listed = send(&gateway, "one", &lists) => assert!(listed["result"]["tools"].is_array(), "{listed}"),
    }
    send(&gateway, "one", &again(ask, &asked, &roots())).await;
    assert_eq!(waits.await["result"]["x"], 1);
}

#[tokio::test]
async fn who_can_be_asked_nothing_shares_one_process() {
    let gateway = Gateway::start(&old());
    let hangs = enveloped(1, "tools/call", json!({ "name": "never" }));
    let hangs = Events::of(
        mirrored(&gateway, "old", &hangs).header("accept", "text/event-stream").post(&hangs).await,
    );
    let pid = |id| enveloped(id, "tools/call", json!({ "name": "pid" }));
    let (one, two) = (send(&gateway, "old", &pid(2)).await, send(&gateway, "old", &pid(3)).await);
    assert_eq!(one["result"], two["result"]);
    assert_eq!(gateway.descendants().len(), 1);
    drop(hangs);
}

#[tokio::test]
async fn a_call_gets_its_lines_of_the_log_though_a_subscription_wants_some_too() {
    let gateway = Gateway::start(&old());
    let level = json!({ "io.modelcontextprotocol/logLevel": "debug" });
    let open = async |body: Value| {
        Events::of(mirrored(&gateway, "old", &body).header("accept", "text/event-stream").post(&body).await)
    };
    let wanted = json!({ "notifications": { "toolsListChanged": true }, "_meta": level });
    let mut listens = open(enveloped("l", "subscriptions/listen", wanted)).await;
    let acknowledged = listens.message().await.unwrap();
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    let call = json!({ "name": "log", "arguments": { "text": "x" }, "_meta": level });
    let mut told = open(enveloped(1, "tools/call", call)).await;
    assert_eq!(told.message().await.unwrap()["params"]["data"], "x");
    assert_eq!(told.message().await.unwrap()["id"], 1);
}

#[tokio::test]
async fn who_leaves_calls_off_what_runs() {
    let gateway = Gateway::start(&old());
    let hangs = enveloped(1, "tools/call", json!({ "name": "never" }));
    let stream = mirrored(&gateway, "old", &hangs).header("accept", "text/event-stream").post(&hangs).await;
    drop(Events::of(stream));
    until_told("it is called off", async || {
        let heard = enveloped(2, "heard", json!({}));
        send(&gateway, "old", &heard).await["result"].to_string().contains("notifications/cancelled")
    })
    .await;
}

#[tokio::test]
async fn a_state_is_good_for_the_call_and_the_tenant_that_it_was_given_to() {
    let secret = "another-secret-of-another-tenant";
    let settings = format!(
        "[tenants.other]\nsecrets = [\"{}\"]\nservers = [\"*\"]\n[tenants.main]\nsecrets = [\"{}\"]\nservers = [\"*\"]",
        hash(secret),
        hash(SECRET)
    );
    let gateway = Gateway::start_bare(&with_peers(&(settings + "\n" + &old())), &[]);
    let ask = call(1, "ask", json!({ "id": 0 }));
    let asked = send(&gateway, "old", &ask).await;
    let retry = again(ask.clone(), &asked, &roots());

    let mut changed = retry.clone();
    changed["params"]["arguments"]["id"] = json!(7);
    is_unknown(&send(&gateway, "old", &changed).await);
    let mut forged = retry.clone();
    let state = retry["params"]["requestState"].as_str().unwrap();
    forged["params"]["requestState"] = json!(format!("{state}A"));
    is_unknown(&send(&gateway, "old", &forged).await);
    let foreign = mirrored(&gateway, "old", &retry).of_tenant(secret).post(&retry).await;
    is_unknown(&foreign.json().await.unwrap());

    assert_eq!(send(&gateway, "old", &retry).await["result"]["roots"], roots()["roots"]);
    is_unknown(&send(&gateway, "old", &retry).await);
}

#[tokio::test]
async fn a_server_that_dies_while_it_is_waited_for_is_told() {
    let gateway = Gateway::start(&old());
    let ask = call(1, "ask", json!({ "id": 0 }));
    let asked = send(&gateway, "old", &ask).await;
    for child in gateway.descendants() {
        send_signal(child, "KILL");
    }
    gateway.until_active(0).await;
    is_unknown(&send(&gateway, "old", &again(ask, &asked, &roots())).await);
    // In the middle of a call, each of both eras hears of it with the id of its request.
    let exit = call(2, "exit", json!({ "status": 7, "stderr": "why\n" }));
    let told = send(&gateway, "old", &exit).await;
    assert!(told["id"] == 2 && told["error"]["message"].as_str().unwrap().contains("status 7"), "{told}");
    let session = Endpoint::new(&gateway, "stateless").open("2025-11-25").await;
    let told = session.call(3, "exit", json!({ "status": 7, "stderr": "why\n" })).await;
    assert!(told["id"] == 3 && told["error"]["message"].as_str().unwrap().contains("why"), "{told}");
    gateway.until_active(0).await;
}

#[tokio::test]
async fn what_waits_for_a_server_that_never_begins_is_bounded() {
    let settings = format!("[servers.deaf]\nrun = \"{} --silent\"\nera = \"handshake\"", peer());
    let gateway = Gateway::start(&settings);
    let body = enveloped(1, "prompts/list", json!({ "pad": "x".repeat(100_000) }));
    let mut answers = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let endpoint = mirrored(&gateway, "deaf", &body);
        let body = body.clone();
        answers.spawn(async move { endpoint.post(&body).await.json::<Value>().await.unwrap() });
    }
    // A MiB waits; the others are told at once.
    for _ in 0..20 {
        let answer = answers.join_next().await.unwrap().unwrap();
        assert_eq!(answer["error"]["code"], -32603, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("too many requests wait"), "{answer}");
    }
}

/// In a batch, what the bridge answers by itself is there at once. The others are answered all the same.
#[tokio::test]
async fn a_batch_is_answered_whole_where_a_bridge_answers_some_of_it() {
    let gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "stateless").open("2025-03-26").await;
    let ping = json!({ "jsonrpc": "2.0", "id": 11, "method": "ping" });
    let list = json!({ "jsonrpc": "2.0", "id": 12, "method": "tools/list" });
    for batch in [json!([list, ping]), json!([ping, list])] {
        let answers: Value = session.post(&batch).await.json().await.unwrap();
        let mut ids: Vec<_> = answers.as_array().unwrap().iter().map(|one| one["id"].as_u64()).collect();
        ids.sort_unstable();
        assert_eq!(ids, [Some(11), Some(12)], "{batch}: {answers}");
    }
}

#[tokio::test]
async fn calls_whose_clients_do_not_come_back_keep_nobody_waiting() {
    let gateway = Gateway::start(&old());
    for id in 1..=9 {
        let asked = send(&gateway, "old", &call(id, "ask", json!({ "id": id }))).await;
        assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    }
    assert_eq!(send(&gateway, "old", &call(10, "echo", json!({ "x": 1 }))).await["result"]["x"], 1);
}

/// Calls that are soon done share one process, however many there are.
#[tokio::test]
async fn short_calls_start_no_process_each() {
    let gateway = Gateway::start(&old());
    let calls: Vec<_> = (1..=20).map(|id| call(id, "echo", json!({ "x": id }))).collect();
    let mut answers = Vec::new();
    for body in calls.clone() {
        let endpoint = mirrored(&gateway, "old", &body);
        answers.push(tokio::spawn(async move { endpoint.post(&body).await.json::<Value>().await.unwrap() }));
    }
    for (id, answer) in (1..=20).zip(answers) {
        assert_eq!(answer.await.unwrap()["result"]["x"], id);
    }
    assert_eq!(gateway.descendants().len(), 1);
}

#[tokio::test]
async fn a_large_call_that_hangs_keeps_nobody_else_from_being_answered() {
    let gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "stateless").open("2025-11-25").await;
    let params = json!({ "name": "never", "arguments": { "pad": "x".repeat(3 << 19) } });
    let large = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    // The answer has begun, which the session does once it has taken the call.
    let hangs = session.post(&large).await;
    assert_eq!(hangs.status(), 200);
    assert_eq!(session.call(2, "ping", json!({})).await["result"], json!({}));
    let small = json!({ "name": "echo", "arguments": { "x": 7 } });
    assert_eq!(session.call(3, "tools/call", small).await["result"]["x"], 7);
    drop(hangs);
}
