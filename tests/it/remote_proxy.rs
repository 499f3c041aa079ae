//! What is passed on to a remote and back, and how (seeds D3.1, D3.2, D3.6, D3.11-D3.14).

use std::process::Stdio;

use reqwest::Method;
use serde_json::{Value, json};

use crate::events::Endpoint;
use crate::gateway::{Gateway, lockgate};
use crate::remote::{NEWEST, call, end, gateway, goes_on, is_told, open, request, server};
use crate::scripted::reply::{Door, Reply};
use crate::scripted::{faults, handshake, rpc};

// D3.1
#[tokio::test]
async fn the_handshake_comes_before_everything_else() {
    let (remote, _) = handshake::remote();
    let gateway = gateway(&remote, "");
    let mut session = gateway.client().connect("docs").await;
    session.call("echo", json!({})).await;
    let posted: Vec<_> = remote.by("POST").iter().map(|request| request.rpc()).collect();
    assert_eq!(posted, ["initialize", "notifications/initialized", "echo"]);
    let begun = &remote.of("initialize")[0];
    assert_eq!(begun.message()["params"]["protocolVersion"], "2025-06-18");
    assert_eq!(remote.of("echo")[0].header("mcp-protocol-version"), Some("2025-06-18"));
}

// D3.1
#[tokio::test]
async fn a_notification_that_the_remote_does_not_take_is_a_warning_and_no_more() {
    let (remote, _) = handshake::remote_but("notifications/initialized", |_| Reply::status(500));
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    goes_on(&session, 1).await;
    crate::gateway::until("it is in the log", || {
        gateway.log().lines().any(|line| line.contains("\"WARN\"") && line.contains("500"))
    })
    .await;
}

// D3.1
#[tokio::test]
async fn a_remote_that_refuses_the_version_is_heard() {
    let (remote, _) = handshake::remote_but("initialize", |request| {
        Reply::json(&rpc::error(&request.message(), -32602, "Unsupported protocol version"))
    });
    let gateway = gateway(&remote, "");
    let response = Endpoint::new(&gateway, "docs").initialize(NEWEST).await;
    assert!(!response.headers().contains_key("mcp-session-id"));
    let answer: Value = response.json().await.unwrap();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(0), &json!(-32602)));
    assert!(answer["error"]["message"].as_str().unwrap().contains("Unsupported protocol version"));
    gateway.until_active(0).await;
}

// D3.2; that a line may not be endless is in `remote_faults`.
#[tokio::test]
async fn answers_are_read_as_json_and_as_events_up_to_the_size_of_a_line() {
    let text = "x".repeat(3 << 20);
    let (large, other) = (text.clone(), text.clone());
    let (as_json, _) = handshake::remote_but("fault", move |request| {
        Reply::json(&rpc::result(&request.message(), json!({ "said": large })))
    });
    let (as_events, _) = handshake::remote_but("fault", move |request| {
        Reply::messages(&[rpc::result(&request.message(), json!({ "said": other }))])
    });
    for remote in [as_json, as_events] {
        let gateway = gateway(&remote, "");
        let session = open(&gateway).await;
        let answer = call(&session, 5, "fault", json!({})).await;
        assert!(answer["result"]["said"] == json!(text), "not the same text");
    }
}

// D3.6
#[tokio::test]
async fn what_the_remote_answers_is_passed_on_as_it_is() {
    let (remote, _) = handshake::remote();
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    let failed = call(&session, 1, "tools/call", json!({ "name": "fails", "arguments": {} })).await;
    assert_eq!(
        failed["result"],
        json!({ "content": [{ "type": "text", "text": "fails" }], "isError": true })
    );
    let refused = call(&session, 2, "tools/call", json!({ "name": "refuses", "arguments": {} })).await;
    assert_eq!(refused["error"], json!({ "code": -32050, "message": "the remote says no" }));
    let first = call(&session, 3, "tools/list", json!({})).await;
    let second = call(&session, 4, "tools/list", json!({ "cursor": first["result"]["nextCursor"] })).await;
    assert_eq!(
        (first["result"]["tools"].as_array().unwrap().len(), &second["result"]["nextCursor"]),
        (2, &Value::Null)
    );
    assert_eq!(second["result"]["tools"][0]["name"], "write_page");
}

