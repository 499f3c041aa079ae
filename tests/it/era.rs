//! Which era a server speaks, how that is found out, and that clients of both are served (protocol.md sections 4 and 5).

use serde_json::{Value, json};

use crate::events::Endpoint;
use crate::gateway::{Gateway, peer, until};
use crate::stateless::{VERSION, enveloped, mirrored, try_call};

/// A request of a client that can be asked things, or of one that cannot.
async fn ask(gateway: &Gateway, server: &str, method: &str, capabilities: Value) -> Value {
    let mut body = enveloped(1, method, json!({}));
    body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities;
    let response = mirrored(gateway, server, &body).post(&body).await;
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

/// What a server has been told, by itself, in the order in which it came.
async fn heard(gateway: &Gateway, server: &str, capabilities: Value) -> Vec<String> {
    let answer = ask(gateway, server, "heard", capabilities).await;
    let lines = answer["result"]["value"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let method = |line: &Value| {
        let message: Value = serde_json::from_str(line.as_str().unwrap()).unwrap();
        message["method"].as_str().unwrap().to_owned()
    };
    lines.iter().map(method).collect()
}

/// How many sessions were opened, once all have ended: as many as the log says of both.
async fn opened(gateway: &Gateway) -> usize {
    let count = |what: &str| gateway.log().matches(what).count();
    until("the log is whole", || {
        count("session_ended") > 0 && count("session_opened") == count("session_ended")
    })
    .await;
    count("session_opened")
}

const BEGUN: [&str; 2] = ["initialize", "notifications/initialized"];

#[tokio::test]
async fn a_server_is_asked_for_its_era_once_and_serves_clients_of_the_other() {
    let run = format!("run = \"{} --objects", peer());
    let gateway = Gateway::start(&format!("[servers.plain]\n{run}\"\n[servers.brittle]\n{run} --fatal\""));
    for (server, first) in [("plain", &["server/discover"][..]), ("brittle", &[])] {
        let shown = ask(&gateway, server, "server/discover", json!({})).await["result"].clone();
        assert_eq!(shown["supportedVersions"], json!([VERSION]), "{shown}");
        assert_eq!(shown["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "peer");
        // One that has ended over the question was started again, and not asked.
        let expected: Vec<_> = first.iter().chain(&BEGUN).chain(&["heard"]).copied().collect();
        assert_eq!(heard(&gateway, server, json!({})).await, expected);
        // Another backend of the same server is not asked at all.
        let expected: Vec<_> = BEGUN.iter().chain(&["heard"]).copied().collect();
        assert_eq!(heard(&gateway, server, json!({ "roots": {} })).await, expected);
    }
    assert_eq!(gateway.audit("server_started").len(), 5);
}

#[tokio::test]
async fn who_asks_for_a_known_server_needs_not_wait_for_it() {
    let gateway = Gateway::start(&format!("[servers.slow]\nrun = \"{} --slow\"", peer()));
    ask(&gateway, "slow", "server/discover", json!({})).await;
    // This one's backend answers nothing.
    let shown = ask(&gateway, "slow", "server/discover", json!({ "roots": {} })).await["result"].clone();
    assert_eq!(shown["supportedVersions"], json!([VERSION]), "{shown}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_told_as_that() {
    let settings = format!("[timeouts]\nstart = \"1s\"\n[servers.silent]\nrun = \"{} --silent\"", peer());
    let gateway = Gateway::start(&settings);
    let answer = ask(&gateway, "silent", "server/discover", json!({})).await;
    assert_eq!(answer["error"]["code"], -32603);
    assert!(answer["error"]["message"].as_str().unwrap().contains("no answer within 1s"), "{answer}");
    gateway.until_active(0).await;
}

#[tokio::test]
async fn a_server_of_both_eras_serves_both_with_processes_of_their_own() {
    let gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "dual").open("2025-11-25").await;
    let one = session.call(1, "pid", json!({})).await["result"].clone();
    let two = try_call(&gateway, "dual", 1, "pid", json!({})).await["result"].clone();
    assert!(one.is_u64() && two.is_u64() && one != two);
    // The question was put to the process that was going to be shared, and to no other.
    let heard = session.call(2, "heard", json!({})).await["result"].to_string();
    assert!(!heard.contains("server/discover"), "{heard}");
    let heard = try_call(&gateway, "dual", 2, "heard", json!({})).await["result"].to_string();
    assert_eq!(heard.matches("lockgate-discover").count(), 1);
    assert_eq!(gateway.descendants().len(), 2);
}

#[tokio::test]
async fn a_handshake_client_is_never_probed_at() {
    let gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "fatal").open("2025-11-25").await;
    let mut sse = gateway.client().connect("fatal").await;
    ask(&gateway, "fatal", "server/discover", json!({})).await;
    // Both still have the process that they began with: one that is asked ends.
    assert!(session.call(1, "pid", json!({})).await["result"].is_u64());
    assert!(sse.call("pid", json!({})).await.is_u64());
}

#[tokio::test]
async fn a_server_of_the_stateless_era_serves_handshake_clients() {
    let gateway = Gateway::start("");
    let response = Endpoint::new(&gateway, "stateless").initialize("2025-06-18").await;
    let id = response.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["result"]["protocolVersion"], "2025-06-18", "{answer}");
    assert_eq!(answer["result"]["serverInfo"]["name"], "stateless", "what does not name itself is named");
    let session = Endpoint::new(&gateway, "stateless").in_session(&id);
    let echoed = session.call(2, "echo", json!({ "x": 1 })).await["result"].clone();
    assert_eq!(
        (&echoed["x"], &echoed["_meta"]["io.modelcontextprotocol/protocolVersion"]),
        (&json!(1), &json!(VERSION))
    );
    let mut sse = gateway.client().connect("stateless").await;
    assert_eq!(sse.call("echo", json!({ "x": 2 })).await["x"], 2);
    assert_eq!(sse.call("ping", json!({})).await, json!({}));
}

#[tokio::test]
async fn what_the_settings_say_is_not_asked() {
    let settings = format!(
        "[servers.old]\nrun = \"{0} --objects --dual --old\"\nera = \"handshake\"\n[servers.new]\nrun = \"{0} --objects --dual --new\"\nera = \"stateless\"",
        peer()
    );
    let gateway = Gateway::start(&settings);
    let expected: Vec<_> = BEGUN.iter().chain(&["heard"]).copied().collect();
    assert_eq!(heard(&gateway, "old", json!({})).await, expected);
    assert_eq!(heard(&gateway, "new", json!({})).await, ["heard"]);
    let session = Endpoint::new(&gateway, "new").open("2025-11-25").await;
    let told = session.call(2, "heard", json!({})).await["result"].to_string();
    assert!(told.contains("server/discover") && !told.contains("initialize"), "{told}");
}

#[tokio::test]
async fn a_server_that_cannot_be_started_is_told_in_band() {
    let gateway =
        Gateway::start(&format!("[servers.gone]\nrun = \"{} --exit 7\"\nera = \"stateless\"", peer()));
    let answer = try_call(&gateway, "gone", 1, "tools/list", json!({})).await;
    assert_eq!(answer["error"]["code"], -32603);
    assert!(answer["error"]["message"].as_str().unwrap().contains("refusing to run"), "{answer}");
}

#[tokio::test]
async fn a_server_that_dies_at_once_is_told_as_that_and_not_started_again_and_again() {
    let run = format!("run = \"{} --exit", peer());
    let gateway = Gateway::start(&format!(
        "[servers.known]\n{run} 7\"\nera = \"stateless\"\n[servers.unknown]\n{run} 8\""
    ));
    let call = enveloped(1, "tools/call", json!({ "name": "echo", "arguments": {} }));
    let response = mirrored(&gateway, "known", &call).post(&call).await;
    assert_eq!(response.status(), 200);
    let answer: Value = response.json().await.unwrap();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(1), &json!(-32603)));
    assert!(answer["error"]["message"].as_str().unwrap().contains("status 7"), "{answer}");
    gateway.until_active(0).await;
    assert_eq!(opened(&gateway).await, 1);
    // It may have disliked the question, so it was started once more, and not asked.
    let answer: Value = mirrored(&gateway, "unknown", &call).post(&call).await.json().await.unwrap();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(1), &json!(-32603)));
    let text = answer["error"]["message"].as_str().unwrap();
    assert!(text.contains("status 8") && text.contains("refusing to run"), "{text}");
    gateway.until_active(0).await;
    assert_eq!((opened(&gateway).await, gateway.audit("server_started").len()), (2, 3));
}

