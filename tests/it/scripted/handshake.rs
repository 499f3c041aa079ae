//! A well-behaved server of Streamable HTTP with sessions (protocol.md section 2).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::reply::{Door, Reply, Step, event};
use super::{Remote, Request, rpc};

/// What it knows of its sessions.
#[derive(Default)]
pub(crate) struct Handshake {
    state: Mutex<State>,
    /// Requests `gated` are answered once it is open.
    pub(crate) door: Door,
}

#[derive(Default)]
struct State {
    made: u64,
    sessions: BTreeMap<String, Session>,
}

#[derive(Default)]
struct Session {
    listening: Option<UnboundedSender<Vec<u8>>>,
    /// The call that waits for the client's answer, and its stream.
    asking: Option<(Value, UnboundedSender<Vec<u8>>)>,
}

/// A remote that does this and nothing else.
pub(crate) fn remote() -> (Remote, Arc<Handshake>) {
    remote_but("", |_| Reply::status(500))
}

/// The same, but requests of this JSON-RPC method are answered so.
pub(crate) fn remote_but(
    rpc: &'static str,
    fault: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> (Remote, Arc<Handshake>) {
    let server = Arc::new(Handshake::default());
    let own = server.clone();
    let script = move |request: &Request| {
        if !rpc.is_empty() && request.rpc() == rpc { fault(request) } else { own.answer(request) }
    };
    (Remote::start(script), server)
}

impl Handshake {
    pub(crate) fn answer(&self, request: &Request) -> Reply {
        let message = request.message();
        if message["method"] == "initialize" {
            return self.begin(&message);
        }
        let Some(id) = request.header("mcp-session-id") else {
            return refusal(400, &message, -32000, "no session id");
        };
        let mut state = self.state.lock().unwrap();
        let Some(session) = state.sessions.get_mut(id) else {
            return refusal(404, &message, -32001, "Session not found");
        };
        match &*request.method {
            "POST" => session.post(&message, id, &self.door),
            "GET" => session.listen(),
            "DELETE" => {
                state.sessions.remove(id);
                Reply::status(200)
            }
            _ => Reply::status(405),
        }
    }

    fn begin(&self, message: &Value) -> Reply {
        let mut state = self.state.lock().unwrap();
        state.made += 1;
        let id = format!("remote-session-{}", state.made);
        state.sessions.insert(id.clone(), Session::default());
        Reply::json(&rpc::answer(message, &id)).header("mcp-session-id", &id)
    }

    /// Forgets every session, as after a restart.
    pub(crate) fn forget(&self) {
        self.state.lock().unwrap().sessions.clear();
    }

    /// Whether there ever was a session.
    pub(crate) fn has_begun(&self) -> bool {
        self.state.lock().unwrap().made > 0
    }

    /// The sessions that it has now.
    pub(crate) fn sessions(&self) -> Vec<String> {
        self.state.lock().unwrap().sessions.keys().cloned().collect()
    }

    /// Says something on every listening stream. How many there are.
    pub(crate) fn say(&self, message: &Value) -> usize {
        let state = self.state.lock().unwrap();
        let streams = state.sessions.values().filter_map(|session| session.listening.as_ref());
        streams.filter(|stream| stream.send(event(message)).is_ok()).count()
    }
}

impl Session {
    fn post(&mut self, message: &Value, id: &str, door: &Door) -> Reply {
        if message["id"].is_null() {
            return Reply::status(202);
        }
        match message["method"].as_str() {
            None => {
                if let Some((call, stream)) = self.asking.take() {
                    let _ = stream.send(event(&rpc::result(&call, message["result"].clone())));
                }
                Reply::status(202)
            }
            Some("gated") => {
                Reply::behind(door, Reply::json(&rpc::result(message, json!({ "said": "late" }))))
            }
            Some("never") => Reply::raw(vec![Step::Hang]),
            Some("steps") => Reply::messages(&rpc::steps(message)),
            Some("ask") => self.ask(message),
            Some(_) => Reply::json(&rpc::answer(message, id)),
        }
    }

    /// Asks the client for its roots before it answers.
    fn ask(&mut self, message: &Value) -> Reply {
        let (stream, events) = unbounded_channel();
        let _ = stream.send(event(&json!({ "jsonrpc": "2.0", "id": 0, "method": "roots/list" })));
        self.asking = Some((message.clone(), stream));
        Reply::events(events)
    }

    fn listen(&mut self) -> Reply {
        let (stream, events) = unbounded_channel();
        self.listening = Some(stream);
        Reply::events(events)
    }
}

fn refusal(status: u16, message: &Value, code: i64, text: &str) -> Reply {
    Reply::new(status, "application/json", rpc::error(message, code, text).to_string())
}
