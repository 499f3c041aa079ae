//! One client and one backend, whose parts the tests play.

mod answers;
mod asking;
mod interleavings;
mod listening;
mod opening;
mod requests;
mod steps;

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Downgrade, Frame, Passed};

/// What has come out, as JSON.
#[derive(Debug, Default, PartialEq)]
struct Out {
    to_backend: Vec<Value>,
    to_client: Vec<Value>,
    /// Of each message to the client, the request that it is about.
    about: Vec<Value>,
}

impl Out {
    fn of(passed: &Passed) -> Self {
        let to_client = passed.to_client.iter();
        Self {
            to_backend: passed.to_backend.iter().map(value).collect(),
            to_client: to_client.clone().map(|message| value(&message.frame)).collect(),
            about: to_client
                .map(|message| message.about.as_ref().map_or(Value::Null, |id| id.token().parse().unwrap()))
                .collect(),
        }
    }

    /// The only message for the backend, where the client gets none.
    fn backend(&self) -> &Value {
        let ([only], []) = (&*self.to_backend, &*self.to_client) else { panic!("{self:#?}") };
        only
    }

    /// The only message for the client, where the backend gets none.
    fn client(&self) -> &Value {
        let ([], [only]) = (&*self.to_backend, &*self.to_client) else { panic!("{self:#?}") };
        only
    }

    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// A message that says of itself what its bytes say.
fn value(frame: &Frame) -> Value {
    let read = Frame::parse(frame.bytes().clone()).unwrap();
    assert_eq!((read.kind(), read.payload()), (frame.kind(), frame.payload()));
    serde_json::from_slice(frame.bytes()).unwrap()
}

struct World {
    machine: Downgrade,
    now: Duration,
}

const CAN: &str = "io.modelcontextprotocol/clientCapabilities";
const LEVEL: &str = "io.modelcontextprotocol/logLevel";
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

impl World {
    fn fresh() -> Self {
        Self { machine: Downgrade::new("demo".to_owned()), now: Duration::ZERO }
    }

    /// A client that can do this, and a backend that can do that.
    fn open(client: Value, backend: Value) -> Self {
        let mut world = Self::fresh();
        world.client(initialize("2025-11-25", client));
        world.backend(discovered(backend));
        world
    }

    /// With a backend that tells of nothing, so that each message comes of a request.
    fn quiet(client: Value) -> Self {
        Self::open(client, json!({}))
    }

    fn client(&mut self, message: Value) -> Out {
        self.client_text(&message.to_string())
    }

    fn client_text(&mut self, text: &str) -> Out {
        let mut out = Passed::default();
        let frame = Frame::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap();
        self.machine.client_says(frame, self.now, &mut out);
        Out::of(&out)
    }

    fn backend(&mut self, message: Value) -> Out {
        self.backend_text(&message.to_string())
    }

    fn backend_text(&mut self, text: &str) -> Out {
        let mut out = Passed::default();
        let frame = Frame::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap();
        self.machine.backend_says(frame, self.now, &mut out);
        Out::of(&out)
    }

    /// Lets the time pass until something is due, and does it.
    fn wait(&mut self) -> Out {
        self.now = self.machine.next_deadline().expect("nothing is due");
        self.tick()
    }

    fn tick(&mut self) -> Out {
        let mut out = Passed::default();
        self.machine.tick(self.now, &mut out);
        Out::of(&out)
    }

    /// Sends a call with the id `c`; its number.
    fn call(&mut self) -> Value {
        let out = self.client(request("c", "tools/call", json!({ "name": "t", "arguments": {} })));
        out.backend()["id"].clone()
    }
}

fn request(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params })
}

fn notification(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}

fn result(id: &Value, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

fn error(id: &Value, code: i64, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

fn initialize(revision: &str, capabilities: Value) -> Value {
    let info = json!({ "name": "client", "version": "3" });
    let params = json!({ "protocolVersion": revision, "capabilities": capabilities, "clientInfo": info });
    request("i", "initialize", params)
}

/// The answer to the first request of ours.
fn discovered(capabilities: Value) -> Value {
    let meta = json!({ "io.modelcontextprotocol/serverInfo": { "name": "own", "version": "7" } });
    result(
        &json!(1),
        json!({
            "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": capabilities,
            "instructions": "read me", "ttlMs": 0, "cacheScope": "private", "_meta": meta,
        }),
    )
}

fn cancel(id: impl Into<Value>) -> Value {
    notification("notifications/cancelled", json!({ "requestId": id.into(), "reason": "enough" }))
}
