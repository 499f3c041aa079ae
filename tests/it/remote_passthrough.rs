//! Credentials that clients bring along, for the server and for single tools: what is missing, doubled or cannot be
//! told goes out as nobody's (seeds D3.7, D3.9, D3.10).

use reqwest::Response;
use serde_json::{Value, json};

use crate::events::{Endpoint, fault};
use crate::gateway::Gateway;
use crate::remote::{NEWEST, answer, call, goes_on, request};
use crate::remote_credentials::{gateway, keeps_quiet};
use crate::scripted::{Remote, handshake, stateless};
use crate::stateless::{enveloped, mirrored};

const HEADER: &str = "x-docs-token";
const OF_SERVER: &str = "auth = { scheme = \"bearer\", passthrough = \"X-Docs-Token\" }";
const OF_TOOL: &str =
    "tool_auth = { \"delete_*\" = { scheme = \"bearer\", passthrough = \"X-Docs-Token\" } }";
const OWN: &str = "tool_auth = { \"delete_*\" = { scheme = \"bearer\", env = \"DOCS_ADMIN\" } }";

/// What a client of each transport gets that opens a session with this header, so many times.
async fn opened(gateway: &Gateway, values: &[&str]) -> [Response; 3] {
    let with = |mut endpoint: Endpoint| {
        endpoint.headers.extend(values.iter().map(|value| (HEADER.to_owned(), (*value).to_owned())));
        endpoint
    };
    let bare = gateway.client().get("/docs/sse");
    let sse = values.iter().fold(bare, |sse, value| sse.header(HEADER, *value)).send().await.unwrap();
    let streamable = with(Endpoint::new(gateway, "docs")).initialize(NEWEST).await;
    let body = enveloped(0, "echo", json!({}));
    let stateless = with(mirrored(gateway, "docs", &body)).post(&body).await;
    [sse, streamable, stateless]
}

#[tokio::test]
async fn who_must_bring_a_credential_and_does_not_is_told_in_which_header() {
    let remote = stateless::dual();
    let gateway = gateway(&remote, OF_SERVER, "");
    for values in [&[][..], &["  "], &["sesame-client", "sesame-client"], &["sesame-client", ""]] {
        for response in opened(&gateway, values).await {
            let (status, _, body) = fault(response).await;
            let text = body["error"]["message"].as_str().unwrap();
            assert!(status == 400 && text.contains("once, in the header x-docs-token"), "{status}: {text}");
        }
    }
    assert_eq!(remote.connections(), 0);
    gateway.until_active(0).await;
    for response in opened(&gateway, &["sesame-client"]).await {
        assert_eq!(response.status(), 200);
    }
    goes_on(&Endpoint::new(&gateway, "docs").header(HEADER, "sesame-client").open(NEWEST).await, 1).await;
    for sent in remote.requests() {
        assert_eq!(sent.header("authorization"), Some("Bearer sesame-client"), "{sent:?}");
        assert_eq!(sent.header(HEADER), None);
    }
    keeps_quiet(&gateway);
}

/// The call of a tool was not made for want of the credential.
fn is_wanting(answer: &Value, id: u64) {
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(id), &json!(-32603)), "{answer}");
    let text = answer["error"]["message"].as_str().unwrap();
    assert!(text.contains("was not called") && text.contains("once, in the header x-docs-token"), "{text}");
}

fn of_tool(name: &str) -> Value {
    json!({ "name": name, "arguments": {} })
}

#[tokio::test]
async fn a_tool_that_needs_a_credential_of_the_client_is_not_called_without() {
    let (remote, _) = handshake::remote();
    let gateway = gateway(&remote, OF_TOOL, "");
    let session = Endpoint::new(&gateway, "docs").open(NEWEST).await;
    is_wanting(&call(&session, 1, "tools/call", of_tool("delete_page")).await, 1);
    // What counts is what the session was opened with.
    let later = session.request(reqwest::Method::POST).header(HEADER, "sesame-client");
    let body = request(2, "tools/call", of_tool("delete_page")).to_string();
    let response = later.header("content-type", "application/json").body(body).send().await.unwrap();
    is_wanting(&answer(response, 2).await.1, 2);
    let silent = json!({ "jsonrpc": "2.0", "method": "tools/call", "params": of_tool("delete_page") });
    assert_eq!(session.post(&silent).await.status(), 202);
    let mut sse = gateway.client().connect("docs").await;
    let id = sse.request("tools/call", of_tool("delete_page")).await;
    is_wanting(&sse.answer(id).await, id);
    // Others of the same session are called as nobody.
    let read = call(&session, 3, "tools/call", of_tool("read_page")).await;
    assert_eq!(read["result"]["content"][0]["text"], "read_page");
    let heard = remote.of("tools/call");
    assert_eq!((heard.len(), heard[0].header("authorization")), (1, None), "{heard:?}");
    let session = Endpoint::new(&gateway, "docs").header(HEADER, "sesame-client").open(NEWEST).await;
    call(&session, 4, "tools/call", of_tool("delete_page")).await;
    let deleted = remote.of("tools/call").pop().unwrap();
    assert_eq!(deleted.header("authorization"), Some("Bearer sesame-client"));
    goes_on(&session, 5).await;
    assert_eq!(remote.of("echo")[0].header("authorization"), None, "it is for that tool alone");
    keeps_quiet(&gateway);
}

