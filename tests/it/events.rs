//! A plain client of Streamable HTTP: posts, and reads what comes back as JSON or as events.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::gateway::{Gateway, SECRET};

/// One endpoint, as one tenant sees it.
pub(crate) struct Endpoint {
    pub(crate) url: String,
    secret: String,
    http: reqwest::Client,
    /// The session that requests name, and further headers.
    pub(crate) headers: Vec<(String, String)>,
}

/// An event; a comment has neither id nor data.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) retry: Option<String>,
    pub(crate) data: Option<String>,
}

/// Reads a response as events.
pub(crate) struct Events {
    response: Response,
    buffer: Vec<u8>,
}

/// Longer than anything here takes on a machine that is busy with something else; a test that would hang fails instead.
const PATIENCE: Duration = Duration::from_secs(120);

impl Endpoint {
    pub(crate) fn new(gateway: &Gateway, server: &str) -> Self {
        Self::at(gateway.url(&format!("/{server}/mcp")))
    }

    /// The same where the gateway is reached by another URL.
    pub(crate) fn at(url: String) -> Self {
        Self { url, secret: SECRET.into(), http: crate::client::plain(), headers: Vec::new() }
    }

    pub(crate) fn of_tenant(mut self, secret: &str) -> Self {
        self.secret = secret.into();
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Requests name this session.
    pub(crate) fn in_session(self, id: &str) -> Self {
        self.header("mcp-session-id", id)
    }

    pub(crate) fn request(&self, method: Method) -> RequestBuilder {
        let mut request = self.http.request(method, &self.url).bearer_auth(&self.secret).timeout(PATIENCE);
        if !self.headers.iter().any(|(name, _)| name == "accept") {
            request = request.header("accept", "application/json, text/event-stream");
        }
        self.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    }

    pub(crate) async fn post_raw(&self, body: impl Into<reqwest::Body>) -> Response {
        let request = self.request(Method::POST).header("content-type", "application/json");
        request.body(body).send().await.unwrap()
    }

    pub(crate) async fn post(&self, message: &Value) -> Response {
        self.post_raw(message.to_string()).await
    }

    pub(crate) async fn get(&self) -> Response {
        self.request(Method::GET).send().await.unwrap()
    }

    /// Sends a request of a session and reads its whole answer, from JSON.
    pub(crate) async fn call(&self, id: u64, method: &str, params: Value) -> Value {
        let response =
            self.post(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/json");
        response.json().await.unwrap()
    }

    /// The same where it may take long, so that the answer comes as an event.
    pub(crate) async fn call_slowly(&self, id: u64, method: &str, params: Value) -> Value {
        let response =
            self.post(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await;
        if response.headers()["content-type"] == "application/json" {
            return response.json().await.unwrap();
        }
        Events::of(response).message().await.unwrap()
    }

    pub(crate) async fn initialize(&self, revision: &str) -> Response {
        let info = json!({ "name": "test", "version": "1" });
        let params = json!({ "protocolVersion": revision, "capabilities": {}, "clientInfo": info });
        self.post(&json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params })).await
    }

    /// Opens a session of this revision; the endpoint in it.
    pub(crate) async fn open(self, revision: &str) -> Self {
        let response = self.initialize(revision).await;
        assert_eq!(response.status(), 200);
        let id = response.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["result"]["protocolVersion"], revision);
        let session = self.in_session(&id).header("mcp-protocol-version", revision);
        let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(session.post(&note).await.status(), 202);
        session
    }
}

impl Events {
    pub(crate) fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-cache, no-transform");
        Self { response, buffer: Vec::new() }
    }

    /// The next event; `None` at the end of the stream, or where it was cut.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = first_event(&mut self.buffer) {
                return Some(event);
            }
            let chunk = self.response.chunk().await.ok()??;
            self.buffer.extend_from_slice(&chunk);
        }
    }

    /// The data of the next event that has some, as JSON.
    pub(crate) async fn message(&mut self) -> Option<Value> {
        loop {
            let event = self.next().await?;
            if let Some(data) = event.data.filter(|data| !data.is_empty()) {
                return Some(serde_json::from_str(&data).unwrap());
            }
        }
    }
}

/// Takes the first whole event out of a buffer.
pub(crate) fn first_event(buffer: &mut Vec<u8>) -> Option<Event> {
    let end = buffer.windows(2).position(|pair| pair == b"\n\n")?;
    let text = String::from_utf8(buffer.drain(..end + 2).collect()).unwrap();
    let mut event = Event::default();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match line.split_once(": ").unwrap_or((line, "")) {
            ("id", value) => event.id = Some(value.into()),
            ("retry", value) => event.retry = Some(value.into()),
            ("data", value) => event.data = Some(value.into()),
            ("event", "message") => {}
            _ => assert_eq!(line, ": keepalive"),
        }
    }
    Some(event)
}

/// Status, error code and text of a refusal.
pub(crate) async fn fault(response: Response) -> (u16, i64, Value) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/json");
    let body: Value = response.json().await.unwrap();
    assert!(!body["error"]["message"].as_str().unwrap().is_empty());
    (status, body["error"]["code"].as_i64().unwrap(), body)
}

/// Posts a body over a connection of its own and never reads what comes back.
pub(crate) async fn post_and_do_not_read(
    gateway: &Gateway,
    endpoint: &Endpoint,
    body: &str,
) -> tokio::net::TcpStream {
    let request = endpoint.request(Method::POST).header("content-type", "application/json").build().unwrap();
    let mut text = format!("POST {} HTTP/1.1\r\nhost: {}\r\n", request.url().path(), gateway.address);
    for (name, value) in request.headers() {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    let mut stream = tokio::net::TcpStream::connect(&gateway.address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}
