//! A small MCP server on stdin and stdout, so that a fresh checkout has something real to serve, to clients of every
//! revision.

use std::io::{self, BufRead, Write};

use serde_json::{Map, Value, json};

use crate::mcp::{Code, Failure, Frame, OwnServer};

/// Serves until its input ends.
///
/// # Errors
/// If its input cannot be read or its output cannot be written.
pub fn run() -> io::Result<()> {
    let server = server();
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let Ok(message) = Frame::parse(line?.into()) else { continue };
        let Some(answer) = server.answer(&message, answer) else { continue };
        out.write_all(answer.bytes())?;
        out.write_all(b"\n")?;
        out.flush()?;
    }
    Ok(())
}

fn server() -> OwnServer {
    OwnServer {
        name: "lockgate-demo",
        version: env!("CARGO_PKG_VERSION"),
        capabilities: json!({ "tools": {} }),
        instructions: "Try the tools echo, add and environment.",
    }
}

fn answer(method: &str, params: &Value) -> Result<Map<String, Value>, Failure> {
    let (name, content) = match method {
        "tools/list" => ("tools", tools()),
        "tools/call" => {
            let text = call(params["name"].as_str().unwrap_or_default(), &params["arguments"])?;
            ("content", json!([{ "type": "text", "text": text }]))
        }
        _ => return Err(Failure::new(Code::NoMethod, format!("the demo server has no method {method:?}"))),
    };
    Ok(Map::from_iter([(name.to_owned(), content)]))
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

fn call(tool: &str, arguments: &Value) -> Result<String, Failure> {
    let text = match tool {
        "echo" => arguments["text"].as_str().map(str::to_owned),
        "add" => arguments["a"].as_f64().zip(arguments["b"].as_f64()).map(|(a, b)| (a + b).to_string()),
        "environment" => {
            let mut names: Vec<_> =
                std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
            names.sort();
            Some(names.join(" "))
        }
        _ => return Err(unfit(format!("the demo server has no tool {tool:?}"))),
    };
    text.ok_or_else(|| unfit(format!("the arguments of {tool:?} do not fit its schema")))
}

fn unfit(reason: String) -> Failure {
    Failure::new(Code::InvalidParams, reason)
}
