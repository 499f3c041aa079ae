//! A plain client of the `sse` transport.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub(crate) struct Client {
    base: String,
    secret: String,
    http: reqwest::Client,
    headers: Vec<(String, String)>,
}

/// An open session. Dropping it closes the stream.
pub(crate) struct Session {
    pub(crate) endpoint: String,
    base: String,
    secret: String,
    http: reqwest::Client,
    /// Data of `message` events; ends with the stream.
    events: mpsc::UnboundedReceiver<String>,
    stream: JoinHandle<()>,
    /// Messages that were not the one waited for.
    pub(crate) aside: Vec<Value>,
    next_id: u64,
}

/// Longer than anything here takes; a test that would hang fails instead.
pub(crate) fn patience() -> Duration {
    let soaks = std::env::var_os("LOCKGATE_SOAK_SECONDS").is_some();
    Duration::from_secs(if soaks { 600 } else { 30 })
}

/// What every HTTP client of the tests is made of: reqwest has a TLS library, and wants to be told whose
/// arithmetic that is to use.
pub(crate) fn http() -> reqwest::ClientBuilder {
    // Only the first of them is taken, and they are all the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}

/// The client that nothing else is wanted of than to send. Made once: that reads every certificate of the system, and
/// who has connected meanwhile has only so long to say what it wants.
///
/// No idle connections are kept: they would count as the gateway's descriptors, and belong to one test's runtime.
pub(crate) fn plain() -> reqwest::Client {
    static PLAIN: OnceLock<reqwest::Client> = OnceLock::new();
    PLAIN.get_or_init(|| http().pool_max_idle_per_host(0).build().unwrap()).clone()
}

/// A single GET.
pub(crate) async fn get(url: String) -> reqwest::Result<Response> {
    plain().get(url).send().await
}

impl Client {
    pub(crate) fn new(base: &str, secret: &str) -> Self {
        Self::by(plain(), base, secret)
    }

    /// The same by this client, of whose headers messages have all.
    pub(crate) fn by(http: reqwest::Client, base: &str, secret: &str) -> Self {
        Self { base: base.into(), secret: secret.into(), http, headers: Vec::new() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        let mut request = self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.secret);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> RequestBuilder {
        self.http
            .post(format!("{}{path}", self.base))
            .bearer_auth(&self.secret)
            .header("content-type", "application/json")
            .timeout(patience())
            .body(body.to_owned())
    }

    /// Opens a session and waits for its endpoint.
    pub(crate) async fn open(&self, server: &str) -> Session {
        let response = self.get(&format!("/{server}/sse")).send();
        let response = tokio::time::timeout(patience(), response).await.expect("an answer").unwrap();
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
        self.attach(response).await
    }

    pub(crate) async fn attach(&self, response: Response) -> Session {
        let (sender, events) = mpsc::unbounded_channel();
        let (endpoint_sender, endpoint) = tokio::sync::oneshot::channel();
        let stream = tokio::spawn(read_events(response, sender, endpoint_sender));
        let endpoint =
            tokio::time::timeout(patience(), endpoint).await.expect("an endpoint").expect("an endpoint");
        Session {
            endpoint,
            base: self.base.clone(),
            secret: self.secret.clone(),
            http: self.http.clone(),
            events,
            stream,
            aside: Vec::new(),
            next_id: 0,
        }
    }

    /// Opens a session and initializes it.
    pub(crate) async fn connect(&self, server: &str) -> Session {
        let mut session = self.open(server).await;
        session.initialize().await;
        session
    }
}

async fn read_events(
    mut response: Response,
    events: mpsc::UnboundedSender<String>,
    endpoint: tokio::sync::oneshot::Sender<String>,
) {
    let mut endpoint = Some(endpoint);
    let mut buffer = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let mut from = buffer.len().saturating_sub(1);
        buffer.extend_from_slice(&chunk);
        while let Some(end) = buffer[from..].windows(2).position(|pair| pair == b"\n\n").map(|at| from + at) {
            let event = String::from_utf8(buffer.drain(..end + 2).collect()).expect("UTF-8");
            from = 0;
            let event = event.trim_end();
            if let Some(uri) = event.strip_prefix("event: endpoint\ndata: ") {
                endpoint.take().expect("one endpoint").send(uri.to_owned()).unwrap();
            } else if let Some(data) = event.strip_prefix("event: message\ndata: ") {
                drop(events.send(data.to_owned()));
            } else {
                assert_eq!(event, ": keepalive", "an event of no known form");
                drop(events.send(event.to_owned()));
            }
        }
    }
}

impl Session {
    /// Posts a text as it is.
    pub(crate) fn post_raw(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.http
            .post(format!("{}{}", self.base, self.endpoint))
            .bearer_auth(&self.secret)
            .header("content-type", "application/json")
            .timeout(patience())
            .body(body)
    }

    pub(crate) async fn send(&self, message: &Value) {
        let response = self.post_raw(message.to_string()).send().await.unwrap();
        let status = response.status();
        assert_eq!(status, StatusCode::ACCEPTED, "{}", response.text().await.unwrap());
    }

    pub(crate) async fn initialize(&mut self) -> Value {
        let info = json!({ "name": "test", "version": "1" });
        let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info });
        let answer = self.call("initialize", params).await;
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        answer
    }

    /// Sends a request and does not wait.
    pub(crate) async fn request(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await;
        id
    }

    /// Sends a request and waits for its result.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params).await;
        let answer = self.answer(id).await;
        assert!(answer.get("result").is_some(), "{answer}");
        answer["result"].clone()
    }

    /// The scripted server's process id, as it sees it.
    pub(crate) async fn pid(&mut self) -> u32 {
        self.call("pid", json!({})).await.as_u64().unwrap().try_into().unwrap()
    }

    /// Waits for the answer to a request, and keeps what comes before it.
    pub(crate) async fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.message().await.expect("an answer before the end of the stream");
            if message["id"] == id && message.get("method").is_none() {
                return message;
            }
            self.aside.push(message);
        }
    }

    /// The next message, heartbeats left out; `None` at the end of the stream.
    pub(crate) async fn message(&mut self) -> Option<Value> {
        // Heartbeats must not keep a test waiting for ever.
        let next = async {
            loop {
                let event = self.event().await?;
                if event != ": keepalive" {
                    return Some(serde_json::from_str(&event).expect("JSON in an event"));
                }
            }
        };
        tokio::time::timeout(patience(), next).await.expect("a message in time")
    }

    /// The next event's data, or the comment; `None` at the end of the stream.
    pub(crate) async fn event(&mut self) -> Option<String> {
        tokio::time::timeout(patience(), self.events.recv()).await.expect("something in time")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stream.abort();
    }
}