// D3.6
#[tokio::test]
async fn bytes_of_parameters_and_results_are_not_touched() {
    let text = r#"{"jsonrpc":"2.0","id":5,"result":{"a":12345678901234567890123,"a":1e400,"b":"\ud800\/"}}"#;
    let (remote, _) = handshake::remote_but("fault", move |request| {
        // With whatever id the gateway has chosen.
        let id = request.message()["id"].to_string();
        Reply::new(200, "application/json", text.replace(":5,", &format!(":{id},")))
    });
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    let params = r#"{"x":12345678901234567890123,"y":"\u0041\/","z":0.10000000000000000555}"#;
    let body = format!(r#"{{"jsonrpc":"2.0","id":5,"method":"fault","params":{params}}}"#);
    assert_eq!(session.post_raw(body).await.text().await.unwrap(), text);
    let sent = String::from_utf8(remote.of("fault")[0].body.clone()).unwrap();
    assert!(sent.contains(params), "{sent}");
}

// D3.12
#[tokio::test]
async fn what_comes_too_late_reaches_nobody() {
    let door = Door::default();
    let shut = door.clone();
    let (remote, _) =
        handshake::remote_but("fault", move |request| Reply::behind(&shut, faults::answers_twice(request)));
    let gateway = gateway(&remote, "timeout = \"500ms\"");
    let session = open(&gateway).await;
    is_told(&call(&session, 5, "fault", json!({})).await, 5, &["did not answer within 500ms"]);
    door.open();
    for id in 6..20 {
        goes_on(&session, id).await;
    }
    // An id that was given up may be used again.
    goes_on(&session, 5).await;
}

// D3.13
#[tokio::test]
async fn ids_keep_their_type() {
    let (remote, _) = handshake::remote();
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    for id in [json!("5"), json!(5), json!("a/b"), json!(0), json!(-1)] {
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": "echo", "params": {} });
        assert_eq!(session.post(&body).await.json::<Value>().await.unwrap()["id"], id);
    }
    // The seed refuses DELETE; here it ends the session, as design.md says.
    end(&gateway, &[&session]).await;
    assert_eq!(session.request(Method::DELETE).send().await.unwrap().status(), 404);
}

/// What is said of settings that cannot be used, and that nothing is served with them.
fn refused(settings: &str) -> String {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("lockgate.toml");
    std::fs::write(&file, settings).unwrap();
    let output = lockgate()
        .args(["serve", "--port", "0", "--config"])
        .arg(&file)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{settings}: {text}");
    text
}

// D3.14, D3.8
#[test]
fn settings_that_cannot_be_meant_stop_the_start() {
    const URL: &str = "url = \"https://example.com/mcp\"\n";
    for (table, named) in [
        ("url = \"ftp://example.com/mcp\"", "servers.docs.url"),
        ("url = \"example.com/mcp\"", "servers.docs.url"),
        ("url = \"https://user:sesame@example.com/mcp\"", "servers.docs.url"),
        ("", "servers.docs"),
        ("run = \"cat\"\nurl = \"https://example.com/mcp\"", "servers.docs"),
        ("URL\ntransport = \"websocket\"", "servers.docs.transport"),
        ("URL\nheaders = { \"bad name\" = \"x\" }", "servers.docs.headers"),
        ("URL\nheaders = { X-Key = \"a\\nb\" }", "servers.docs.headers"),
        ("URL\nheaders = { X-Key = \"${not closed\" }", "servers.docs.headers"),
        ("URL\nheaders = { Mcp-Session-Id = \"x\" }", "servers.docs.headers"),
        ("URL\nheaders = { Host = \"x\" }", "servers.docs.headers"),
        ("URL\nauth = { scheme = \"digest\", env = \"PATH\" }", "servers.docs.auth"),
        ("URL\nauth = { scheme = \"\", env = \"PATH\" }", "servers.docs.auth"),
        ("URL\nauth = { scheme = \"bearer\" }", "servers.docs.auth"),
        ("URL\nauth = { scheme = \"bearer\", env = \"NOT_SET_ANYWHERE\" }", "NOT_SET_ANYWHERE"),
        ("URL\nauth = { scheme = \"bearer\", file = \"/no/such/file\" }", "servers.docs.auth"),
        ("URL\nauth = { scheme = \"bearer\", env = \"PATH\", file = \"/dev/null\" }", "servers.docs.auth"),
        ("URL\nauth = { scheme = \"bearer\", file = \"/dev/null\" }", "servers.docs.auth"),
        ("URL\nauth = { scheme = \"apiKey\", env = \"PATH\" }", "servers.docs.auth"),
        (
            "URL\nauth = { scheme = \"apiKey\", env = \"PATH\", header = \"X\", query = \"x\" }",
            "servers.docs.auth",
        ),
        ("URL\nauth = { scheme = \"oauth\", env = \"PATH\" }", "servers.docs.auth"),
        ("URL\ntool_auth = { \"delete_*\" = { scheme = \"digest\" } }", "servers.docs.tool_auth"),
        (
            "URL\nheaders = { X-Key = \"x\" }\nauth = { scheme = \"apiKey\", header = \"x-key\", env = \"PATH\" }",
            "servers.docs.auth",
        ),
        ("run = \"cat\"\nheaders = { X = \"y\" }", "servers.docs.headers"),
        ("URL\nauht = {}", "auht"),
    ] {
        let table = table.replace("URL\n", URL);
        let text = refused(&format!("[servers.docs]\n{table}\n"));
        assert!(text.contains(named), "{table}: {text}");
        assert!(!text.contains("sesame"), "{text}");
    }
}

// D3.14
#[test]
fn a_tenants_credential_is_for_a_server_that_there_is_and_that_is_remote() {
    let tenant = |auth: &str| crate::tenants::tenant("acme", &["a"], &format!("auth = {{ {auth} }}"));
    let tables = "[servers.docs]\nurl = \"https://example.com/mcp\"\n[servers.local]\nrun = \"cat\"\n";
    for auth in [
        "nobody = { scheme = \"bearer\", env = \"PATH\" }",
        "local = { scheme = \"bearer\", env = \"PATH\" }",
        "docs = { scheme = \"digest\", env = \"PATH\" }",
        "docs = { scheme = \"bearer\" }",
    ] {
        let text = refused(&format!("{tables}{}", tenant(auth)));
        assert!(text.contains("tenants.acme.auth"), "{auth}: {text}");
    }
}

// What a private network holds is not for tenants (server-side request forgery): the name is looked up first.
#[tokio::test]
async fn a_name_that_means_this_host_is_refused_unless_the_settings_allow_it() {
    let (remote, _) = handshake::remote();
    let url = format!("http://localhost:{}/mcp", remote.address.port());
    let gateway = Gateway::start(&format!("[servers.docs]\nurl = {url:?}\n{}", server("open", &url, "")));
    let response = Endpoint::new(&gateway, "docs").initialize(NEWEST).await;
    assert!([200, 403, 502].contains(&response.status().as_u16()), "{}", response.status());
    let (_, answer) = match response.status().as_u16() {
        200 => crate::remote::answer(response, 0).await,
        _ => (Vec::new(), response.json().await.unwrap()),
    };
    is_told(&answer, 0, &["address"]);
    assert_eq!(remote.connections(), 0);
    let allowed = Endpoint::new(&gateway, "open").open(NEWEST).await;
    goes_on(&allowed, 1).await;
}

#[tokio::test]
async fn connections_are_used_again() {
    let (remote, _) = handshake::remote();
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    for id in 0..50 {
        assert_eq!(session.post(&request(id, "echo", json!({}))).await.status(), 200);
    }
    let used: std::collections::BTreeSet<_> = remote.of("echo").iter().map(|sent| sent.connection).collect();
    assert!(used.len() <= 2, "{used:?}");
}