#[tokio::test]
async fn without_a_session_each_request_brings_its_own() {
    let (remote, _) = stateless::remote();
    let gateway = gateway(&remote, OF_TOOL, "");
    let send = async |id: u64, name: &str, values: &[&str]| -> Value {
        let body = enveloped(id, "tools/call", of_tool(name));
        let endpoint = mirrored(&gateway, "docs", &body);
        let endpoint = values.iter().fold(endpoint, |endpoint, value| endpoint.header(HEADER, value));
        endpoint.post(&body).await.json().await.unwrap()
    };
    let deleted = send(1, "delete_page", &["sesame-client"]).await;
    assert_eq!(deleted["result"]["content"][0]["text"], "delete_page");
    is_wanting(&send(2, "delete_page", &[]).await, 2);
    assert_eq!(send(3, "read_page", &[]).await["result"]["content"][0]["text"], "read_page");
    let seen: Vec<_> =
        remote.of("tools/call").iter().map(|sent| sent.message()["params"]["name"].clone()).collect();
    assert_eq!(seen, ["delete_page", "read_page"]);
    assert_eq!(remote.of("tools/call")[1].header("authorization"), None);
}

/// Calls of `delete_page` for one reader and of `read_page` for another: of a library that tells no case apart, or
/// takes the first or the last of two.
const AMBIGUOUS: &[&str] = &[
    r#""method":"tools/call","params":{"name":"read_page","Name":"delete_page"}"#,
    r#""method":"tools/call","params":{"Name":"delete_page","name":"read_page"}"#,
    r#""method":"tools/call","params":{"name":"read_page","name":"delete_page"}"#,
    r#""method":"tools/call","params":{"name":"read_page","n\u0061me":"delete_page"}"#,
    r#""method":"tools/call","params":{"name":"read_page"},"Params":{"name":"delete_page"}"#,
    r#""method":"ping","Method":"tools/call","params":{"name":"delete_page"}"#,
    r#""Method":"tools/call","method":"ping","params":{"name":"delete_page"}"#,
    r#""method":"ping","METHOD":"tools/call","params":{"name":"delete_page"}"#,
    r#""method":"ping","method":"tools/call","params":{"name":"delete_page"}"#,
];

/// Sends all of them, with `id` and without; the remote gets none.
async fn is_not_misled(remote: &Remote, session: &Endpoint) {
    for (text, id) in AMBIGUOUS.iter().zip(10..) {
        let response = session.post_raw(format!(r#"{{"jsonrpc":"2.0","id":{id},{text}}}"#)).await;
        let answer: Value = match response.headers()["content-type"].to_str().unwrap() {
            "application/json" => response.json().await.unwrap(),
            _ => answer(response, id).await.1,
        };
        let error = &answer["error"];
        assert!([-32600, -32602, -32603].map(Value::from).contains(&error["code"]), "{text}: {answer}");
        let _ = session.post_raw(format!(r#"{{"jsonrpc":"2.0",{text}}}"#)).await;
    }
    goes_on(session, 9).await;
    let named = |request: &[u8]| String::from_utf8_lossy(request).contains("delete_page");
    let heard: Vec<_> = remote.requests().into_iter().filter(|request| named(&request.body)).collect();
    assert!(heard.is_empty(), "{heard:?}");
}

// D3.10
#[tokio::test]
async fn nobody_can_be_told_of_one_tool_and_called_for_another() {
    let (remote, _) = handshake::remote();
    let gateway = gateway(&remote, OWN, "");
    let session = Endpoint::new(&gateway, "docs").open(NEWEST).await;
    is_not_misled(&remote, &session).await;
    // A name that is written in another way is still that name.
    let escaped =
        r#"{"jsonrpc":"2.0","id":1,"method":"tools\/call","params":{"n\u0061me":"delete_p\u0061ge"}}"#;
    let deleted = answer(session.post_raw(escaped).await, 1).await.1;
    assert_eq!(deleted["result"]["content"][0]["text"], "delete_page");
    assert_eq!(remote.of("tools/call")[0].header("authorization"), Some("Bearer sesame-admin"));
    keeps_quiet(&gateway);
}
