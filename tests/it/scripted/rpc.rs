//! What the scripted servers answer, whatever carries it.

use serde_json::{Value, json};

pub(crate) fn result(message: &Value, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })
}

pub(crate) fn error(message: &Value, code: i64, text: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": message["id"], "error": { "code": code, "message": text } })
}

pub(crate) fn notification(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}

/// As many steps as the message wishes, with its token, and then the answer.
pub(crate) fn steps(message: &Value) -> Vec<Value> {
    let token = &message["params"]["_meta"]["progressToken"];
    let step = |n| notification("notifications/progress", json!({ "progressToken": token, "progress": n }));
    let mut messages: Vec<_> = (1..=message["params"]["count"].as_u64().unwrap()).map(step).collect();
    messages.push(result(message, json!({ "said": "done" })));
    messages
}

/// The answer to a request that needs nothing but itself; `session` is who the server thinks it is from.
pub(crate) fn answer(message: &Value, session: &str) -> Value {
    let params = &message["params"];
    match message["method"].as_str().unwrap_or_default() {
        "initialize" => result(message, introduction(params)),
        "echo" => result(message, params.clone()),
        "session" => result(message, json!({ "session": session })),
        "tools/list" => result(message, page(params["cursor"].as_str())),
        "tools/call" => call(message),
        "resources/list" => result(message, resources()),
        "prompts/list" => result(message, json!({ "prompts": [{ "name": "greet" }, { "name": "scold" }] })),
        "resources/read" => result(message, json!({ "contents": [{ "uri": params["uri"], "text": "" }] })),
        "prompts/get" => result(message, json!({ "messages": [], "description": params["name"] })),
        _ => error(message, -32601, "the remote knows no such method"),
    }
}

fn introduction(params: &Value) -> Value {
    json!({
        "protocolVersion": params["protocolVersion"],
        "capabilities": {
            "tools": { "listChanged": true }, "resources": { "listChanged": true }, "prompts": { "listChanged": true },
            "logging": {},
        },
        "serverInfo": { "name": "scripted", "version": "1" },
    })
}

/// Three tools on two pages.
fn page(cursor: Option<&str>) -> Value {
    let tool = |name: &str| json!({ "name": name, "inputSchema": { "type": "object" } });
    match cursor {
        None => json!({ "tools": [tool("read_page"), tool("delete_page")], "nextCursor": "page two" }),
        Some(_) => json!({ "tools": [tool("write_page")] }),
    }
}

/// The first of its pages.
fn resources() -> Value {
    let resource = |uri: &str| json!({ "uri": uri, "name": uri });
    json!({ "resources": [resource("docs://a"), resource("keys://a")], "nextCursor": "more/of=them" })
}

fn call(message: &Value) -> Value {
    let name = message["params"]["name"].as_str().unwrap_or_default();
    let content = json!([{ "type": "text", "text": name }]);
    match name {
        "fails" => result(message, json!({ "content": content, "isError": true })),
        "refuses" => error(message, -32050, "the remote says no"),
        _ => result(message, json!({ "content": content })),
    }
}
