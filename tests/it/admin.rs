//! The admin listener: for the operator, and for nobody else on the same machine (T17).

use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::client::Client;
use crate::gateway::{Gateway, SECRET, peer, until};
use crate::raw::Raw;
use crate::tenants::tenant;

/// Who would be answered after all the others, as long as each may stay, fails instead.
const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const ADMIN_SECRET: &str = "test-secret-of-the-operator";
pub(crate) const ANY_PORT: &str = "[admin]\naddress = \"127.0.0.1:0\"\n";

pub(crate) struct Admin {
    pub(crate) gateway: Gateway,
    pub(crate) address: String,
}

impl Admin {
    fn start() -> Self {
        Self::with(&format!("[servers.peer]\nrun = {:?}\n", peer()))
    }

    /// With these settings beside.
    pub(crate) fn with(settings: &str) -> Self {
        Self::start_with(&format!("{ANY_PORT}{settings}"))
    }

    /// With these settings, which say where the admin listener is.
    pub(crate) fn start_with(settings: &str) -> Self {
        let secrets = [("LOCKGATE_SECRET", SECRET), ("LOCKGATE_ADMIN_SECRET", ADMIN_SECRET)];
        let gateway = Gateway::start_bare(settings, &secrets);
        let events = gateway.log();
        let events = events.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut on = events.filter(|event| event["message"] == "the admin listener is on");
        let address = on.next().expect("the log says where it is")["address"].as_str().unwrap().to_owned();
        Self { gateway, address }
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        let mut request =
            crate::client::http().build().unwrap().get(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    async fn detail(&self) -> Value {
        let response = self.get("/health/detail", &[("authorization", &bearer(ADMIN_SECRET))]).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["cache-control"], "no-store");
        response.json().await.unwrap()
    }
}

pub(crate) fn bearer(secret: &str) -> String {
    format!("Bearer {secret}")
}

#[tokio::test]
async fn only_its_own_secret_opens_it_and_without_it_nothing_can_be_told() {
    let admin = Admin::start();
    let (right, tenant) = (bearer(ADMIN_SECRET), bearer(SECRET));
    for path in ["/health/detail", "/health", "/", "/peer/mcp"] {
        for headers in [
            vec![],
            vec![("authorization", "Bearer wrong")],
            vec![("authorization", &*tenant)],
            vec![("authorization", &*right), ("authorization", &*right)],
        ] {
            let response = admin.get(path, &headers).await;
            assert_eq!(response.status(), 401, "{path} {headers:?}");
            assert!(response.headers().contains_key("www-authenticate"));
            assert_eq!(response.headers()["content-type"], "application/problem+json");
        }
    }
    let found = async |path: &str| admin.get(path, &[("authorization", &right)]).await.status();
    assert_eq!(found("/health/detail").await, 200);
    for path in ["/", "/health/detail/", "/peer/mcp", "/.well-known/x"] {
        assert_eq!(found(path).await, 404, "{path}");
    }
    let post = crate::client::http().build().unwrap().post(format!("http://{}/health/detail", admin.address));
    assert_eq!(post.bearer_auth(ADMIN_SECRET).send().await.unwrap().status(), 405);
    // Nor is it of any use elsewhere.
    let there = crate::client::http()
        .build()
        .unwrap()
        .get(admin.gateway.url("/health/detail"))
        .bearer_auth(ADMIN_SECRET);
    assert_eq!(there.send().await.unwrap().status(), 404);
    let sse =
        crate::client::http().build().unwrap().get(admin.gateway.url("/peer/sse")).bearer_auth(ADMIN_SECRET);
    assert_eq!(sse.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn other_pages_and_other_names_do_not_get_in_even_with_the_secret() {
    let admin = Admin::start();
    let right = bearer(ADMIN_SECRET);
    let own = format!("http://{}", admin.address);
    for (name, value, status) in [
        ("origin", "https://evil.example", StatusCode::FORBIDDEN),
        ("origin", "null", StatusCode::FORBIDDEN),
        ("host", "evil.example", StatusCode::FORBIDDEN),
        ("origin", &own, StatusCode::OK),
        ("host", "localhost:9", StatusCode::OK),
    ] {
        let headers = [("authorization", &*right), (name, value)];
        assert_eq!(admin.get("/health/detail", &headers).await.status(), status, "{name}: {value}");
    }
}

#[tokio::test]
async fn wrong_secrets_are_counted_by_address() {
    let admin = Admin::start();
    let mut limited = false;
    // Not each of the last ones: every two seconds one more is let through to be wrong.
    for _ in 0..40 {
        let answer = admin.get("/health/detail", &[("authorization", "Bearer wrong")]).await;
        limited |= answer.status() == 429;
    }
    assert!(limited);
    // Who has the right one is not kept out by others.
    admin.detail().await;
}

#[tokio::test]
async fn it_shows_what_there_is_but_no_session_id() {
    let admin = Admin::start();
    let idle = admin.detail().await;
    assert_eq!((&idle["status"], &idle["draining"]), (&json!("ok"), &json!(false)));
    assert_eq!(idle["sessions"]["by_tenant"], json!({}));
    let session = admin.gateway.client().connect("peer").await;
    let busy = admin.detail().await;
    assert_eq!(busy["sessions"]["active"], 1);
    assert_eq!(busy["sessions"]["by_tenant"], json!({ "default": 1 }));
    assert_eq!(busy["sessions"]["by_server"], json!({ "peer": 1 }));
    assert_eq!(busy["limits"]["sessions"], 1000);
    assert_eq!(busy["sandbox"]["profile"], "default");
    assert!(busy["sandbox"]["items"].as_array().unwrap().iter().any(|item| item["name"] == "landlock"));
    assert!(busy["sandbox"]["missing"].is_array());
    let id = session.endpoint.split_once('=').unwrap().1;
    assert!(!busy.to_string().contains(id), "{busy}");
    if crate::traces::is_root() {
        assert_eq!(idle["sandbox"]["uids"]["in_use"], 0);
        assert_eq!(busy["sandbox"]["uids"]["in_use"], 1);
        drop(session);
        admin.gateway.until_active(0).await;
        let uids = &admin.detail().await["sandbox"]["uids"];
        assert_eq!((&uids["in_use"], &uids["resting"]), (&json!(0), &json!(1)));
    }
}

/// Any process of any session can connect, and can keep a connection for as long as it likes.
#[tokio::test]
async fn nobody_who_cannot_show_the_secret_keeps_the_operator_out() {
    let admin = Admin::start();
    let address = admin.address.clone();
    let asks = |head: &str| format!("GET {head} HTTP/1.1\r\nHost: {address}\r\n");
    let right = bearer(ADMIN_SECRET);
    let mut looking = Raw(tokio::net::TcpStream::connect(&address).await.unwrap());
    let looks = format!("{}Authorization: {right}\r\n\r\n", asks("/overview"));
    looking.send(&looks).await;
    assert!(looking.response().await.starts_with("HTTP/1.1 200"));
    let part = asks("/overview");
    let refused = format!("{part}\r\n");
    let form = "POST /admin/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nsecret=";
    let mut held = Vec::new();
    for text in [String::new(), part.clone(), format!("{refused}{part}"), form.to_owned()] {
        for _ in 0..200 {
            let mut raw = Raw(tokio::net::TcpStream::connect(&address).await.unwrap());
            raw.send(&text).await;
            held.push(raw);
        }
        let authorization = [("authorization", &*right)];
        let asked = admin.get("/overview", &authorization);
        let answer = tokio::time::timeout(PATIENCE, asked).await;
        assert_eq!(answer.expect("an answer, without waiting for all the others").status(), 200, "{text:?}");
        // Who was there before, and had shown it, has not given way.
        looking.send(&looks).await;
        assert!(looking.response().await.starts_with("HTTP/1.1 200"), "{text:?}");
    }
}

#[tokio::test]
async fn what_a_server_has_said_is_shown_without_the_values_that_it_was_given() {
    let run = r#"run = """sh -c 'echo "bad note $NOTE of $REGION" >&2; exit 1'""""#;
    let admin =
        Admin::with(&format!("[servers.careless]\n{run}\nenv = {{ REGION = \"the secret region\" }}\n"));
    // Longer than any line that is shown.
    let note = "n".repeat(1000);
    let mut session = admin.gateway.client().header("ENV_NOTE", &note).open("careless").await;
    while session.message().await.is_some() {}
    admin.gateway.until_active(0).await;
    let overview = admin.get("/overview", &[("authorization", &bearer(ADMIN_SECRET))]).await;
    let overview: Value = overview.json().await.unwrap();
    let stderr = &overview["servers"][0]["failures"][0]["stderr"];
    assert_eq!(*stderr, json!(["bad note (masked) of (masked)"]), "{overview}");
}

#[tokio::test]
async fn it_can_be_looked_at_while_the_gateway_drains() {
    let mut admin = Admin::start();
    let mut session = admin.gateway.client().connect("peer").await;
    let id = session.request("ask", json!({ "id": "q" })).await;
    assert_eq!(session.message().await.unwrap()["method"], "roots/list");
    admin.gateway.signal("TERM");
    until("draining", || admin.gateway.log().contains("draining")).await;
    let detail = admin.detail().await;
    assert_eq!((&detail["status"], &detail["draining"]), (&json!("draining"), &json!(true)));
    session.send(&json!({ "jsonrpc": "2.0", "id": "q", "result": {} })).await;
    session.answer(id).await;
    assert_eq!(admin.gateway.wait().code(), Some(0));
}

#[tokio::test]
async fn without_a_secret_nothing_listens_and_the_log_says_how_to_change_that() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = format!("[admin]\naddress = \"{free}\"\n[servers.peer]\nrun = {:?}\n", peer());
    let gateway = Gateway::start_bare(&settings, &[("LOCKGATE_SECRET", SECRET)]);
    assert!(gateway.log().contains("set LOCKGATE_ADMIN_SECRET to switch it on"), "{}", gateway.log());
    assert!(TcpStream::connect(free).is_err());
    let off = format!("[admin]\naddress = \"\"\n[servers.peer]\nrun = {:?}\n", peer());
    let both = [("LOCKGATE_SECRET", SECRET), ("LOCKGATE_ADMIN_SECRET", ADMIN_SECRET)];
    let gateway = Gateway::start_bare(&off, &both);
    assert!(!gateway.log().contains("admin listener is on"), "{}", gateway.log());
}

#[tokio::test]
async fn its_secret_is_in_no_place_that_a_child_can_read() {
    let admin = Admin::start();
    let mut session = admin.gateway.client().connect("peer").await;
    let pid = admin.gateway.pid();
    for file in ["environ", "cmdline"] {
        // As root, which sees what no session does.
        let text = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&text).contains("test-secret"), "{file}");
    }
    let environment = session.call("environment", json!({})).await.to_string();
    assert!(!environment.contains("SECRET"), "{environment}");
    assert!(!admin.gateway.log().contains(ADMIN_SECRET));
}

