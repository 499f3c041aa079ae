//! What operators write of remote servers, and files of desktop clients that list servers.

use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::events::Endpoint;
use crate::gateway::{Gateway, SECRET, lockgate, peer};

const RATE: &str = "[rate]\nper_minute = 0\nopens_per_minute = 0\n";

fn run(place: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = lockgate();
    command.args(arguments).current_dir(place).envs(variables.iter().copied()).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn write(place: &Path, name: &str, text: &str) {
    std::fs::write(place.join(name), text).unwrap();
}

/// A client's list of these servers.
fn list(servers: &Value) -> String {
    json!({ "mcpServers": servers }).to_string()
}

async fn status(gateway: &Gateway, server: &str) -> u16 {
    Endpoint::new(gateway, server).initialize("2025-11-25").await.status().as_u16()
}

#[tokio::test]
async fn the_servers_of_a_clients_list_are_served_and_read_again() {
    let far = Gateway::start("");
    let near = json!({ "command": peer(), "args": ["an", "it's a word"], "env": { "KEY": "v" } });
    let remote = json!({
        "type": "http", "url": far.url("/peer/mcp"), "headers": { "Authorization": format!("Bearer {SECRET}") }
    });
    let place = tempfile::tempdir().unwrap();
    write(place.path(), "list.json", &list(&json!({ "near": near, "far": remote })));
    let settings = format!("{RATE}[servers.own]\nrun = {:?}\n", peer());
    let variables = [
        ("LOCKGATE_SECRET", SECRET),
        ("LOCKGATE_MCP_SERVERS", "list.json"),
        ("LOCKGATE__SERVERS__FAR__ALLOW_PRIVATE", "true"),
    ];
    let gateway = Gateway::start_in(place, &settings, &variables);
    let mut session = gateway.client().connect("near").await;
    assert_eq!(session.call("environment", json!({})).await["KEY"], "v");
    let words = session.call("read", json!({ "path": "/proc/self/cmdline" })).await;
    assert!(words.as_str().unwrap().ends_with("\0an\0it's a word\0"), "{words}");
    let mut session = gateway.client().connect("far").await;
    assert_eq!(session.call("echo", json!([1])).await, json!([1]));

    write(gateway.place.path(), "list.json", &list(&json!({ "new": near, "far": remote })));
    gateway.reload_bare(&settings, "settings_reloaded").await;
    assert_eq!((status(&gateway, "new").await, status(&gateway, "near").await), (200, 403));
    write(gateway.place.path(), "list.json", "{ hunter2 ");
    gateway.reload_bare(&settings, "settings_refused").await;
    assert_eq!((status(&gateway, "new").await, status(&gateway, "own").await), (200, 200));
    assert!(gateway.log().contains("cannot use list.json: it is no JSON"), "{}", gateway.log());
    assert!(!gateway.log().contains("hunter2") && !gateway.log().contains(SECRET), "{}", gateway.log());
}

#[test]
fn a_clients_list_that_cannot_be_used_stops_the_start_by_flag_and_by_variable() {
    let place = tempfile::tempdir().unwrap();
    write(place.path(), "lockgate.toml", "[servers.docs]\nrun = \"cat\"");
    for (document, expected) in [
        ("{".to_owned(), "lockgate: cannot use list.json: it is no JSON: EOF"),
        (
            list(&json!({ "docs": { "command": "hunter2" } })),
            "lockgate: `servers.docs` is set in lockgate.toml, too; rename one of the two, or leave it out (set in list.json)",
        ),
        (
            list(&json!({ "x": { "comand": "hunter2" } })),
            "lockgate: list.json: unknown key `mcpServers.x.comand`: did you mean `command`?",
        ),
        (
            list(&json!({ "x": { "command": "npx", "env": { "KEY": "${env:hunter2}" } } })),
            "lockgate: `mcpServers.x.env.KEY` holds a `${…}`, but no server gets anything of the gateway's environment",
        ),
    ] {
        write(place.path(), "list.json", &document);
        let flag = ["check", "--config", "lockgate.toml", "--mcp-servers", "list.json"];
        let (code, stdout, stderr) = run(place.path(), &flag, &[]);
        assert_eq!((code, &*stdout), (2, ""), "{stderr}");
        assert!(stderr.starts_with(expected) && !stderr.contains("hunter2"), "{document}: {stderr}");
        let (code, _, again) = run(place.path(), &flag[..3], &[("LOCKGATE_MCP_SERVERS", "list.json")]);
        assert_eq!((code, again), (2, stderr));
    }
    let (code, _, stderr) = run(place.path(), &["check", "--mcp-servers", "none.json"], &[]);
    assert!(code == 2 && stderr.contains("cannot use none.json: No such file"), "{stderr}");
}

const REMOTE: &str = r#"
[servers.docs]
url = "https://docs.example/mcp?key=hunter2&hunter2"
headers = { X-Key = "hunter2", X-Own = "${OWN}hunter2" }
query = { q = "hunter2" }
auth = { scheme = "basic", user = "hunter2", env = "DOCS_PASSWORD", passthrough = "X-Login" }
tool_auth = { "a*" = { scheme = "oauth", client_id = "id", token_url = "https://b.example/?t=hunter2", file = "secret" } }
timeout = "7s"
[tenants.t]
secrets = []
servers = ["docs"]
auth = { docs = { scheme = "basic", user = "hunter2", file = "secret" } }
"#;

#[test]
fn check_shows_of_a_remote_server_what_is_no_secret_and_url_knows_its_name() {
    let place = tempfile::tempdir().unwrap();
    write(place.path(), "lockgate.toml", REMOTE);
    write(place.path(), "secret", "hunter2\n");
    write(
        place.path(),
        "list.json",
        &list(&json!({
            "more": { "url": "https://more.example/?k=hunter2", "headers": { "Authorization": "Bearer hunter2" } }
        })),
    );
    let given = ["--config", "lockgate.toml", "--mcp-servers", "list.json"];
    let variables = [("DOCS_PASSWORD", "hunter2")];
    let checked = || run(place.path(), &[&["check"][..], &given].concat(), &variables);
    let (code, shown, stderr) = checked();
    assert_eq!(code, 0, "{stderr}");
    assert!(!shown.contains("hunter2"), "{shown}");
    for kept in [
        "https://docs.example/mcp?key=(masked)&(masked)",
        "https://more.example/?k=(masked)",
        "https://b.example/?t=(masked)",
        "X-Key = \"(masked)\"",
        "q = \"(masked)\"",
        "user = \"(masked)\"",
        "Authorization = \"(masked)\"",
        "env = \"DOCS_PASSWORD\"",
        "file = \"secret\"",
        "passthrough = \"X-Login\"",
        "client_id = \"id\"",
        "timeout = \"7s\"",
    ] {
        assert!(shown.contains(kept), "{kept:?} is not in: {shown}");
    }
    // What it prints is a settings file.
    write(place.path(), "lockgate.toml", &shown);
    let (code, again, stderr) = run(place.path(), &["check", "--config", "lockgate.toml"], &variables);
    assert_eq!((code, again), (0, shown), "{stderr}");

    write(place.path(), "lockgate.toml", REMOTE);
    for named in ["docs", "https://docs.example/mcp?key=hunter2&hunter2", "more"] {
        let (code, stdout, stderr) = run(place.path(), &[&["url", named][..], &given].concat(), &[]);
        let name = if named == "more" { "more" } else { "docs" };
        assert_eq!((code, &*stderr), (0, ""));
        assert!(stdout.starts_with(&format!("http://127.0.0.1:8000/{name}/mcp\n")), "{stdout}");
    }
    let (_, _, stderr) = run(place.path(), &["url", "https://other.example/mcp"], &[]);
    assert!(stderr.contains("url = \"https://other.example/mcp\""), "{stderr}");

    // Without the credential it is not started, and the variable is named.
    let (code, _, stderr) = run(place.path(), &[&["check"][..], &given].concat(), &[]);
    assert!(code == 2 && stderr.contains("`servers.docs.auth` names the variable DOCS_PASSWORD"), "{stderr}");
    assert!(!stderr.contains("hunter2"), "{stderr}");
}

#[tokio::test]
async fn secrets_that_go_over_a_network_in_the_clear_are_warned_of() {
    let auth = "auth = { scheme = \"bearer\", env = \"TOKEN_OF_DOCS\" }";
    let settings = |url: &str, more: &str| format!("[servers.docs]\nurl = {url:?}\n{auth}\n{more}");
    let variables = [("LOCKGATE_SECRET", SECRET), ("TOKEN_OF_DOCS", "hunter2")];
    let gateway = Gateway::start_bare(&settings("http://docs.invalid/mcp", ""), &variables);
    let told = |name: &str| {
        let log = gateway.log();
        log.lines()
            .filter(|line| line.contains(&format!("servers.{name}: ")) && line.contains("in the clear"))
            .count()
    };
    assert_eq!(told("docs"), 1, "{}", gateway.log());
    // Once for each server that is new or another.
    let more = format!("[servers.more]\nurl = \"http://more.invalid\"\n{auth}\n");
    let safe = format!("[servers.safe]\nurl = \"https://more.invalid\"\n{auth}\n");
    gateway.reload_bare(&settings("http://docs.invalid/mcp", &(more + &safe)), "settings_reloaded").await;
    crate::gateway::until("the new one is told", || told("more") == 1).await;
    assert_eq!((told("docs"), told("safe")), (1, 0));
    assert!(!gateway.log().contains("hunter2"), "{}", gateway.log());
}
