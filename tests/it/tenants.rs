//! What belongs to one tenant and to nobody else: environment, sessions, quotas, rates; and what the
//! operator can look up of it afterwards.

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::client::Client;
use crate::events::{Endpoint, fault};
use crate::gateway::{Gateway, SECRET, peer, until};
use crate::stateless::{enveloped, mirrored};

/// The table of a tenant with these secrets, which may use every server; `more` overrules that.
pub(crate) fn tenant(id: &str, secrets: &[&str], more: &str) -> String {
    let hashes: Vec<String> = secrets.iter().map(|secret| hash(secret)).collect();
    let servers = if more.contains("servers =") { "" } else { "servers = [\"*\"]" };
    format!("[tenants.{id}]\nsecrets = {hashes:?}\n{servers}\n{more}\n")
}

/// As the settings hold it.
pub(crate) fn hash(secret: &str) -> String {
    let digest = Sha256::digest(secret);
    format!("sha256:{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

pub(crate) fn client(gateway: &Gateway, secret: &str) -> Client {
    Client::new(&gateway.url(""), secret)
}

/// Sends a request of the stateless era.
pub(crate) async fn ask(gateway: &Gateway, secret: &str, body: &Value) -> reqwest::Response {
    mirrored(gateway, "stateless", body).of_tenant(secret).post(body).await
}

#[tokio::test]
async fn the_environment_is_the_servers_then_the_tenants_then_the_clients() {
    let own = "[servers.own]\nrun = \"PEER own\"\nenv = { ONE = \"server\", TWO = \"server\", THREE = \"server\" }\n"
        .replace("PEER", &peer());
    let a =
        tenant("a", &["a"], "env = { TWO = \"tenant\", THREE = \"tenant\", MINE = \"private-value-of-a\" }");
    let gateway = Gateway::start(&format!("{own}{a}{}", tenant("b", &["b"], "")));
    let mut session = client(&gateway, "a").header("ENV_THREE", "client").connect("own").await;
    let environment = session.call("environment", json!({})).await;
    for (name, value) in
        [("ONE", "server"), ("TWO", "tenant"), ("THREE", "client"), ("MINE", "private-value-of-a")]
    {
        assert_eq!(environment[name], value, "{name}");
    }
    let mut session = client(&gateway, "b").connect("own").await;
    let environment = session.call("environment", json!({})).await;
    assert_eq!((&environment["TWO"], &environment["MINE"]), (&json!("server"), &Value::Null));
    // The servers that clients of the stateless era share get it too.
    let body = enveloped(1, "environment", json!({}));
    let shared = async |secret: &str| ask(&gateway, secret, &body).await.json::<Value>().await.unwrap();
    assert_eq!(shared("a").await["result"]["MINE"], "private-value-of-a");
    assert_eq!(shared("b").await["result"]["MINE"], Value::Null);
    assert!(!gateway.log().contains("private-value"));
}

#[tokio::test]
async fn another_tenants_session_looks_like_one_that_never_was() {
    let gateway = Gateway::start(&format!("{}{}", tenant("a", &["a", "a2"], ""), tenant("b", &["b"], "")));
    let session = Endpoint::new(&gateway, "peer").of_tenant("a").open("2025-11-25").await;
    let id = session.headers.iter().find(|(name, _)| name == "mcp-session-id").unwrap().1.clone();
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "pid" });
    for method in [Method::POST, Method::GET, Method::DELETE] {
        let answer = async |secret: &str, id: &str| {
            let endpoint = Endpoint::new(&gateway, "peer").of_tenant(secret).in_session(id);
            let request = endpoint.request(method.clone()).header("content-type", "application/json");
            let (status, code, body) = fault(request.body(body.to_string()).send().await.unwrap()).await;
            assert_eq!(status, 404);
            (code, body)
        };
        assert_eq!(answer("b", &id).await, answer("b", &"A".repeat(43)).await, "{method}");
    }
    // It goes on, for every secret of its own tenant.
    let second = Endpoint::new(&gateway, "peer").of_tenant("a2").in_session(&id);
    assert_eq!(second.call(2, "pid", json!({})).await, session.call(2, "pid", json!({})).await);
}