#[tokio::test]
async fn a_reload_makes_no_tenant_an_operator() {
    let admin = Admin::start();
    let settings = |secret: &str| {
        format!("{ANY_PORT}[servers.peer]\nrun = {:?}\n{}", peer(), tenant("a", &[secret], ""))
    };
    admin.gateway.reload_bare(&settings(ADMIN_SECRET), "settings_refused").await;
    let told = || admin.gateway.log().contains("is a tenant's secret, too (tenants.a.secrets)");
    until("it is told why", told).await;
    let opened = Client::new(&admin.gateway.url(""), ADMIN_SECRET).get("/peer/sse").send().await.unwrap();
    assert_eq!(opened.status(), 401);
    admin.gateway.reload_bare(&settings("another"), "settings_reloaded").await;
    admin.detail().await;
}

#[test]
fn what_cannot_work_stops_the_start_with_the_key() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (variables, expected) in [
        (
            vec![("LOCKGATE_ADMIN_SECRET", "a"), ("LOCKGATE__ADMIN__ADDRESS", &*address)],
            "set admin.address to another",
        ),
        (vec![("LOCKGATE_ADMIN_SECRET", "")], "LOCKGATE_ADMIN_SECRET is empty"),
        (vec![("LOCKGATE__ADMIN__ADDRESS", "here")], "admin.address"),
        (
            vec![
                ("LOCKGATE_ADMIN_SECRET", "same"),
                ("LOCKGATE_SECRET", "same"),
                ("LOCKGATE__ADMIN__ADDRESS", "127.0.0.1:0"),
            ],
            "is a tenant's secret, too",
        ),
    ] {
        // It would serve for ever if nothing stopped it.
        let mut command = Command::new("timeout");
        command.args(["60", env!("CARGO_BIN_EXE_lockgate"), "--port", "0"]);
        let outcome = command
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .envs(variables.clone())
            .output()
            .unwrap();
        let stderr = String::from_utf8(outcome.stderr).unwrap();
        assert_eq!(outcome.status.code(), Some(2), "{variables:?}: {stderr}");
        assert!(stderr.contains(expected), "{variables:?}: {stderr}");
    }
}
