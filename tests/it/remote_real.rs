//! Remotes that others have written, and Lockgate itself as one. `tests/run` installs them.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::clients::{node, passes, python, tests};
use crate::events::Endpoint;
use crate::gateway::{Gateway, SECRET, with_peers};
use crate::remote::{NEWEST, call, goes_on, is_told, open, server};
use crate::stateless::{enveloped, mirrored};

/// A server that others have written, in a process of its own, which ends with this value.
pub(crate) struct Process {
    child: Child,
    pub(crate) base: String,
}

impl Process {
    /// One that says on its standard output where it listens.
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let line = until_line(child.stdout.take().unwrap(), "listening on ").expect("it listens");
        let port = line.rsplit(' ').next().unwrap().to_owned();
        Self { child, base: format!("http://127.0.0.1:{port}") }
    }

    /// Our own server of `tests/everything` on the official TypeScript SDK, in one of its forms.
    pub(crate) fn typescript(form: &str) -> Self {
        let mut command = Command::new("node");
        command.arg(tests().join("everything/http.mjs")).arg(form);
        Self::start(command)
    }

    /// The one on the official Python SDK.
    fn python(form: &str) -> Self {
        let mut command = Command::new(tests().join(".venv/bin/python"));
        command.arg("-B").arg(tests().join("everything/remote.py")).arg(form);
        Self::start(command)
    }

    /// `server-everything` in its mode `streamableHttp` or `sse`. It has to be told a port, which another process
    /// may take meanwhile; then it ends, and is given another.
    fn everything(mode: &str) -> Self {
        let script = tests().join("node_modules/@modelcontextprotocol/server-everything/dist/index.js");
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
            let mut command = Command::new("node");
            command.arg(&script).arg(mode).env("PORT", &port);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let ready = until_line(child.stderr.take().unwrap(), &format!("on port {port}"));
            let process = Self { child, base: format!("http://127.0.0.1:{port}") };
            if ready.is_some() {
                return process;
            }
        }
        panic!("server-everything does not start");
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first line that has this in it, if it comes before the end; what follows is read and dropped.
fn until_line(output: impl Read + Send + 'static, part: &str) -> Option<String> {
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains(part));
    std::thread::spawn(move || lines.for_each(drop));
    line
}

/// A gateway whose server `docs` is at this URL.
fn gateway(url: &str, more: &str) -> Gateway {
    Gateway::start(&server("docs", url, more))
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {answer}"))
}

async fn tool(session: &Endpoint, id: u64, name: &str, arguments: Value) -> Value {
    call(session, id, "tools/call", json!({ "name": name, "arguments": arguments })).await
}

#[test]
fn server_everything_in_both_of_its_modes() {
    for (mode, path, transport) in [("streamableHttp", "/mcp", "auto"), ("sse", "/sse", "sse")] {
        let remote = Process::everything(mode);
        let gateway = gateway(&remote.url(path), &format!("transport = {transport:?}"));
        passes(node("everything.mjs", &gateway, &["docs", "elsewhere"]));
    }
}

/// Each request gets an event stream there, even where the answer is all there is to tell.
#[test]
fn the_official_clients_use_the_official_server_as_a_remote() {
    let sessions = Process::typescript("sessions");
    let gateway = gateway(&sessions.url("/mcp"), "");
    passes(node("streamable_v1.mjs", &gateway, &["docs"]));
    passes(node("streamable_v2.mjs", &gateway, &["docs", "auto", "modern"]));
    passes(python("streamable.py", &gateway, &["docs", "auto", "modern"]));
}

#[test]
fn the_official_clients_use_the_official_server_of_both_eras_as_a_remote() {
    let dual = Process::typescript("dual");
    let gateway = gateway(&dual.url("/mcp"), "");
    passes(node("streamable_v1.mjs", &gateway, &["docs"]));
    passes(node("streamable_v2.mjs", &gateway, &["docs", "auto", "modern"]));
    passes(python("streamable.py", &gateway, &["docs", "auto", "modern"]));
}

#[tokio::test]
async fn the_python_sdk_as_a_remote_in_each_of_its_forms() {
    for (form, path) in [("sessions", "/mcp"), ("stateless", "/mcp"), ("sse", "/sse")] {
        let remote = Process::python(form);
        let gateway = gateway(&remote.url(path), "");
        let session = open(&gateway).await;
        assert_eq!(text(&tool(&session, 1, "echo", json!({ "text": "a\u{2028}b" })).await), "a\u{2028}b");
        assert_eq!(text(&tool(&session, 2, "fill", json!({ "bytes": 3_000_000 })).await).len(), 3_000_000);
        assert_eq!(text(&tool(&session, 3, "count", json!({ "steps": 3 })).await), "counted 3");
        assert_eq!(tool(&session, 4, "fail", json!({})).await["result"]["isError"], true);
        session.request(reqwest::Method::DELETE).send().await.unwrap();
        gateway.until_active(0).await;
    }
}