#[tokio::test]
async fn each_tenant_has_rates_of_its_own_and_uses_up_nobody_elses() {
    let a = tenant("a", &["a", "a2"], "rate = { per_minute = 2, burst = 3 }");
    let b = tenant("b", &["b"], "rate = { opens_per_minute = 1 }");
    let gateway = Gateway::start(&format!("[rate]\nper_minute = 600\nburst = 50\n{a}{b}"));
    let knock = async |secret: &str| client(&gateway, secret).get("/nobody/sse").send().await.unwrap();
    for secret in ["a", "a2", "a"] {
        let response = knock(secret).await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (403, &"application/json".parse().unwrap())
        );
    }
    for secret in ["a", "a2"] {
        let refused = knock(secret).await;
        assert_eq!(refused.status(), 429, "one bucket for every secret of a tenant");
        assert_eq!(refused.headers()["ratelimit-policy"], "\"requests\";q=2;w=60");
        assert!(refused.headers().contains_key("retry-after"));
    }
    for _ in 0..20 {
        assert_eq!(knock("b").await.status(), 403, "another tenant has its own");
    }
    let _one = client(&gateway, "b").open("peer").await;
    let refused = client(&gateway, "b").get("/peer/sse").send().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (429, true));
    gateway.client().open("peer").await;
    gateway.client().open("peer").await;
}

#[tokio::test]
async fn each_tenant_has_a_quota_of_its_own() {
    let tenants =
        [tenant("a", &["a"], "sessions = 1"), tenant("b", &["b"], "sessions = 3"), tenant("c", &["c"], "")];
    let gateway = Gateway::start(&format!(
        "[limits]\nstarts = 8\nsessions = 5\nsessions_per_tenant = 2\n{}",
        tenants.concat()
    ));
    let mut open = Vec::new();
    let mut refused = Vec::new();
    for secret in ["a", "a", "b", "b", "b", "b"] {
        let response = client(&gateway, secret).get("/peer/sse").send().await.unwrap();
        match response.status().as_u16() {
            200 => open.push(client(&gateway, secret).attach(response).await),
            status => {
                let retry = response.headers().contains_key("retry-after");
                refused.push((secret, status, retry, response.text().await.unwrap()));
            }
        }
    }
    assert_eq!(open.len(), 4);
    assert_eq!(
        refused.iter().map(|r| (r.0, r.1, r.2)).collect::<Vec<_>>(),
        [("a", 429, true), ("b", 429, true)]
    );
    // The host's limit holds for all of them.
    open.push(client(&gateway, "c").open("peer").await);
    let full = client(&gateway, "c").get("/peer/sse").send().await.unwrap();
    assert_eq!((full.status().as_u16(), full.headers().contains_key("retry-after")), (503, true));
    until("all run", || gateway.descendants().len() == 5).await;
    until("the last is told", || gateway.audit("limit_hit").len() == 3).await;
    let limits: Vec<_> =
        gateway.audit("limit_hit").iter().map(|l| format!("{} {}", l["tenant"], l["limit"])).collect();
    assert_eq!(
        limits,
        [
            r#""a" "sessions of the tenant""#,
            r#""b" "sessions of the tenant""#,
            r#""c" "sessions of the host""#
        ]
    );
}

/// The fields of the audit lines of an event, without those of every line.
fn lines(gateway: &Gateway, event: &str) -> Vec<Value> {
    let mut lines = gateway.audit(event);
    for line in &mut lines {
        let fields = line.as_object_mut().unwrap();
        assert_eq!(fields.remove("level"), Some(json!("INFO")));
        assert!(fields.remove("timestamp").is_some());
        fields.remove("event");
        // Of those that a request has caused; `telemetry` looks which.
        fields.remove("request");
    }
    lines
}

