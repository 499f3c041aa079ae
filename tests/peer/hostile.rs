//! The hostile part of the scripted server. Most of what it tries has no safe name in Rust, so Python does it.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

const SCRIPT: &str = include_str!("hostile.py");

/// Tries an attack: `{"ok": …}` if it worked, else `{"error": …}`.
pub(crate) fn attack(params: &Value) -> Value {
    let act = params["act"].as_str().expect("an act");
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", SCRIPT, act]).arg(params["with"].to_string());
    let output = python.stdin(Stdio::null()).output().expect("python3 at /usr/bin");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        let reason = String::from_utf8_lossy(&output.stderr).into_owned();
        json!({ "crashed": reason, "status": output.status.to_string() })
    })
}