#[tokio::test]
async fn a_remote_that_is_killed_with_a_call_in_flight() {
    for (form, path) in [("sessions", "/mcp"), ("sse", "/sse")] {
        let remote = Process::python(form);
        let gateway = gateway(&remote.url(path), "");
        let mut session = gateway.client().connect("docs").await;
        let id = session.request("tools/call", json!({ "name": "hang", "arguments": {} })).await;
        session.call("tools/list", json!({})).await;
        drop(remote);
        is_told(&session.answer(id).await, id, &["connection", "closed", "broke", "ended"]);
        drop(session);
        gateway.until_active(0).await;
    }
}

#[tokio::test]
async fn lockgate_behind_lockgate() {
    let inner = Gateway::start("");
    let auth = "auth = { scheme = \"bearer\", env = \"INNER\" }";
    let tables = server("docs", &inner.url("/peer/mcp"), auth)
        + &server("old", &inner.url("/peer/sse"), auth)
        + &server("without", &inner.url("/peer/mcp"), "");
    let variables = [("LOCKGATE_SECRET", "another-secret-of-the-outer-one"), ("INNER", SECRET)];
    let outer = Gateway::start_bare(&with_peers(&tables), &variables);
    for name in ["docs", "old"] {
        let endpoint = Endpoint::new(&outer, name).of_tenant(variables[0].1);
        let session = endpoint.open(NEWEST).await;
        goes_on(&session, 1).await;
        let pid = call(&session, 2, "pid", json!({})).await["result"].as_u64().unwrap();
        assert!(inner.descendants().contains(&u32::try_from(pid).unwrap()));
        let note = call(&session, 3, "exit", json!({ "status": 3, "stderr": "why\n" })).await;
        assert!(note["error"]["message"].as_str().unwrap().contains("status 3"), "{note}");
        session.request(reqwest::Method::DELETE).send().await.unwrap();
        outer.until_active(0).await;
        inner.until_active(0).await;
    }
    let refused = Endpoint::new(&outer, "without").of_tenant(variables[0].1).initialize(NEWEST).await;
    assert!(
        refused.json::<Value>().await.unwrap()["error"]["message"].as_str().unwrap().contains("credential")
    );
    assert!(!outer.log().contains(SECRET));
}

/// A call of `echo` by each transport of ours: whether it is answered, or what comes instead.
async fn echoes(gateway: &Gateway, transport: &str) -> String {
    let arguments = json!({ "name": "echo", "arguments": { "text": "hi" } });
    let answer = match transport {
        "sse" => {
            let mut session = gateway.client().connect("docs").await;
            json!({ "result": session.call("tools/call", arguments).await })
        }
        "streamable" => call(&open(gateway).await, 1, "tools/call", arguments).await,
        _ => {
            let body = enveloped(1, "tools/call", arguments);
            mirrored(gateway, "docs", &body).post(&body).await.json().await.unwrap()
        }
    };
    let text = answer["result"]["content"][0]["text"].as_str();
    if text == Some("hi") { ANSWERS.into() } else { answer.to_string() }
}

const ANSWERS: &str = "answers";

/// What has been found of the transports of clients (rows) and remotes.
fn print(columns: &[&str], rows: &[(&str, Vec<String>)]) {
    println!("{:<12}{}", "", columns.iter().map(|name| format!("{name:<12}")).collect::<String>());
    for (name, cells) in rows {
        println!("{name:<12}{}", cells.iter().map(|cell| format!("{cell:<12}")).collect::<String>());
    }
}

#[tokio::test]
async fn every_transport_in_front_of_every_transport() {
    let remotes = [
        ("sse", Process::python("sse"), "/sse"),
        ("sessions", Process::typescript("sessions"), "/mcp"),
        ("both eras", Process::typescript("dual"), "/mcp"),
        ("stateless", Process::typescript("stateless"), "/mcp"),
    ];
    let gateways = remotes.each_ref().map(|(_, remote, path)| gateway(&remote.url(path), ""));
    let mut rows = Vec::new();
    for transport in ["sse", "streamable", "stateless"] {
        let mut cells = Vec::new();
        for gateway in &gateways {
            cells.push(echoes(gateway, transport).await);
        }
        rows.push((transport, cells));
    }
    print(&remotes.each_ref().map(|(name, ..)| *name), &rows);
    assert!(rows.iter().all(|(_, cells)| cells.iter().all(|cell| cell == ANSWERS)));
}