#[tokio::test]
async fn the_audit_lines_say_what_happened_and_nothing_secret() {
    let a = tenant("acme", &["secret-of-acme"], "env = { DEEP = \"hidden-value\" }");
    let settings = format!("[timeouts]\neof = \"10ms\"\nterm = \"10ms\"\n{a}");
    // A log of little else, and still they are there.
    let gateway = Gateway::start_at("error,lockgate::gateway=info", &settings);
    let acme = || client(&gateway, "secret-of-acme");
    let session = acme().header("ENV_NAME", "value-of-client").connect("stubborn").await;
    let id = session.endpoint.split('=').nth(1).unwrap().to_owned();
    until("it is told", || !gateway.audit("server_started").is_empty()).await;
    let opened = lines(&gateway, "session_opened").pop().unwrap();
    assert_eq!((&opened["tenant"], &opened["server"]), (&json!("acme"), &json!("stubborn")));
    assert_eq!(opened["session"].as_str().unwrap().len(), 8);
    assert_eq!(opened.as_object().unwrap().len(), 3);
    assert_eq!(lines(&gateway, "server_started"), std::slice::from_ref(&opened));
    drop(session);
    until("it has ended", || !gateway.audit("session_ended").is_empty()).await;
    assert_eq!(lines(&gateway, "server_killed"), std::slice::from_ref(&opened));
    let mut ended = opened;
    ended["reason"] = json!("the client closed its stream");
    assert_eq!(lines(&gateway, "session_ended"), [ended]);
    // A server that ends when it is asked to is not killed.
    drop(acme().connect("peer").await);
    until("it has ended", || gateway.audit("session_ended").len() == 2).await;
    // Nor is one that somebody else killed.
    let mut session = acme().connect("peer").await;
    crate::gateway::send_signal(session.pid().await, "KILL");
    until("it has ended", || gateway.audit("session_ended").len() == 3).await;
    assert_eq!(gateway.audit("server_killed").len(), 1);

    assert_eq!(acme().get("/path-of-nobody/sse").send().await.unwrap().status(), 403);
    let blocked = acme().header("ENV_LD_PRELOAD", "value-of-client").get("/peer/sse").send().await.unwrap();
    assert_eq!(blocked.status(), 400);
    let off_list =
        json!({ "tenant": "acme", "reason": "the server is not on the allowlist, or not for this tenant" });
    let variable =
        json!({ "tenant": "acme", "server": "peer", "reason": "an environment variable may not be set" });
    until("both are told", || gateway.audit("session_refused").len() == 2).await;
    assert_eq!(lines(&gateway, "session_refused"), [off_list, variable]);
    let wrong = client(&gateway, "wrong-secret").get("/peer/sse").send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    until("it is told", || !gateway.audit("secret_refused").is_empty()).await;
    assert_eq!(lines(&gateway, "secret_refused"), [json!({ "address": "127.0.0.1" })]);
    let log = gateway.log();
    for hidden in [
        "secret-of-acme",
        "hidden-value",
        "value-of-client",
        "wrong-secret",
        "path-of-nobody",
        "LD_PRELOAD",
        &id,
        SECRET,
        &hash("secret-of-acme"),
    ] {
        assert!(!log.contains(hidden), "{hidden} is in the log");
    }
}

#[tokio::test]
async fn a_flood_of_wrong_secrets_is_told_in_a_few_lines() {
    let gateway = Gateway::start("[rate]\nper_minute = 0\nfailures_per_minute = 20");
    let http = crate::client::http().build().unwrap();
    for _ in 0..200 {
        http.get(gateway.url("/peer/sse")).bearer_auth("wrong").send().await.unwrap();
    }
    until("it is told", || !gateway.audit("limit_hit").is_empty()).await;
    assert_eq!(lines(&gateway, "limit_hit")[0]["limit"], "wrong secrets");
    let told = gateway.audit("secret_refused").len() + gateway.audit("limit_hit").len();
    assert!((2..20).contains(&told), "{told} lines");
    // What somebody else does is told all the same.
    gateway.client().get("/nobody/sse").send().await.unwrap();
    until("it is told", || gateway.audit("session_refused").len() == 1).await;
}
