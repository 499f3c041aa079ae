//! What `lockgate doctor` finds out of remote servers.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::gateway::{Gateway, SECRET, lockgate};
use crate::scripted::{Remote, Reply, rpc, stateless};

fn doctor(settings: &str, arguments: &[&str]) -> (i32, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), settings).unwrap();
    let mut command = lockgate();
    command.arg("doctor").args(arguments).arg("--config").arg(file.path());
    command.envs([("FAR_SECRET", SECRET), ("WRONG_SECRET", "hunter2")]).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert_eq!(String::from_utf8(stderr).unwrap(), "");
    (status.code().unwrap(), String::from_utf8(stdout).unwrap())
}

/// On one line, wherever it was broken.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn remote(name: &str, url: &str, more: &str) -> String {
    format!("[servers.{name}]\nurl = {url:?}\nallow_private = true\n{more}\n")
}

/// A server that answers everything with this.
fn answering(status: u16, kind: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked);
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
        }
    });
    url
}

#[test]
fn a_remote_server_is_reached_and_what_is_in_the_way_is_told() {
    // A gateway would speak both eras.
    let (far, (modern, _)) = (Gateway::start(""), stateless::remote());
    let ill = Remote::start(|request| Reply::json(&rpc::error(&request.message(), -32000, "no key")));
    let (url, nobody) = (far.url("/peer/mcp"), TcpListener::bind("127.0.0.1:0").unwrap());
    let closed = format!("http://{}/", nobody.local_addr().unwrap());
    drop(nobody);
    let bearer = |name: &str| format!("auth = {{ scheme = \"bearer\", env = {name:?} }}");
    let settings = [
        remote("good", &format!("{url}?key=hunter2"), &bearer("FAR_SECRET")),
        remote("modern", &modern.url(), &bearer("FAR_SECRET")),
        remote("older", &far.url("/peer/sse"), &format!("{}\ntransport = \"sse\"", bearer("FAR_SECRET"))),
        remote("ill", &ill.url(), ""),
        remote("wrong", &url, &bearer("WRONG_SECRET")),
        remote("strict", &answering(401, "text/plain", "hunter2"), &bearer("WRONG_SECRET")),
        remote("unset", &url, &bearer("NOBODY_SETS_THIS")),
        remote("closed", &closed, ""),
        remote("page", &answering(200, "text/html", "<p>hunter2"), ""),
        remote("other", &answering(200, "application/json", "[\"hunter2\"]"), ""),
        remote("tls", &far.url("/peer/mcp").replace("http:", "https:"), ""),
    ]
    .concat();
    let (code, report) = doctor(&settings, &[]);
    assert_eq!(code, 1);
    let report = plain(&report);
    for expected in [
        "good ok peer 1 was reached, and answered after",
        &format!("(handshake era), 1 tool url: {url}?key=(masked)"),
        "modern ok scripted 1 was reached, and answered after",
        "(stateless era)",
        "older ok peer 1 was reached, and answered after",
        "ill FAILED no session can be begun with it because: it answered `initialize` with error -32000 (no key); if it lacks something, give it that in its settings",
        "wrong FAILED no session can be begun with it because: it refused the gateway's credential (HTTP 401 Unauthorized) url:",
        "strict FAILED no session can be begun with it because: it refused the gateway's credential (HTTP 401 Unauthorized) url:",
        "unset FAILED it cannot be used because: `servers.unset.auth` names the variable NOBODY_SETS_THIS, which",
        "closed FAILED no session can be begun with it because: it cannot be reached: ",
        "page FAILED no session can be begun with it because: it answered with text/html instead of JSON or an event stream; its `url` may be wrong",
        "other FAILED no session can be begun with it because: it answered with what is no JSON-RPC message url:",
        "tls FAILED no session can be begun with it because: it cannot be reached safely: ",
        "8 of 11 servers cannot be used",
    ] {
        assert!(report.contains(expected), "{expected:?} is not in: {report}");
    }
    for hidden in ["hunter2", SECRET, "stdout", "tell the operator"] {
        assert!(!report.contains(hidden), "{hidden:?} is in: {report}");
    }
}

#[test]
fn what_a_client_or_a_tenant_brings_is_no_fault_and_machines_hear_what_is_remote() {
    let settings = [
        remote("variable", "http://127.0.0.1:9/", "headers = { X-Key = \"${OWN_KEY}\" }"),
        remote("login", "http://127.0.0.1:9/", "auth = { scheme = \"bearer\", passthrough = \"X-Login\" }"),
        remote("rented", "http://127.0.0.1:9/", ""),
        "[servers.local]\nrun = \"lockgate demo\"\n".into(),
        "[servers.modern]\nrun = \"lockgate 'demo'\"\nera = \"stateless\"\n".into(),
        "[tenants.acme]\nsecrets = []\nservers = [\"*\"]\nauth = { rented = { scheme = \"bearer\", env = \"FAR_SECRET\" } }".into(),
    ]
    .concat();
    let (code, report) = doctor(&settings, &[]);
    let report = plain(&report);
    assert_eq!(code, 0, "{report}");
    for expected in [
        "variable off not tried: each session has to bring OWN_KEY: a client sends it in the header ENV_OWN_KEY url:",
        "login off not tried: each client has to bring a credential of its own, in the header x-login url:",
        "rented off not tried: it gets the credentials of tenants only (acme), and is tried as none of them url:",
        "local ok lockgate-demo",
        "(handshake era)",
        "modern ok lockgate-demo",
        "(stateless era)",
    ] {
        assert!(report.contains(expected), "{expected:?} is not in: {report}");
    }
    let (code, json) = doctor(&settings, &["--json", "--no-servers"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["ok"]), (0, &true.into()));
    let servers = json["servers"].as_array().unwrap();
    let kinds: Vec<_> = servers.iter().map(|server| (&server["name"], &server["kind"])).collect();
    assert_eq!(kinds[0], (&"local".into(), &"command".into()));
    assert_eq!(kinds[2], (&"modern".into(), &"command".into()));
    let far = [1, 3, 4].map(|at| &servers[at]);
    assert!(far.iter().all(|server| server["kind"] == "remote" && server["program"].is_null()), "{json}");
    assert!(servers[0]["program"].is_string(), "{json}");
    let (_, report) = doctor(&remote("far", "http://127.0.0.1:9/?k=hunter2", ""), &["--no-servers"]);
    let report = plain(&report);
    assert!(
        report.contains("far off not tried: it was not to be reached url: http://127.0.0.1:9/?k=(masked)"),
        "{report}"
    );
}
