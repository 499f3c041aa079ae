//! One machine, with a client and a backend that say what a test has them say.

mod arbitrary;
mod asking;
mod beginning;
mod ending;
mod listening;
mod passing;
mod urls;

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::mcp::id::RequestId;
use crate::mcp::introduction::Introduction;
use crate::mcp::seal::Seal;

/// What clients can be asked, where they can be asked everything.
const EVERYTHING: &str =
    r#"{"elicitation":{"form":{},"url":{}},"sampling":{},"roots":{"listChanged":true},"extensions":{}}"#;
const CAPABLE: &str = r#"{"tools":{"listChanged":true},"prompts":{},"logging":{},
    "resources":{"subscribe":true,"listChanged":true},"tasks":{"a":1},"x":1.50}"#;
const INFO: &str = r#"{"name":"s","version":"1"}"#;
const STATE: &str = "requestState";

struct Both {
    upgrade: Upgrade,
    now: Duration,
}

/// What has come out, as JSON.
#[derive(Debug, Default, PartialEq)]
struct Said {
    to_backend: Vec<Value>,
    to_client: Vec<Value>,
}

fn frame(text: &str) -> Frame {
    Frame::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn sides(capabilities: &str) -> Sides {
    Sides {
        client: Era::Stateless,
        backend: Some(Era::Handshake),
        profile: None,
        introduction: Introduction { info: None, capabilities: serde_json::from_str(capabilities).unwrap() },
        server: "named".into(),
        seal: Seal::new([3; 32]),
    }
}

fn said(passed: &Passed) -> Said {
    let read =
        |frame: &Frame| serde_json::from_slice(frame.bytes()).unwrap_or_else(|_| json!(frame.payload()));
    Said {
        to_backend: passed.to_backend.iter().map(read).collect(),
        to_client: passed.to_client.iter().map(|one| read(&one.frame)).collect(),
    }
}

impl Both {
    fn begin(sides: Sides) -> (Self, Said) {
        let mut out = Passed::default();
        let upgrade = Upgrade::begin(sides, &mut out);
        (Self { upgrade, now: Duration::ZERO }, said(&out))
    }

    /// A conversation that is open, with clients that can be asked this.
    fn open(capabilities: &str) -> Self {
        let (mut both, _) = Self::begin(sides(capabilities));
        let agreed = both.answers(r#""lockgate-1""#, &agreement());
        assert_eq!(agreed.to_backend[0]["method"], "notifications/initialized");
        assert!(both.upgrade.is_open());
        both
    }

    /// The conversation, which is open.
    fn open_one(&self) -> &Conversation {
        let Stage::Open(conversation) = &self.upgrade.stage else { panic!("{:?}", self.upgrade) };
        conversation
    }

    fn does(&mut self, what: impl FnOnce(&mut Upgrade, Duration, &mut Passed)) -> Passed {
        let mut out = Passed::default();
        what(&mut self.upgrade, self.now, &mut out);
        for frame in out.to_backend.iter().chain(out.to_client.iter().map(|one| &one.frame)) {
            let read = Frame::parse(frame.bytes().clone()).unwrap();
            assert_eq!((read.kind(), read.payload()), (frame.kind(), frame.payload()));
        }
        out
    }

    fn client(&mut self, text: &str) -> Said {
        said(&self.does(|upgrade, now, out| upgrade.client_says(frame(text), now, out)))
    }

    fn backend(&mut self, text: &str) -> Said {
        said(&self.does(|upgrade, now, out| upgrade.backend_says(frame(text), now, out)))
    }

    /// A request of a client.
    fn asks(&mut self, id: u64, method: &str, params: &str) -> Said {
        self.client(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#))
    }

    fn calls(&mut self, id: u64) -> Said {
        self.asks(id, "tools/call", r#"{"name":"t","arguments":{}}"#)
    }

    fn calls_off(&mut self, id: u64) -> Said {
        self.client(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"r"}}}}"#
        ))
    }

    /// The call `t` once more, with these answers as a JSON object.
    fn brings(&mut self, id: u64, responses: &str, state: &str) -> Said {
        let params = format!(
            r#"{{"inputResponses":{responses},"requestState":{},"name":"t","arguments":{{}},"_meta":{{"progressToken":{id}}}}}"#,
            json!(state)
        );
        self.asks(id, "tools/call", &params)
    }

    /// A result of the backend.
    fn answers(&mut self, id: &str, result: &str) -> Said {
        self.backend(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
    }

    fn fails(&mut self, id: &str, error: &str) -> Said {
        self.backend(&format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#))
    }

    /// A question of the backend.
    fn wonders(&mut self, id: &str, method: &str) -> Said {
        let params = r#"{"message":"m","_meta":{"progressToken":1,"a":2}}"#;
        self.backend(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#))
    }

    fn tells(&mut self, method: &str, params: &str) -> Said {
        self.backend(&format!(r#"{{"jsonrpc":"2.0","method":"notifications/{method}","params":{params}}}"#))
    }

    fn wait(&mut self, millis: u64) -> Said {
        self.now += Duration::from_millis(millis);
        said(&self.does(|upgrade, now, out| upgrade.tick(now, out)))
    }

    /// A client asks this call, and the backend a question in it; the state that the client gets.
    fn parked(&mut self, id: u64) -> String {
        self.calls(id);
        self.wonders(r#""w""#, "elicitation/create");
        state(&self.wait(50))
    }
}

fn agreement() -> String {
    format!(
        r#"{{"protocolVersion":"2025-06-18","capabilities":{CAPABLE},"serverInfo":{INFO},"instructions":"i\n"}}"#
    )
}

fn state(said: &Said) -> String {
    said.to_client[0]["result"][STATE].as_str().unwrap().to_owned()
}

fn code(message: &Value) -> i64 {
    message["error"]["code"].as_i64().unwrap()
}

/// The keys under which a client is asked, in their order.
fn keys(said: &Said) -> Vec<String> {
    let asked = said.to_client[0]["result"]["inputRequests"].as_object().unwrap();
    asked.keys().cloned().collect()
}

fn is_idle(both: &Both) -> bool {
    both.open_one().requests.is_empty() && both.open_one().questions.is_empty() && !both.upgrade.is_taken()
}
