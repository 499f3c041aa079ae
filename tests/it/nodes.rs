//! Several gateways that share a store: what one is told, all are, and none needs the store to go on.

use std::process::Output;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::gateway::{Gateway, lockgate, until, until_told};
use crate::scrape::{ADMIN_SECRET, Watched};
use crate::tenants::{client, hash, tenant};
use crate::valkey::Valkey;

/// A node that shares a store and lets these in.
pub(crate) fn node(name: &str, store: &str, more: &str) -> Watched {
    Watched::start_with(&format!("{store}{more}"), &[("FLY_MACHINE_ID", name)])
}

async fn operate(node: &Watched, method: Method, path: &str, body: String) -> Response {
    let request = crate::client::http().build().unwrap();
    let request = request.request(method, format!("http://{}{path}", node.address)).bearer_auth(ADMIN_SECRET);
    request.body(body).send().await.unwrap()
}

async fn reload(node: &Watched) -> String {
    let answer = operate(node, Method::POST, "/admin/reload", String::new()).await;
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

pub(crate) async fn revoke(node: &Watched, secret: &str) -> Value {
    let body = json!({ "secret": hash(secret) }).to_string();
    let answer = operate(node, Method::POST, "/revoke", body).await;
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

async fn overview(node: &Watched) -> Value {
    operate(node, Method::GET, "/overview", String::new()).await.json().await.unwrap()
}

/// Until the store answers and so many nodes are known.
pub(crate) async fn until_nodes(node: &Watched, nodes: u64) {
    until_told(&format!("{nodes} nodes"), async || {
        let store = &overview(node).await["store"];
        store["up"] == true && store["nodes"] == nodes
    })
    .await;
}

async fn status(gateway: &Gateway, secret: &str) -> u16 {
    // No session is opened: without a body the secret is looked at first.
    client(gateway, secret).post("/peer/mcp", "{}").send().await.unwrap().status().as_u16()
}

fn reloads(node: &Watched) -> usize {
    node.gateway.audit("settings_reloaded").len()
}

fn lines<'l>(log: &'l str, message: &'l str) -> impl Iterator<Item = Value> + 'l {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(move |line| line["message"].as_str().is_some_and(|text| text.contains(message)))
}

const AWAY: &str = "the store is out of reach";

#[tokio::test]
async fn a_reload_by_the_operator_reaches_every_node_and_a_hangup_only_its_own() {
    let store = Valkey::start(&[]);
    let (a, b) = (node("a", &store.settings(), ""), node("b", &store.settings(), ""));
    until_nodes(&a, 2).await;
    until_nodes(&b, 2).await;
    a.gateway.signal("HUP");
    until("the hang-up", || reloads(&a) == 1).await;
    let told = reload(&a).await;
    assert!(told.contains("the other nodes are told"), "{told}");
    until("the other has heard", || reloads(&b) == 1).await;
    let count: u64 = store.ask(&["HGET", "{lockgate}:told", "reloads"]);
    assert_eq!(count, 1, "the hang-up is told to nobody");
    // Who has told need not hear it: the next one comes to both alike.
    reload(&b).await;
    until("the first has heard", || reloads(&a) == 3).await;
    assert_eq!(reloads(&b), 2);
}

#[tokio::test]
async fn settings_that_one_node_refuses_are_told_to_no_other() {
    let store = Valkey::start(&[]);
    let a = node("a", &store.settings(), "");
    until_nodes(&a, 1).await;
    std::fs::write(a.gateway.place.path().join("lockgate.toml"), "[servers.x]\nrun = 7\n").unwrap();
    let answer = operate(&a, Method::POST, "/admin/reload", String::new()).await;
    assert_eq!(answer.status(), 422);
    let told: Option<u64> = store.ask(&["HGET", "{lockgate}:told", "reloads"]);
    assert_eq!(told, None);
}

#[tokio::test]
async fn a_revoked_secret_is_refused_on_every_node_and_its_sessions_end_there() {
    let store = Valkey::start(&[]);
    let tenants = tenant("t", &["old", "new"], "");
    let (a, b) = (node("a", &store.settings(), &tenants), node("b", &store.settings(), &tenants));
    until_nodes(&b, 2).await;
    let mut sessions = Vec::new();
    for node in [&a, &b] {
        sessions.push(client(&node.gateway, "old").connect("peer").await);
    }
    let mut other = client(&b.gateway, "new").connect("peer").await;

    let answer = revoke(&a, "old").await;
    assert_eq!((&answer["tenant"], &answer["told_others"]), (&json!("t"), &json!(true)), "{answer}");
    for session in &mut sessions {
        while let Some(message) = session.message().await {
            assert!(
                message["error"]["message"].as_str().unwrap().contains("not valid any more"),
                "{message}"
            );
        }
    }
    for node in [&a, &b] {
        assert_eq!(status(&node.gateway, "old").await, 401);
        assert_eq!(node.gateway.audit("secret_revoked")[0]["tenant"], "t");
        assert!(!node.gateway.log().contains(&hash("old")), "not even the hash is told");
    }
    other.call("echo", json!([1])).await;
    assert!(revoke(&b, "old").await["detail"].as_str().unwrap().contains("before"));
    // A reload does not bring it back, and who comes later knows of it, too.
    reload(&a).await;
    assert_eq!(status(&a.gateway, "old").await, 401);
    let late = node("late", &store.settings(), &tenants);
    until_told("it is refused there", async || status(&late.gateway, "old").await == 401).await;
    assert_ne!(status(&late.gateway, "new").await, 401);
    assert_eq!(overview(&late).await["revoked_secrets"], 1);
}

#[tokio::test]
async fn without_a_store_a_secret_is_revoked_here_and_the_operators_own_never_is() {
    let alone = Watched::start(&tenant("t", &["old"], ""));
    let answer = revoke(&alone, "old").await;
    assert_eq!(answer["told_others"], Value::Null);
    assert!(answer["detail"].as_str().unwrap().contains("Take it out of the settings"), "{answer}");
    assert_eq!(status(&alone.gateway, "old").await, 401);
    assert_eq!(overview(&alone).await["store"], Value::Null);
    for wrong in [json!({ "secret": hash(ADMIN_SECRET) }), json!({ "secret": "old" }), json!({})] {
        let answer = operate(&alone, Method::POST, "/revoke", wrong.to_string()).await;
        assert_eq!(answer.status(), 400, "{wrong}");
        assert!(!answer.text().await.unwrap().contains("\"old\""));
    }
    assert_eq!(operate(&alone, Method::GET, "/overview", String::new()).await.status(), 200);
    let stranger = crate::client::http().build().unwrap();
    let url = format!("http://{}/revoke", alone.address);
    assert_eq!(stranger.post(url).body("{}").send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn sessions_outlive_the_store_and_it_is_told_again_what_it_has_lost() {
    let mut store = Valkey::start(&[]);
    let tenants = tenant("t", &["old", "late", "new"], "");
    let (a, b) = (node("a", &store.settings(), &tenants), node("b", &store.settings(), &tenants));
    until_nodes(&a, 2).await;
    until_nodes(&b, 2).await;
    revoke(&a, "old").await;
    let mut session = client(&a.gateway, "new").connect("peer").await;
    let pid = session.call("pid", json!({})).await;
    store.kill();
    a.until("the loss", |scrape| scrape.sum("lockgate_store_up", &[]) == 0.0).await;
    b.until("the loss", |scrape| scrape.sum("lockgate_store_up", &[]) == 0.0).await;
    assert_eq!(session.call("pid", json!({})).await, pid);
    assert_eq!(status(&a.gateway, "old").await, 401);
    assert_eq!(revoke(&a, "late").await["told_others"], false);
    assert!(reload(&a).await.contains("once the store can be reached"));

    store.start_again();
    until("the reload", || reloads(&b) == 1).await;
    until_told("the revocation", async || status(&b.gateway, "late").await == 401).await;
    until_told("it is all there", async || store.ask::<u64>(&["SCARD", "{lockgate}:revoked"]) == 2).await;
    until_nodes(&a, 2).await;
    assert_eq!(session.call("pid", json!({})).await, pid);
    // Nothing was told twice over.
    assert_eq!(reloads(&a), 1);
}

#[tokio::test]
async fn a_store_that_hangs_is_waited_for_once() {
    let store = Valkey::start(&[]);
    let a = node("a", &store.settings(), &tenant("t", &["old"], ""));
    until_nodes(&a, 1).await;
    store.signal("STOP");
    for number in 0..20 {
        assert_eq!(revoke(&a, &format!("nobody's {number}")).await["told_others"], false);
    }
    let scrape = a.scrape().await;
    let calls = |outcome| scrape.sum("lockgate_store_calls_total", &[("outcome", outcome)]);
    // The first may have found what the heartbeat has found then.
    assert!(calls("failed") <= 1.0 && calls("away") >= 19.0, "{}", scrape.text);
    assert_eq!(scrape.sum("lockgate_store_up", &[]), 0.0);
    store.signal("CONT");
    until_told("it knows all", async || store.ask::<u64>(&["SCARD", "{lockgate}:revoked"]) == 20).await;
}

#[tokio::test]
async fn a_node_that_ends_or_comes_again_is_not_counted_twice() {
    let store = Valkey::start(&[]);
    let a = node("a", &store.settings(), "");
    let mut b = node("b", &store.settings(), "");
    until_nodes(&a, 2).await;
    let members = || store.ask::<Vec<String>>(&["ZRANGE", "{lockgate}:nodes", "0", "-1"]);
    b.gateway.signal("TERM");
    assert!(b.gateway.wait().success());
    assert!(members().iter().all(|member| member.starts_with("a#")), "{:?}", members());
    drop(b);
    let crashed = node("b", &store.settings(), "");
    until_nodes(&crashed, 2).await;
    drop(crashed);
    let again = node("b", &store.settings(), "");
    until_nodes(&again, 2).await;
    assert_eq!(members().len(), 2, "{:?}", members());
}

#[tokio::test]
async fn a_gateway_starts_without_its_store_and_says_so_once() {
    let mut store = Valkey::start(&[]);
    store.kill();
    let a = node("a", &store.settings(), "");
    until("the warning", || lines(&a.gateway.log(), AWAY).next().is_some()).await;
    a.gateway.client().connect("peer").await.call("pid", json!({})).await;
    store.start_again();
    until_nodes(&a, 1).await;
    let log = a.gateway.log();
    let told: Vec<Value> = lines(&log, AWAY).collect();
    let remedy = told[0]["remedy"].as_str().unwrap();
    assert!(told.len() == 1 && remedy.contains("store.url"), "{told:?}");
}

#[tokio::test]
async fn a_wrong_password_is_told_with_its_remedy_and_never_shown() {
    const WRONG: &str = "hunter2-is-wrong";
    let store = Valkey::start(&["--requirepass", "right"]);
    let start = |password| {
        let variables = [("FLY_MACHINE_ID", "a"), ("LOCKGATE_STORE_PASSWORD", password)];
        Watched::start_with(&store.settings(), &variables)
    };
    let wrong = start(WRONG);
    until("the warning", || lines(&wrong.gateway.log(), AWAY).next().is_some()).await;
    let log = wrong.gateway.log();
    let told = lines(&log, AWAY).next().unwrap();
    assert!(told["remedy"].as_str().unwrap().contains("LOCKGATE_STORE_PASSWORD"), "{told}");
    assert!(!log.contains(WRONG));
    let environment = std::fs::read(format!("/proc/{}/environ", wrong.gateway.pid())).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains(WRONG));
    until_nodes(&start("right"), 1).await;
}

#[tokio::test]
async fn tls_needs_the_authority_that_the_settings_name() {
    let (store, authority) = Valkey::start_secretly();
    let url = |host: &str| format!("[store]\nurl = \"rediss://{host}:{}\"\n", store.port());
    let known = format!("ca = {:?}\n", authority.to_str().unwrap());
    until_nodes(&node("a", &format!("{}{known}", url("localhost")), ""), 1).await;
    for settings in [url("localhost"), format!("{}{known}", url("127.0.0.1"))] {
        let stranger = node("b", &settings, "");
        until("the warning", || lines(&stranger.gateway.log(), AWAY).next().is_some()).await;
        let log = stranger.gateway.log();
        let told = lines(&log, AWAY).next().unwrap();
        assert!(told["reason"].as_str().unwrap().contains("TLS"), "{told}");
        assert!(told["remedy"].as_str().unwrap().contains("store.ca"), "{told}");
    }
}

fn check(settings: &str, variables: &[(&str, &str)]) -> Output {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, settings).unwrap();
    lockgate().args(["check", "--config"]).arg(file.path()).envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn check_masks_the_password_and_finds_what_cannot_work() {
    let both =
        |output: &Output| String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned();
    let fine = check("[store]\nurl = \"redis://gate:hunter2@store:7000/1\"\n", &[]);
    assert!(fine.status.success(), "{}", both(&fine));
    assert!(both(&fine).contains("url = \"redis://(masked)@store:7000/1\""), "{}", both(&fine));
    assert!(!both(&fine).contains("hunter2"));
    let password = [("LOCKGATE_STORE_PASSWORD", "hunter2")];
    for (settings, variables, expected) in [
        ("url = \"http://:hunter2@store\"", &[][..], "`store.url` is no URL of a store"),
        ("url = \"redis://:hunter2@store\"", &password[..], "leave one out"),
        ("url = \"redis://gate@store\"", &[][..], "set LOCKGATE_STORE_PASSWORD"),
        ("url = \"redis://store\"\nca = \"/etc/ca.pem\"", &[][..], "`store.ca` is for a store with TLS"),
        (
            "url = \"rediss://store\"\nca = \"/nowhere/ca.pem\"",
            &[][..],
            "store.ca: cannot use /nowhere/ca.pem",
        ),
        ("url = \"redis://store\"\naway = \"wait\"", &[][..], "must be \"alone\" or \"refuse\""),
    ] {
        let output = check(&format!("[store]\n{settings}\n"), variables);
        let told = both(&output);
        assert!(!output.status.success() && told.contains(expected), "{settings}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[tokio::test]
async fn what_the_docs_let_a_user_of_the_store_do_is_enough() {
    let docs = include_str!("../../docs/store.md");
    let line = docs.lines().find(|line| line.starts_with("user gate ")).unwrap();
    let words: Vec<String> = line.replace(">password", ">right").split(' ').map(str::to_owned).collect();
    let arguments: Vec<&str> = ["--user"].into_iter().chain(words[1..].iter().map(String::as_str)).collect();
    let store = Valkey::start(&arguments);
    let settings = format!("[store]\nurl = \"redis://gate@127.0.0.1:{}/1\"\n", store.port());
    let variables = [("FLY_MACHINE_ID", "a"), ("LOCKGATE_STORE_PASSWORD", "right")];
    let mut a = Watched::start_with(&settings, &variables);
    until_nodes(&a, 1).await;
    assert_eq!(revoke(&a, "nobody's").await["told_others"], true);
    assert!(reload(&a).await.contains("the other nodes are told"));
    a.gateway.signal("TERM");
    assert!(a.gateway.wait().success());
    assert!(!a.gateway.log().contains("refuses what it is asked"), "{}", a.gateway.log());
}

#[tokio::test]
async fn the_page_revokes_what_its_form_says() {
    let admin = crate::admin::Admin::with(&tenant("t", &["old"], "servers = []"));
    let browser = crate::page::Browser::logged_in(&admin).await;
    assert!(browser.text("/admin").await.contains("/admin/revoke"));
    let token = browser.token().await;
    let send = async |secret: &str| {
        let fields = [("token", token.as_str()), ("secret", secret)];
        browser.post("/admin/revoke", &fields).send().await.unwrap()
    };
    let wrong = send("old").await;
    assert_eq!(wrong.status(), 400);
    assert!(wrong.text().await.unwrap().contains("Nothing is revoked"));
    let done = send(&hash("old")).await;
    assert_eq!(done.status(), 200);
    assert!(done.text().await.unwrap().contains("tenant t"));
    assert_eq!(status(&admin.gateway, "old").await, 401);
}
