//! A well-behaved server of HTTP+SSE, 2024-11-05 (protocol.md section 1).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::reply::{Reply, event};
use super::{Remote, Request, rpc};

/// Its streams, by the id that their endpoint names.
#[derive(Default)]
pub(crate) struct Legacy {
    streams: Mutex<BTreeMap<String, UnboundedSender<Vec<u8>>>>,
    /// What stands before the endpoint's path.
    origin: String,
}

/// A remote whose endpoint is this and the path.
pub(crate) fn remote(origin: &str) -> (Remote, Arc<Legacy>) {
    let server = Arc::new(Legacy { streams: Mutex::default(), origin: origin.to_owned() });
    let own = server.clone();
    (Remote::start(move |request| own.answer(request)), server)
}

/// One whose endpoint names the remote itself, whole.
pub(crate) fn absolute() -> (Remote, Arc<Legacy>) {
    let server = Arc::new(Legacy::default());
    let own = server.clone();
    let script = move |request: &Request| {
        own.answer_as(request, &format!("http://{}", request.header("host").unwrap()))
    };
    (Remote::start(script), server)
}

impl Legacy {
    pub(crate) fn answer(&self, request: &Request) -> Reply {
        self.answer_as(request, &self.origin)
    }

    fn answer_as(&self, request: &Request, origin: &str) -> Reply {
        match (&*request.method, request.path.split_once("/message?sessionId=")) {
            ("GET", None) => self.open(origin),
            // Parameters may stand behind the id.
            ("POST", Some((_, rest))) => self.take(rest.split('&').next().unwrap(), &request.message()),
            _ => Reply::status(405),
        }
    }

    fn open(&self, origin: &str) -> Reply {
        let mut streams = self.streams.lock().unwrap();
        let id = (streams.len() + 1).to_string();
        let (stream, events) = unbounded_channel();
        let endpoint = format!("event: endpoint\ndata: {origin}/message?sessionId={id}\n\n");
        let _ = stream.send(endpoint.into_bytes());
        streams.insert(id, stream);
        Reply::events(events)
    }

    fn take(&self, id: &str, message: &Value) -> Reply {
        let streams = self.streams.lock().unwrap();
        let Some(stream) = streams.get(id) else { return Reply::status(404) };
        let answers = match message["method"].as_str() {
            _ if message["id"].is_null() => Vec::new(),
            None | Some("never") => Vec::new(),
            Some("steps") => rpc::steps(message),
            Some(_) => vec![rpc::answer(message, id)],
        };
        answers.iter().for_each(|answer| drop(stream.send(event(answer))));
        Reply::status(202)
    }

    /// Sends these bytes on every stream.
    pub(crate) fn send(&self, bytes: &[u8]) {
        self.streams.lock().unwrap().values().for_each(|stream| drop(stream.send(bytes.to_vec())));
    }

    /// Ends every stream properly.
    pub(crate) fn end(&self) {
        self.streams.lock().unwrap().clear();
    }
}
