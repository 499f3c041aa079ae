//! SIGHUP: servers, tenants, limits and rates change, and nobody notices whom it does not concern.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::events::Endpoint;
use crate::gateway::{Gateway, peer, until, with_peers};
use crate::prefetch::Runner;
use crate::stateless::{enveloped, mirrored};
use crate::tenants::{ask, client, tenant};

async fn status(gateway: &Gateway, secret: &str, path: &str) -> u16 {
    client(gateway, secret).get(path).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn what_is_added_can_be_used_at_once() {
    let b = tenant("b", &["b"], "");
    let gateway = Gateway::start(&b);
    let mut session = client(&gateway, "b").connect("peer").await;
    let pid = session.call("pid", json!({})).await;
    assert_eq!(status(&gateway, "a", "/peer/sse").await, 401);
    assert_eq!(status(&gateway, "b", "/added/sse").await, 403);
    let added = format!("[servers.added]\nrun = \"{} added\"\n", peer());
    gateway.reload(&format!("{b}{added}{}", tenant("a", &["a"], "sessions = 1"))).await;
    client(&gateway, "a").connect("added").await.call("pid", json!({})).await;
    client(&gateway, "b").connect("added").await;
    gateway.client().connect("added").await;
    assert_eq!(session.call("pid", json!({})).await, pid);
    let line = gateway.audit("settings_reloaded").pop().unwrap();
    assert_eq!(line["servers"], "1 added, 0 changed, 0 removed");
    assert_eq!(line["tenants"], "1 added, 0 changed, 0 removed");
}

#[tokio::test]
async fn a_session_that_nothing_else_wakes_hears_that_its_secret_is_revoked() {
    let patient = "[timeouts]\nstalled_reader = \"1h\"\nheartbeat = \"1h\"\n";
    let gateway = Gateway::start(&format!("{patient}{}", tenant("a", &["old", "new"], "")));
    let mut session = client(&gateway, "old").connect("peer").await;
    session.call("echo", json!([1])).await;
    gateway.reload(&format!("{patient}{}", tenant("a", &["new"], ""))).await;
    // It would find out by itself when its start slot is due, 10 s after its start.
    let end = tokio::time::timeout(std::time::Duration::from_secs(5), session.message()).await;
    assert!(end.is_ok_and(|message| message.is_none()), "{}", gateway.log());
}

#[tokio::test]
async fn a_revoked_secret_ends_its_sessions_and_no_others() {
    let b = tenant("b", &["b"], "");
    let gateway = Gateway::start(&format!("{}{b}", tenant("a", &["old", "new"], "")));
    let mut sse = client(&gateway, "old").connect("peer").await;
    let asked = sse.request("never", json!({})).await;
    let streamable = Endpoint::new(&gateway, "peer").of_tenant("old").open("2025-11-25").await;
    let waits = tokio::spawn(async move { streamable.call_slowly(7, "never", json!({})).await });
    let mut others = Vec::new();
    for secret in ["new", "b"] {
        let mut session = client(&gateway, secret).connect("peer").await;
        let id = session.request("ask", json!({ "id": "q" })).await;
        assert_eq!(session.message().await.unwrap()["method"], "roots/list", "the call is in flight");
        others.push((session, id));
    }
    until("all are open", || gateway.audit("server_started").len() == 4).await;
    until("the call has gone in", || gateway.descendants().len() == 4).await;

    gateway.reload(&format!("{}{b}", tenant("a", &["new"], ""))).await;
    let told = sse.answer(asked).await["error"]["message"].as_str().unwrap().to_owned();
    assert!(told.contains("secret is not valid any more"), "{told}");
    assert!(sse.message().await.is_none(), "a clean end of the stream");
    let answer = waits.await.unwrap();
    let told = answer["error"]["message"].as_str().unwrap();
    assert!(told.contains("secret is not valid any more") || told.contains("not known here"), "{answer}");
    assert_eq!(status(&gateway, "old", "/peer/sse").await, 401);
    gateway.until_active(2).await;
    for (session, id) in &mut others {
        session.send(&json!({ "jsonrpc": "2.0", "id": "q", "result": { "roots": [] } })).await;
        assert_eq!(session.answer(*id).await["result"], json!({ "roots": [] }));
    }
    until("both have ended", || gateway.audit("session_ended").len() == 2).await;
    let ended = gateway.audit("session_ended");
    assert!(
        ended.iter().all(|line| line["tenant"] == "a" && line["reason"].as_str().unwrap().contains("secret"))
    );
}

#[tokio::test]
async fn a_shared_server_outlives_a_secret_and_calls_that_came_with_it_do_not() {
    let gateway = Gateway::start(&tenant("a", &["old", "new"], ""));
    let pid = enveloped(1, "pid", json!({}));
    let shared: Value = ask(&gateway, "old", &pid).await.json().await.unwrap();
    let never = enveloped(7, "never", json!({}));
    let pending = |secret: &'static str| {
        let (endpoint, never) = (mirrored(&gateway, "stateless", &never).of_tenant(secret), never.clone());
        tokio::spawn(async move { endpoint.post(&never).await.json::<Value>().await.unwrap() })
    };
    let (revoked, going_on) = (pending("old"), pending("new"));
    let heard = enveloped(2, "heard", json!({}));
    let count = async |what: &str| {
        let heard: Value = ask(&gateway, "new", &heard).await.json().await.unwrap();
        heard["result"].to_string().matches(what).count()
    };
    crate::gateway::until_told("both are heard", async || count(r#"\"never\""#).await == 2).await;
    gateway.reload(&tenant("a", &["new"], "")).await;
    let answer = revoked.await.unwrap();
    assert_eq!(answer["id"], 7);
    assert!(answer["error"]["message"].as_str().unwrap().contains("not valid any more"), "{answer}");
    assert_eq!(ask(&gateway, "new", &pid).await.json::<Value>().await.unwrap(), shared);
    crate::gateway::until_told("one is called off", async || count("notifications/cancelled").await == 1)
        .await;
    assert!(!going_on.is_finished());
    // With the tenant goes the server.
    gateway.reload("").await;
    let answer = going_on.await.unwrap();
    assert!(answer["error"]["message"].as_str().unwrap().contains("not valid any more"), "{answer}");
    until("the server is gone", || gateway.descendants().is_empty()).await;
    assert_eq!(ask(&gateway, "new", &pid).await.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_slips_in_while_a_secret_is_revoked() {
    let gateway = Gateway::start(&format!("[limits]\nstarts = 50\n{}", tenant("a", &["a"], "")));
    let never = enveloped(7, "never", json!({}));
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(tokio::spawn(client(&gateway, "a").get("/peer/sse").send()));
        let (endpoint, never) = (mirrored(&gateway, "stateless", &never).of_tenant("a"), never.clone());
        held.push(tokio::spawn(async move { Ok(endpoint.post(&never).await) }));
    }
    gateway.reload("[limits]\nstarts = 50\n").await;
    let mut responses = Vec::new();
    for one in held {
        responses.push(one.await.unwrap().unwrap());
    }
    // Every client is still there, and yet nothing is left for it.
    until("nothing is left", || gateway.descendants().is_empty()).await;
    gateway.until_active(0).await;
}

#[tokio::test]
async fn a_session_that_waits_for_its_start_ends_too() {
    let gateway = Gateway::start(&format!("[limits]\nstarts = 1\n{}", tenant("a", &["a"], "")));
    let _first = gateway.client().open("peer").await;
    let mut waits = client(&gateway, "a").open("peer").await;
    let asked = waits.request("initialize", json!({})).await;
    gateway.reload("[limits]\nstarts = 1\n").await;
    let told = waits.answer(asked).await["error"]["message"].as_str().unwrap().to_owned();
    assert!(told.contains("not valid any more"), "{told}");
    gateway.until_active(1).await;
    assert_eq!(gateway.audit("server_started").len(), 1);
}

#[tokio::test]
async fn what_is_used_of_a_rate_stays_used_until_the_rate_changes() {
    let rate = "[rate]\nper_minute = 1\nburst = 3\n";
    let b = tenant("b", &["b"], "");
    let gateway = Gateway::start(&format!("{rate}{}{b}", tenant("a", &["a"], "")));
    for _ in 0..3 {
        assert_eq!(status(&gateway, "a", "/nobody/sse").await, 403);
    }
    assert_eq!(status(&gateway, "a", "/nobody/sse").await, 429);
    // Something else of the tenant changes.
    gateway.reload(&format!("{rate}{}{b}", tenant("a", &["a", "a2"], "sessions = 2"))).await;
    assert_eq!(status(&gateway, "a", "/nobody/sse").await, 429);
    assert_eq!(status(&gateway, "a2", "/nobody/sse").await, 429, "a new secret is no new tenant");
    gateway.reload(&format!("{rate}{}{b}", tenant("a", &["a"], "rate = { burst = 5 }"))).await;
    for _ in 0..5 {
        assert_eq!(status(&gateway, "a", "/nobody/sse").await, 403);
    }
    assert_eq!(status(&gateway, "a", "/nobody/sse").await, 429);
    assert_eq!(status(&gateway, "b", "/nobody/sse").await, 403);
}

#[tokio::test]
async fn sessions_of_a_server_end_with_the_right_to_it() {
    let (a, b) = (tenant("a", &["a"], ""), tenant("b", &["b"], ""));
    let extra = format!("[servers.extra]\nrun = \"{} extra\"\n", peer());
    let gateway = Gateway::start(&format!("{a}{b}{extra}"));
    let mut gone = client(&gateway, "a").connect("extra").await;
    let mut stays =
        [client(&gateway, "b").connect("extra").await, client(&gateway, "a").connect("peer").await];
    let asked = gone.request("never", json!({})).await;
    gateway.reload(&format!("{}{b}{extra}", tenant("a", &["a"], "servers = [\"peer\"]"))).await;
    let told = gone.answer(asked).await["error"]["message"].as_str().unwrap().to_owned();
    assert!(told.contains("may not use the server"), "{told}");
    assert!(gone.message().await.is_none());
    assert_eq!(status(&gateway, "a", "/extra/sse").await, 403);
    for session in &mut stays {
        session.call("pid", json!({})).await;
    }
    // The server itself goes.
    gateway.reload(&format!("{a}{b}")).await;
    assert!(stays[0].message().await.is_none());
    stays[1].call("pid", json!({})).await;
    assert_eq!(status(&gateway, "b", "/extra/sse").await, 403);
    until("only one runs", || gateway.descendants().len() == 1).await;
}

#[tokio::test]
async fn a_session_goes_on_with_what_it_was_opened_with() {
    let server = |name: &str, value: &str| {
        format!("[servers.own]\nrun = \"{} {name}\"\nenv = {{ VALUE = \"{value}\" }}\n", peer())
    };
    let gateway = Gateway::start(&format!("{}{}", server("one", "1"), tenant("b", &["b"], "")));
    let command = format!("{} one", peer()).replace('/', "%2F").replace(' ', "%20");
    let mut by_name = gateway.client().connect("own").await;
    let mut by_command = gateway.client().connect(&command).await;
    let streamable = Endpoint::new(&gateway, &command).open("2025-11-25").await;
    gateway.reload(&format!("{}{}", server("two", "2"), tenant("b", &["b"], ""))).await;
    for session in [&mut by_name, &mut by_command] {
        assert_eq!(session.call("environment", json!({})).await["VALUE"], "1");
    }
    assert_eq!(streamable.call(1, "environment", json!({})).await["result"]["VALUE"], "1");
    let mut new = gateway.client().connect("own").await;
    assert_eq!(new.call("environment", json!({})).await["VALUE"], "2");
    // The old command is off the allowlist for all else, and its sessions are nobody else's.
    let gone = gateway.client().get(&format!("/{command}/sse")).send().await.unwrap();
    assert_eq!(gone.status(), 403);
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let stranger = client(&gateway, "b").post(&by_command.endpoint, ping).send().await.unwrap();
    assert_eq!(stranger.status(), 403);
    assert_eq!(gateway.audit("settings_reloaded")[0]["servers"], "0 added, 1 changed, 0 removed");
}

#[tokio::test]
async fn a_shared_server_that_may_read_something_else_is_another() {
    let place = tempfile::tempdir().unwrap();
    let stateless = |more: &str| format!("[servers.wide]\nrun = \"{} --stateless wide\"\n{more}\n", peer());
    let gateway = Gateway::start(&stateless(""));
    let pid = async || {
        let body = enveloped(1, "pid", json!({}));
        let answer: Value = mirrored(&gateway, "wide", &body).post(&body).await.json().await.unwrap();
        answer["result"].clone()
    };
    let first = pid().await;
    gateway.reload(&stateless("")).await;
    assert_eq!(pid().await, first);
    for key in ["readable", "writable"] {
        let before = pid().await;
        gateway.reload(&stateless(&format!("{key} = [{:?}]", place.path()))).await;
        let now = pid().await;
        assert!(now.is_number() && now != before, "{key}: {now}");
        assert_eq!(pid().await, now);
    }
}

#[tokio::test]
async fn the_packages_of_a_new_server_are_fetched_before_somebody_wants_them() {
    let runner = Runner::new();
    let variables = runner.variables();
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let settings = runner.settings();
    let before = settings.split("[servers.pkg]").next().unwrap();
    let gateway = Gateway::start_bare(before, &variables);
    // The fetch cannot end yet, and holds nobody up.
    gateway.reload_bare(&settings, "settings_reloaded").await;
    let fetches = || gateway.log().matches("fetching packages").count();
    until("it is fetched", || fetches() == 1).await;
    gateway.reload_bare(&settings, "settings_reloaded").await;
    runner.tell("release");
    until("it is there", || runner.templates().len() == 1).await;
    gateway.client().connect("pkg").await;
    assert_eq!(fetches(), 1);
}

#[tokio::test]
async fn what_keeps_sessions_from_a_new_server_is_told_once() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: sessions have the gateway's own user");
    }
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("program");
    std::fs::copy(peer(), &program).unwrap();
    std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let shut = format!("[servers.shut]\nrun = {program:?}\n");
    let gateway = Gateway::start("");
    let told = || gateway.log().matches("servers.shut: ").count();
    gateway.reload(&shut).await;
    until("it is told", || told() == 1).await;
    let more = format!("[servers.more]\nrun = \"{} more\"\n", program.display());
    gateway.reload(&format!("{shut}{more}")).await;
    until("the other is told", || gateway.log().contains("servers.more: ")).await;
    assert_eq!(told(), 1);
}

#[tokio::test]
async fn limits_change_for_what_comes() {
    let gateway = Gateway::start("[limits]\nsessions = 1");
    let mut first = gateway.client().connect("peer").await;
    assert_eq!(gateway.client().get("/peer/sse").send().await.unwrap().status(), 503);
    gateway.reload("[limits]\nsessions = 2\nmessage = \"1KiB\"").await;
    let second = gateway.client().open("peer").await;
    assert_eq!(gateway.client().get("/peer/sse").send().await.unwrap().status(), 503);
    assert_eq!(second.post_raw(vec![b' '; 2000]).send().await.unwrap().status(), 413);
    gateway.reload("[limits]\nsessions = 1").await;
    first.call("pid", json!({})).await;
}

#[tokio::test]
async fn settings_that_cannot_be_used_change_nothing() {
    let a = tenant("a", &["a"], "");
    let gateway = Gateway::start(&a);
    let mut session = client(&gateway, "a").connect("peer").await;
    let pid = session.call("pid", json!({})).await;
    for (wrong, said) in [
        ("[tenants.a]\nsecrets = [\"private-text\"]\nservers = [\"*\"]", "tenants.a.secrets"),
        ("[tenants.a]\nsecrets = \"private-text\"\nservers = [\"*\"]", "tenants.a.secrets"),
        ("[servers.x]\nrun = \"cat\"\nenv = { A = \"private-text\" B }", "TOML parse error at line 3"),
        ("[servers.x]\nrun = \"no-such-program\"", "not an executable on PATH"),
        ("[limits]\nsesions = 1", "unknown key `limits.sesions`"),
    ] {
        gateway.reload_bare(wrong, "settings_refused").await;
        until("it is told why", || gateway.log().contains(said)).await;
        assert_eq!(session.call("pid", json!({})).await, pid);
        client(&gateway, "a").connect("peer").await;
    }
    assert!(!gateway.log().contains("private-text"));
    let line = &gateway.audit("settings_refused")[0];
    assert!(!line.to_string().contains("lockgate.toml"), "{line}");
    assert!(gateway.audit("settings_reloaded").is_empty());
    // Without the file it is the same.
    std::fs::remove_file(gateway.place.path().join("lockgate.toml")).unwrap();
    gateway.signal("HUP");
    until("it is refused", || gateway.audit("settings_refused").len() == 6).await;
    assert_eq!(session.call("pid", json!({})).await, pid);
}

#[tokio::test]
async fn settings_that_go_only_with_what_a_restart_would_change_are_refused() {
    let at = |uids: &str, sessions: usize| {
        format!("[sandbox]\nuids = {uids:?}\n[limits]\nsessions = {sessions}\n")
    };
    let gateway = Gateway::start(&at("50000-50019", 10));
    gateway.reload_bare(&with_peers(&at("20000-29999", 1000)), "settings_refused").await;
    until("it is told why", || gateway.log().contains("has room for 19 sessions, fewer than the 1000")).await;
    assert!(gateway.log().contains("restart the gateway"));
    gateway.reload(&at("20000-29999", 19)).await;
    gateway.client().connect("peer").await;
}

#[tokio::test]
async fn nobody_left_to_be_let_in_is_taken_for_a_mistake() {
    let servers = format!("[servers.peer]\nrun = {:?}\n", peer());
    let gateway = Gateway::start_bare(&format!("{servers}{}", tenant("a", &["a"], "")), &[]);
    let mut session = client(&gateway, "a").connect("peer").await;
    gateway.reload_bare("", "settings_refused").await;
    session.call("pid", json!({})).await;
    assert_eq!(status(&gateway, "a", "/nobody/sse").await, 403);
}

#[tokio::test]
async fn what_cannot_change_while_running_is_named() {
    let gateway = Gateway::start("");
    gateway.reload("[listen]\nbase_path = \"/mcp\"\n[timeouts]\ndrain = \"7s\"\n[limits]\nstarts = 9").await;
    for key in ["listen.base_path", "timeouts.drain", "limits.starts"] {
        until(key, || gateway.log().lines().any(|line| line.contains("WARN") && line.contains(key))).await;
    }
    assert_eq!(gateway.log().matches("at the next start only").count(), 3);
    gateway.client().connect("peer").await;
}

/// Starts a gateway on a terminal of its own, hangs up, and prints its exit code.
const HANG_UP: &str = "
import os, pty, signal, subprocess, sys
terminal, ours = pty.openpty()
gateway = subprocess.Popen(sys.argv[1:], stdin=ours, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
next(line for line in gateway.stderr if b'listening' in line)
os.kill(gateway.pid, signal.SIGHUP)
try:
    print(gateway.wait(timeout=30))
finally:
    gateway.kill()
";

#[test]
fn of_a_gateway_on_a_terminal_a_hang_up_is_the_end() {
    let place = tempfile::tempdir().unwrap();
    let mut python = std::process::Command::new("python3");
    python.args(["-c", HANG_UP, env!("CARGO_BIN_EXE_lockgate"), "--port", "0"]).env("TMPDIR", place.path());
    let output = python.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0", "{output:?}");
}
