//! A small MCP server on stdin and stdout, so that a fresh checkout has something real to serve. It speaks
//! both eras: requests of the stateless one say so in their `_meta`.

use std::io::{self, BufRead, Write};

use serde_json::{Value, json};

use crate::mcp::{Era, is_session_version};

/// Serves until its input ends.
///
/// # Errors
/// If its input cannot be read or its output cannot be written.
pub fn run() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
        let (Some(id), Some(method)) = (message.get("id"), message["method"].as_str()) else { continue };
        let params = &message["params"];
        let stateless = params["_meta"].get("io.modelcontextprotocol/protocolVersion").is_some();
        let answer = match answer(method, params) {
            Ok(mut result) => {
                if stateless {
                    complete(&mut result);
                }
                json!({ "jsonrpc": "2.0", "id": id, "result": result })
            }
            Err((code, text)) => {
                json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": text } })
            }
        };
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn answer(method: &str, params: &Value) -> Result<Value, (i32, String)> {
    match method {
        "initialize" => Ok(initialize(params["protocolVersion"].as_str())),
        "server/discover" => Ok(json!({
            "supportedVersions": Era::Stateless.versions(),
            "capabilities": { "tools": {} },
            "instructions": INSTRUCTIONS,
        })),
        "ping" => Ok(json!({})),
        "tools/list" => Ok(json!({ "tools": tools() })),
        "tools/call" => call(params["name"].as_str().unwrap_or_default(), &params["arguments"]),
        _ => Err((-32601, format!("the demo server has no method {method:?}"))),
    }
}

const INSTRUCTIONS: &str = "Try the tools echo, add and environment.";

fn initialize(wanted: Option<&str>) -> Value {
    let newest = Era::Handshake.versions().last();
    json!({
        "protocolVersion": wanted.filter(|version| is_session_version(version)).or(newest.copied()),
        "capabilities": { "tools": {} },
        "serverInfo": server_info(),
        "instructions": INSTRUCTIONS,
    })
}

fn server_info() -> Value {
    json!({ "name": "lockgate-demo", "version": env!("CARGO_PKG_VERSION") })
}

/// What every result of the stateless era says beside its content.
fn complete(result: &mut Value) {
    result["resultType"] = json!("complete");
    result["ttlMs"] = json!(0);
    result["cacheScope"] = json!("private");
    result["_meta"] = json!({ "io.modelcontextprotocol/serverInfo": server_info() });
}

fn tools() -> Value {
    json!([
        {
            "name": "echo",
            "description": "Gives back the text it is given",
            "inputSchema": {
                "type": "object", "properties": { "text": { "type": "string" } }, "required": ["text"]
            }
        },
        {
            "name": "add",
            "description": "Adds two numbers",
            "inputSchema": {
                "type": "object",
                "properties": { "a": { "type": "number" }, "b": { "type": "number" } },
                "required": ["a", "b"]
            }
        },
        {
            "name": "environment",
            "description": "Lists the names of the environment variables that this session has",
            "inputSchema": { "type": "object" }
        }
    ])
}

fn call(tool: &str, arguments: &Value) -> Result<Value, (i32, String)> {
    let text = match tool {
        "echo" => arguments["text"].as_str().map(str::to_owned),
        "add" => arguments["a"].as_f64().zip(arguments["b"].as_f64()).map(|(a, b)| (a + b).to_string()),
        "environment" => {
            let mut names: Vec<_> =
                std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
            names.sort();
            Some(names.join(" "))
        }
        _ => return Err((-32602, format!("the demo server has no tool {tool:?}"))),
    };
    let text = text.ok_or_else(|| (-32602, format!("the arguments of {tool:?} do not fit its schema")))?;
    Ok(json!({ "content": [{ "type": "text", "text": text }] }))
}
