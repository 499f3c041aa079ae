//! Errors that the gateway gives when it is asked for them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::events::Endpoint;
use crate::gateway::{Gateway, SECRET, lockgate, peer};

/// What somebody is told.
#[derive(Debug)]
pub(super) struct Told {
    /// Of HTTP, where it is an answer of its own.
    pub(super) status: Option<u16>,
    pub(super) text: String,
}

const REVISION: &str = "2025-11-25";
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

async fn refusal(response: Response) -> Told {
    let status = Some(response.status().as_u16());
    let body: Value = response.json().await.unwrap();
    let text = body["error"]["message"].as_str().or(body["detail"].as_str()).unwrap_or_default();
    assert!(!text.is_empty(), "{status:?} {body}");
    Told { status, text: text.to_owned() }
}

async fn send(request: RequestBuilder) -> Told {
    refusal(request.send().await.unwrap()).await
}

/// Those of requests that are refused by themselves.
pub(super) async fn of_requests() -> Vec<Told> {
    let place = tempfile::tempdir().unwrap();
    let script = place.path().join("server");
    fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let settings =
        format!("[limits]\nmessage = \"1KiB\"\n[servers.broken]\nrun = {:?}", script.to_str().unwrap());
    let gateway = Gateway::start(&settings);
    let http = crate::client::http().build().unwrap();
    let mut told = of_strangers(&gateway, &http).await;
    told.extend(of_messages(&gateway).await);
    let get = |path: &str| http.get(gateway.url(path)).bearer_auth(SECRET);
    for request in [
        get("/nobody/sse"),
        get("/mcp"),
        get("/peer/mcp"),
        get("/pe%zr/sse"),
        http.post(gateway.url("/peer/sse")).bearer_auth(SECRET),
        get("/peer/sse").header("accept", "application/json"),
        get("/peer/sse").header("env_ld_preload", "x"),
        get("/peer/sse").header("env_a", "1").header("x-env-a", "2"),
        get("/broken/sse"),
    ] {
        told.push(send(request).await);
    }
    told
}

/// Of those who are not let in.
async fn of_strangers(gateway: &Gateway, http: &reqwest::Client) -> Vec<Told> {
    let get = || http.get(gateway.url("/peer/sse"));
    let mut told = Vec::new();
    for request in [
        get(),
        get().bearer_auth(SECRET).header("authorization", "Bearer other"),
        get().basic_auth("user", Some(SECRET)),
        get().bearer_auth("wrong"),
        get().bearer_auth(SECRET).header("origin", "https://other.example"),
        get().bearer_auth(SECRET).header("host", "other.example"),
    ] {
        told.push(send(request).await);
    }
    told
}

/// Of messages that are not taken.
async fn of_messages(gateway: &Gateway) -> Vec<Told> {
    let endpoint = || Endpoint::new(gateway, "peer");
    let session = endpoint().open(REVISION).await;
    let post = |endpoint: &Endpoint| endpoint.request(reqwest::Method::POST).body(PING);
    let large = format!("{PING}{}", " ".repeat(2000));
    let is_json = ("content-type", "application/json");
    let mut told = vec![
        refusal(endpoint().post_raw(PING).await).await,
        refusal(session.post_raw("{").await).await,
        refusal(session.post_raw("{}").await).await,
        refusal(session.post_raw(large).await).await,
        send(post(&session).header("content-type", "text/plain")).await,
        send(post(&session).header(is_json.0, is_json.1).header("content-encoding", "gzip")).await,
        refusal(endpoint().in_session("nobody's").post_raw(PING).await).await,
        refusal(endpoint().header("accept", "text/html").initialize(REVISION).await).await,
    ];
    let old = session.header("mcp-protocol-version", "2020-01-01");
    told.push(refusal(old.post_raw(PING).await).await);
    told
}

/// Those of who has used up what there is.
pub(super) async fn over_limits() -> Vec<Told> {
    let few = |key: &str| format!("[rate]\nper_minute = 0\nopens_per_minute = 0\n{key}");
    let one = format!("[servers.one]\nrun = \"{} one\"\nsessions = 1", peer());
    let mut told = Vec::new();
    for (settings, server, secret) in [
        ("[rate]\nper_minute = 1\nburst = 1\nopens_per_minute = 0".to_owned(), "peer", SECRET),
        ("[rate]\nper_minute = 0\nopens_per_minute = 1".to_owned(), "peer", SECRET),
        ("[rate]\nfailures_per_minute = 1".to_owned(), "peer", "wrong"),
        (few("[limits]\nsessions_per_tenant = 1"), "peer", SECRET),
        (few(&one), "one", SECRET),
    ] {
        let gateway = Gateway::start(&settings);
        let endpoint = Endpoint::new(&gateway, server).of_tenant(secret);
        let mut opened = Vec::new();
        // As many as pass; then one does not.
        let refused = loop {
            let response = endpoint.initialize(REVISION).await;
            match response.status().as_u16() {
                200 | 401 if opened.len() < 100 => opened.push(response),
                _ => break refusal(response).await,
            }
        };
        told.push(refused);
    }
    told
}

/// Those that requests in a session are answered with.
pub(super) async fn of_sessions() -> Vec<Told> {
    let silent = "[timeouts]\nstart = \"1s\"\n[servers.silent]\nrun = \"sleep 1000\"\nera = \"handshake\"";
    let gateway = Gateway::start(silent);
    let session = Endpoint::new(&gateway, "peer").open(REVISION).await;
    let last = session.call_slowly(1, "exit", json!({ "status": 3, "stderr": "TOKEN is not set" })).await;
    let late = Endpoint::new(&gateway, "silent");
    let hello = json!({ "protocolVersion": REVISION, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    let late = late.call_slowly(1, "initialize", hello).await;
    let text = |answer: &Value| answer["error"]["message"].as_str().unwrap().to_owned();
    [&last, &late].map(|answer| Told { status: None, text: text(answer) }).into()
}

/// Those that stop a start.
pub(super) fn of_starts() -> Vec<Told> {
    let place = tempfile::tempdir().unwrap();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("[listen]\naddress = {:?}", socket.local_addr().unwrap().to_string());
    let settings = [
        "[listen]\naddress = \"0.0.0.0:0\"",
        "[limits]\nsesions = 1",
        "[servers.a]\nrun = \"no-such-program\"",
        "[servers.a]\nrun = \"cat | grep x\"",
        &taken,
    ];
    settings.into_iter().map(|settings| start(place.path(), settings)).collect()
}

fn start(place: &std::path::Path, settings: &str) -> Told {
    fs::write(place.join("lockgate.toml"), settings).unwrap();
    let mut command = lockgate();
    command.args(["serve", "--config", "lockgate.toml"]).current_dir(place).stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(!output.status.success(), "it starts with {settings}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    // The program and the file stand before.
    let text = stderr.trim().trim_start_matches("lockgate: ").trim_start_matches("lockgate.toml: ");
    Told { status: None, text: text.to_owned() }
}
