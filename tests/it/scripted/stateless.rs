//! A well-behaved server of 2026-07-28, where each request stands for itself (protocol.md section 3).

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::handshake::Handshake;
use super::reply::{Reply, Step, event};
use super::{Remote, Request, rpc};

const VERSION: &str = "2026-07-28";
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const SUBSCRIPTION_KEY: &str = "io.modelcontextprotocol/subscriptionId";

/// Who listens, with the id of the request.
#[derive(Default)]
pub(crate) struct Stateless {
    listening: Mutex<Vec<(Value, UnboundedSender<Vec<u8>>)>>,
}

/// A remote of this era only.
pub(crate) fn remote() -> (Remote, Arc<Stateless>) {
    let server = Arc::new(Stateless::default());
    let own = server.clone();
    (Remote::start(move |request| own.answer(request)), server)
}

/// A remote of both eras on one URL, told apart by the body.
pub(crate) fn dual() -> Remote {
    let (sessions, server) = (Handshake::default(), Stateless::default());
    let is_enveloped = |request: &Request| request.message()["params"]["_meta"][VERSION_KEY].is_string();
    Remote::start(
        move |request| {
            if is_enveloped(request) { server.answer(request) } else { sessions.answer(request) }
        },
    )
}

impl Stateless {
    pub(crate) fn answer(&self, request: &Request) -> Reply {
        if request.method != "POST" {
            return Reply::status(405);
        }
        let message = request.message();
        if message["params"]["_meta"][VERSION_KEY] != VERSION {
            return refusal(&message, -32022, "only 2026-07-28 is served");
        }
        if !is_mirrored(request, &message) {
            return refusal(&message, -32020, "the headers do not say what the body says");
        }
        match message["method"].as_str().unwrap() {
            "server/discover" => Reply::json(&rpc::result(&message, discovery())),
            "subscriptions/listen" => self.listen(&message),
            "never" => Reply::raw(vec![Step::Hang]),
            "steps" => Reply::messages(&rpc::steps(&message)),
            _ => Reply::json(&rpc::answer(&message, "none")),
        }
    }

    fn listen(&self, message: &Value) -> Reply {
        let (stream, events) = unbounded_channel();
        let params = json!({
            "notifications": message["params"]["notifications"], "_meta": { SUBSCRIPTION_KEY: message["id"] },
        });
        let acknowledged = rpc::notification("notifications/subscriptions/acknowledged", params);
        let _ = stream.send(event(&acknowledged));
        self.listening.lock().unwrap().push((message["id"].clone(), stream));
        Reply::events(events)
    }

    /// Tells everybody who listens that the list of tools has changed.
    pub(crate) fn touch(&self) {
        for (id, stream) in &*self.listening.lock().unwrap() {
            let params = json!({ "_meta": { SUBSCRIPTION_KEY: id } });
            let _ = stream.send(event(&rpc::notification("notifications/tools/list_changed", params)));
        }
    }
}

/// Whether the headers repeat the body, as they must in this era.
fn is_mirrored(request: &Request, message: &Value) -> bool {
    let name = message["params"]["name"].as_str().or(message["params"]["uri"].as_str());
    request.header("mcp-protocol-version") == Some(VERSION)
        && request.header("mcp-method") == message["method"].as_str()
        && request.header("mcp-name") == name
}

fn discovery() -> Value {
    json!({
        "resultType": "complete", "supportedVersions": [VERSION],
        "capabilities": { "tools": { "listChanged": true }, "resources": {}, "prompts": {} },
        "ttlMs": 0, "cacheScope": "private",
        "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "scripted", "version": "1" } },
    })
}

fn refusal(message: &Value, code: i64, text: &str) -> Reply {
    let mut body = rpc::error(message, code, text);
    body["error"]["data"] = json!({ "supported": [VERSION] });
    Reply::new(400, "application/json", body.to_string())
}
