//! A backend, and what it has been asked.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// It agrees to `initialize`, and knows no `server/discover`.
    Handshake,
    /// The other way round.
    Stateless,
    /// It refuses the first `initialize` for what it says, in words that others use for one that they do not know.
    Picky,
    /// It refuses both.
    Neither,
}

pub(super) struct Backend {
    nature: Nature,
    /// What it has to answer, in its order.
    open: Vec<Value>,
    /// The names of all requests that it has heard of.
    heard: BTreeSet<String>,
    refused: bool,
}

impl Backend {
    pub(super) fn new(nature: Nature) -> Self {
        Self { nature, open: Vec::new(), heard: BTreeSet::new(), refused: false }
    }

    pub(super) fn hears(&mut self, frame: &Frame) {
        let message: Value = serde_json::from_slice(frame.bytes()).unwrap();
        match frame.kind() {
            Kind::Request(..) => {
                if let Some(name) = message["params"]["name"].as_str() {
                    assert!(self.heard.insert(name.to_owned()), "{name} is there twice");
                }
                let is_other = |open: &Value| open["id"] != message["id"];
                assert!(self.open.iter().all(is_other), "two open requests have one id: {message}");
                self.open.push(message);
            }
            Kind::Notification(_) if frame.method() == "notifications/cancelled" => {
                self.open.retain(|open| open["id"] != message["params"]["requestId"]);
            }
            Kind::Notification(_) | Kind::Response(_) => {}
        }
    }

    /// Answers one of what it has been asked.
    pub(super) fn answer(&mut self, at: impl FnOnce(usize) -> usize, fails: bool) -> Option<String> {
        if self.open.is_empty() {
            return None;
        }
        let asked = self.open.remove(at(self.open.len()));
        let id = &asked["id"];
        let error = |code: i64, data: Value| json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": "no", "data": data } });
        let result = |result: Value| json!({ "jsonrpc": "2.0", "id": id, "result": result });
        let refuses = std::mem::replace(&mut self.refused, asked["method"] == "initialize");
        let answer = match (asked["method"].as_str().unwrap(), self.nature) {
            ("initialize", Nature::Stateless) => error(-32022, json!({ "supported": ["2026-07-28"] })),
            ("initialize", Nature::Picky) if !refuses => error(-32602, Value::Null),
            ("initialize", Nature::Neither) => error(if fails { -32000 } else { -32602 }, Value::Null),
            ("initialize", _) => {
                result(json!({ "protocolVersion": asked["params"]["protocolVersion"], "capabilities": {} }))
            }
            ("server/discover", Nature::Stateless) => result(json!({
                "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {},
            })),
            ("server/discover", _) => error(-32601, Value::Null),
            _ if fails => error(-32603, Value::Null),
            _ => result(json!({ "of": asked["params"]["name"] })),
        };
        Some(answer.to_string())
    }
}

/// The name of the request that an answer of the backend belongs to.
pub(super) fn name_in(answer: &Frame) -> Option<String> {
    let answer: Value = serde_json::from_slice(answer.bytes()).unwrap();
    answer["result"]["of"].as_str().map(str::to_owned)
}
