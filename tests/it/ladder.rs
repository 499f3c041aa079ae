//! Every step of the stateless era's ladder, with its status and code (protocol.md section 3.1).

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::events::{Endpoint, fault};
use crate::gateway::{Gateway, peer};
use crate::stateless::{VERSION, enveloped, meta, mirrored, try_call};

async fn refused(endpoint: &Endpoint, body: &Value) -> (u16, i64, Value) {
    fault(endpoint.post(body).await).await
}

#[tokio::test]
async fn other_methods_are_not_for_this_era() {
    let gateway = Gateway::start("");
    for method in [Method::GET, Method::DELETE] {
        let endpoint = Endpoint::new(&gateway, "stateless").header("mcp-protocol-version", VERSION);
        let response = endpoint.request(method).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["allow"]),
            (405, &"POST, OPTIONS".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn a_body_that_is_no_message_of_this_era() {
    let gateway = Gateway::start("");
    let endpoint = Endpoint::new(&gateway, "stateless").header("mcp-protocol-version", VERSION);
    let (status, code, _) = fault(endpoint.post_raw("{nonsense").await).await;
    assert_eq!((status, code), (400, -32700));
    let list = enveloped(1, "tools/list", json!({}));
    for body in [
        json!([list]),
        json!([{ "jsonrpc": "2.0", "id": 2, "method": "ping" }, list]),
        json!({ "jsonrpc": "2.0", "id": 1, "result": {} }),
        json!({ "jsonrpc": "2.0", "id": null, "method": "tools/list" }),
        json!({ "jsonrpc": "2.0", "id": 1.5, "method": "tools/list" }),
        json!(7),
    ] {
        let (status, code, _) = refused(&endpoint, &body).await;
        assert_eq!((status, code), (400, -32600), "{body}");
    }
    assert!(gateway.descendants().is_empty());
}

#[tokio::test]
async fn the_envelope_must_be_whole() {
    let gateway = Gateway::start("");
    let cases = [
        json!({}),
        json!({ "_meta": {} }),
        json!({ "_meta": { "io.modelcontextprotocol/protocolVersion": VERSION } }),
        json!({ "_meta": { "io.modelcontextprotocol/clientCapabilities": {} } }),
    ];
    for params in cases {
        let body = json!({ "jsonrpc": "2.0", "id": "x", "method": "tools/list", "params": params });
        let endpoint = mirrored(&gateway, "stateless", &body);
        let (status, code, answer) = refused(&endpoint, &body).await;
        assert_eq!((status, code, &answer["id"]), (400, -32602, &json!("x")), "{body}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("io.modelcontextprotocol/"));
    }
    for (key, value) in [
        ("protocolVersion", json!(2026)),
        ("clientCapabilities", json!("all")),
        ("clientInfo", json!({ "name": 1 })),
    ] {
        let mut body = enveloped(1, "tools/list", json!({}));
        body["params"]["_meta"][format!("io.modelcontextprotocol/{key}")] = value;
        let (status, code, _) = refused(&mirrored(&gateway, "stateless", &body), &body).await;
        assert_eq!((status, code), (400, -32602), "{body}");
    }
    assert!(gateway.descendants().is_empty());
}

#[tokio::test]
async fn the_version_must_agree_and_then_be_served() {
    let gateway = Gateway::start("");
    let mut future = enveloped(1, "tools/list", json!({}));
    future["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2030-01-01");
    let disagreeing = mirrored(&gateway, "stateless", &future).header("mcp-protocol-version", VERSION);
    assert_eq!(refused(&disagreeing, &future).await.1, -32020);
    let (status, code, answer) = refused(&mirrored(&gateway, "stateless", &future), &future).await;
    assert_eq!((status, code), (400, -32022));
    assert_eq!(answer["error"]["data"], json!({ "supported": [VERSION], "requested": "2030-01-01" }));
    // An older version in an envelope is not served either.
    future["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2025-11-25");
    assert_eq!(refused(&mirrored(&gateway, "stateless", &future), &future).await.1, -32022);
}

#[tokio::test]
async fn headers_must_repeat_the_body() {
    let gateway = Gateway::start("");
    let call = enveloped(1, "tools/call", json!({ "name": "é", "arguments": {} }));
    for (name, value) in [
        ("mcp-protocol-version", None),
        ("mcp-protocol-version", Some("2025-11-25")),
        ("mcp-method", None),
        ("mcp-method", Some("TOOLS/CALL")),
        ("mcp-name", None),
        ("mcp-name", Some("e")),
        ("mcp-name", Some("=?base64?w6k?=")),
        ("mcp-name", Some("=?base64?w!k=?=")),
    ] {
        let mut endpoint = mirrored(&gateway, "stateless", &call);
        endpoint.headers.retain(|(own, _)| own != name);
        if let Some(value) = value {
            endpoint = endpoint.header(name, value);
        }
        let (status, code, answer) = refused(&endpoint, &call).await;
        assert_eq!((status, code, &answer["id"]), (400, -32020, &json!(1)), "{name}: {value:?}");
    }
    let mut doubled = mirrored(&gateway, "stateless", &call);
    doubled.headers.push(("mcp-method".into(), "tools/call".into()));
    assert_eq!(refused(&doubled, &call).await.1, -32020);
    assert!(gateway.descendants().is_empty(), "a refused request started a server");
}

#[tokio::test]
async fn arguments_that_the_tool_marks_must_be_repeated() {
    let gateway = Gateway::start("");
    let call = |region: Value| {
        enveloped(1, "tools/call", json!({ "name": "echo", "arguments": { "region": region } }))
    };
    let eu = call(json!("eu"));
    let endpoint = mirrored(&gateway, "stateless", &eu);
    let (status, code, answer) = refused(&endpoint, &eu).await;
    assert_eq!((status, code), (400, -32020));
    assert!(answer["error"]["message"].as_str().unwrap().contains("Mcp-Param-region"));
    let wrong = mirrored(&gateway, "stateless", &eu).header("mcp-param-region", "us");
    assert_eq!(refused(&wrong, &eu).await.1, -32020);
    for value in ["eu", "=?base64?ZXU=?="] {
        let right =
            mirrored(&gateway, "stateless", &eu).header("Mcp-Param-Region", value).header("mcp-param-x", "y");
        assert_eq!(right.post(&eu).await.status(), 200);
    }
    let none = call(Value::Null);
    assert_eq!(mirrored(&gateway, "stateless", &none).post(&none).await.status(), 200);
    // The list of tools was asked for once.
    let heard = try_call(&gateway, "stateless", 9, "heard", json!({})).await;
    assert_eq!(heard["result"].to_string().matches("tools/list").count(), 1);
}

#[tokio::test]
async fn removed_methods_are_not_found_and_start_nothing() {
    let gateway = Gateway::start("");
    for method in ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"] {
        let body = enveloped(3, method, json!({}));
        let (status, code, answer) = refused(&mirrored(&gateway, "stateless", &body), &body).await;
        assert_eq!((status, code, &answer["id"]), (404, -32601, &json!(3)), "{method}");
    }
    assert!(gateway.descendants().is_empty());
}

#[tokio::test]
async fn what_the_server_answers_decides_the_status() {
    let gateway = Gateway::start("");
    for (code, status) in
        [(-32601, 404), (-32021, 400), (-32022, 400), (-32602, 200), (-32603, 200), (5, 200)]
    {
        let data = json!({ "requiredCapabilities": { "sampling": {} } });
        let body = enveloped(4, "fail", json!({ "code": code, "data": data }));
        let response = mirrored(&gateway, "stateless", &body).post(&body).await;
        assert_eq!(response.status(), status, "{code}");
        let answer: Value = response.json().await.unwrap();
        assert_eq!((&answer["error"]["code"], &answer["error"]["data"]), (&json!(code), &data));
    }
}

#[tokio::test]
async fn notifications_are_taken_and_mean_nothing() {
    let gateway = Gateway::start("");
    let taken =
        |response: Response| async move { (response.status().as_u16(), response.text().await.unwrap()) };
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    let endpoint = Endpoint::new(&gateway, "stateless").header("mcp-protocol-version", VERSION);
    assert_eq!(taken(endpoint.post(&note).await).await, (202, String::new()));
    let bare = Endpoint::new(&gateway, "stateless");
    let body = json!({ "jsonrpc": "2.0", "method": "notifications/x", "params": { "_meta": meta() } });
    assert_eq!(taken(bare.post(&body).await).await, (202, String::new()));
    assert!(gateway.descendants().is_empty());
}

#[tokio::test]
async fn a_server_that_does_not_list_its_tools_is_not_called_unchecked() {
    let run = format!("[servers.secretive]\nrun = \"{} --stateless --secretive\"", peer());
    let gateway = Gateway::start(&format!("[timeouts]\nstart = \"500ms\"\n{run}"));
    try_call(&gateway, "secretive", 1, "pid", json!({})).await;
    let call =
        try_call(&gateway, "secretive", 2, "tools/call", json!({ "name": "echo", "arguments": {} })).await;
    assert_eq!((&call["id"], &call["error"]["code"]), (&json!(2), &json!(-32603)));
    assert!(call["error"]["message"].as_str().unwrap().contains("which tools it has"), "{call}");
    let heard = try_call(&gateway, "secretive", 3, "heard", json!({})).await["result"].to_string();
    assert!(heard.contains("tools/list") && !heard.contains("tools/call"), "{heard}");
}