/// What a server answers to an `initialize` that it does not like, where it ends itself over the question that follows.
#[tokio::test]
async fn a_client_hears_why_it_was_refused_even_if_the_server_ends_over_the_question_that_follows() {
    let gateway = Gateway::start("");
    let refused = |answer: &Value| {
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(0), &json!(-32602)), "{answer}");
    };
    refused(&Endpoint::new(&gateway, "fatal").initialize("refuse").await.json().await.unwrap());
    let mut sse = gateway.client().open("fatal").await;
    let params = json!({ "protocolVersion": "refuse", "capabilities": {} });
    sse.send(&json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params })).await;
    refused(&sse.answer(0).await);
    gateway.until_active(0).await;
}

#[tokio::test]
async fn an_sse_client_that_was_refused_in_both_eras_may_try_again() {
    let gateway = Gateway::start("");
    let mut sse = gateway.client().open("peer").await;
    for (id, revision) in [(0, "refuse"), (1, "2025-11-25")] {
        let params = json!({ "protocolVersion": revision, "capabilities": {} });
        sse.send(&json!({ "jsonrpc": "2.0", "id": id, "method": "initialize", "params": params })).await;
        let answer = sse.answer(id).await;
        assert_eq!(answer["error"].is_null(), id == 1, "{answer}");
    }
    assert_eq!(sse.call("echo", json!({ "x": 1 })).await["x"], 1);
}
