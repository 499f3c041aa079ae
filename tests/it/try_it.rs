//! The page on which the operator tries a server: who may have a pass, where the relay leads, and what it carries.

use std::process::Command;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::admin::{ADMIN_SECRET, ANY_PORT, Admin};
use crate::browser::{browser, shots};
use crate::clients::{passes, tests};
use crate::events::{Endpoint, Events, fault};
use crate::gateway::{Gateway, SECRET, until_told, with_peers};
use crate::stateless::{enveloped, mirrored};
use crate::tenants::tenant;

const NEWEST: &str = "2025-11-25";

struct Operator {
    gateway: Gateway,
    /// Of the admin listener.
    url: String,
}

impl Operator {
    /// With the scripted servers, no rates, the tenant `default`, and these settings.
    fn start(settings: &str) -> Self {
        Self::start_with(&with_peers(&format!("{ANY_PORT}{settings}")))
    }

    fn start_with(settings: &str) -> Self {
        let Admin { gateway, address } = Admin::start_with(settings);
        Self { gateway, url: format!("http://{address}") }
    }

    fn send(&self, method: Method, path: &str) -> RequestBuilder {
        let http = crate::client::http().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        http.request(method, format!("{}{path}", self.url))
    }

    async fn ask_for_pass(&self, tenant: &str) -> Response {
        let request = self.send(Method::POST, "/admin/pass").bearer_auth(ADMIN_SECRET);
        request.body(format!("tenant={tenant}")).send().await.unwrap()
    }

    /// The number of a pass.
    async fn pass(&self, tenant: &str) -> String {
        let said: Value = self.ask_for_pass(tenant).await.json().await.unwrap();
        assert_eq!(said["seconds"], 900);
        said["pass"].as_str().unwrap().to_owned()
    }

    /// What the page's script has of a server; with the operator's secret, as programs do.
    fn relayed(&self, server: &str, pass: &str) -> Endpoint {
        self.by_relay(Endpoint::new(&self.gateway, server), server, pass)
    }

    fn by_relay(&self, mut endpoint: Endpoint, server: &str, pass: &str) -> Endpoint {
        endpoint.url = format!("{}/admin/relay/{server}/mcp", self.url);
        endpoint.of_tenant(ADMIN_SECRET).header("lockgate-pass", pass)
    }

    /// Logs a browser in: its cookie, and the token of its pages.
    async fn log_in(&self) -> (String, String) {
        let login = self.send(Method::POST, "/admin/login").header("origin", &self.url);
        let response = login.body(format!("secret={ADMIN_SECRET}")).send().await.unwrap();
        let cookie = response.headers()["set-cookie"].to_str().unwrap();
        let cookie = cookie.split_once(';').unwrap().0.to_owned();
        let page = self.send(Method::GET, "/admin/try").header("cookie", &cookie).send().await.unwrap();
        let page = page.text().await.unwrap();
        let token = page.split_once("data-token=\"").unwrap().1.split_once('"').unwrap().0;
        (cookie, token.to_owned())
    }
}

#[tokio::test]
async fn a_session_goes_the_way_of_a_client_of_that_tenant() {
    let operator = Operator::start(&tenant("a", &["a"], "env = { WHOSE = \"a\" }\nservers = [\"peer\"]"));
    let pass = operator.pass("a").await;
    let opened = operator.relayed("peer", &pass).header("ENV_MINE", "here").initialize(NEWEST).await;
    assert_eq!(
        (opened.status().as_u16(), &opened.headers()["lockgate-relayed"]),
        (200, &"yes".parse().unwrap())
    );
    assert_eq!(opened.headers()["lockgate-env"], "MINE");
    assert_eq!(opened.headers()["x-content-type-options"], "nosniff");
    let id = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    let session = operator.relayed("peer", &pass).in_session(&id).header("mcp-protocol-version", NEWEST);
    let environment = session.call(1, "environment", json!({})).await["result"].clone();
    assert_eq!((&environment["WHOSE"], &environment["MINE"]), (&json!("a"), &json!("here")));
    assert_eq!(operator.gateway.audit("session_opened")[0]["tenant"], "a");
    // What comes without being asked for comes at once, while the stream lasts.
    let mut stream = Events::of(session.get().await);
    session.call(2, "notes", json!({ "count": 2 })).await;
    assert_eq!(stream.message().await.unwrap()["jsonrpc"], "2.0");
    assert_eq!(session.request(Method::DELETE).send().await.unwrap().status(), 200);
    operator.gateway.until_active(0).await;
    // Nor more than that tenant may.
    let (status, _, body) = fault(operator.relayed("other", &pass).initialize(NEWEST).await).await;
    assert_eq!(status, 403, "{body}");
}

#[tokio::test]
async fn only_headers_of_mcp_are_carried_and_the_operators_secret_is_not() {
    let operator = Operator::start("");
    let pass = operator.pass("default").await;
    let session = operator.relayed("dual", &pass).open(NEWEST).await;
    let listed = |session: Endpoint| async move {
        let listed = session.call(1, "tools/list", json!({})).await;
        listed["result"]["tools"].as_array().unwrap().len()
    };
    let narrowing =
        operator.relayed("dual", &pass).header("x-lockgate-allow-tools", "none").open(NEWEST).await;
    assert_eq!(
        listed(narrowing).await,
        listed(session).await,
        "a header that the page has no need of was carried"
    );
    // Shown to the public listener, the operator's secret would have been refused.
    assert!(operator.gateway.audit("secret_refused").is_empty());
    assert!(!operator.gateway.log().contains(ADMIN_SECRET));
}

#[tokio::test]
async fn nobody_but_the_operator_and_no_other_page_has_a_pass_or_the_relay() {
    let operator = Operator::start("");
    let (cookie, token) = operator.log_in().await;
    let pass = operator.pass("default").await;
    let own = operator.url.clone();
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string();
    let attempt = async |path: &str, method: Method, headers: &[(&str, &str)], token: Option<&str>| {
        let mut request = operator.send(method, path).header("lockgate-pass", &pass);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let form = format!("tenant=default&token={}", token.unwrap_or_default());
        let body = if path == "/admin/pass" { form } else { hello.clone() };
        let request = token.iter().fold(request, |request, token| request.header("lockgate-token", *token));
        request.header("content-type", "application/json").body(body).send().await.unwrap().status().as_u16()
    };
    let tenants = format!("Bearer {SECRET}");
    let (same, cross) = (("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site"));
    for (path, method) in [
        ("/admin/pass", Method::POST),
        ("/admin/relay/peer/mcp", Method::POST),
        ("/admin/relay/peer/mcp", Method::GET),
    ] {
        for (headers, given, status) in [
            (vec![], None, 403),
            (vec![("authorization", &*tenants)], None, 401),
            (vec![("origin", &*own), same], Some(&*token), 401),
            (vec![("cookie", &*cookie), ("origin", &*own), same], None, 403),
            (vec![("cookie", &*cookie), ("origin", &*own), same], Some("wrong"), 403),
            (vec![("cookie", &*cookie), ("origin", "https://evil.example")], Some(&*token), 403),
            (vec![("cookie", &*cookie), cross], Some(&*token), 403),
            (vec![("cookie", &*cookie), ("host", "evil.example"), same], Some(&*token), 403),
        ] {
            let found = attempt(path, method.clone(), &headers, given).await;
            assert_eq!(found, status, "{method} {path} {headers:?} {given:?}");
        }
        let right = [("cookie", &*cookie), ("origin", &*own), same];
        let found = attempt(path, method, &right, Some(&token)).await;
        assert!(![401, 403].contains(&found), "{path}: {found}");
    }
    assert_eq!(operator.send(Method::GET, "/admin/try").send().await.unwrap().status(), 303);
}

#[tokio::test]
async fn a_pass_that_made_room_takes_its_sessions_along_and_no_others() {
    let operator = Operator::start("");
    let first = operator.pass("default").await;
    let session = operator.relayed("peer", &first).open(NEWEST).await;
    // One that nothing would wake.
    operator.relayed("peer", &first).open(NEWEST).await;
    let own = Endpoint::new(&operator.gateway, "peer").open(NEWEST).await;
    let mut stream = Events::of(session.get().await);
    for _ in 0..15 {
        operator.pass("default").await;
    }
    assert_eq!(session.call(1, "echo", json!({ "x": 1 })).await["result"]["x"], 1, "sixteen there may be");
    let last = operator.pass("default").await;
    operator.gateway.until_active(1).await;
    assert_eq!(stream.message().await, None);
    let refused = session.post(&json!({ "jsonrpc": "2.0", "id": 2, "method": "ping" })).await;
    assert_eq!(refused.status(), 404);
    let refused: Value = refused.json().await.unwrap();
    assert!(refused["detail"].as_str().unwrap().contains("connect again"), "{refused}");
    assert_eq!(own.call(3, "echo", json!({ "x": 2 })).await["result"]["x"], 2);
    operator.relayed("peer", &last).open(NEWEST).await;
    assert_eq!(operator.gateway.audit("pass_given").len(), 17);
    assert_eq!(operator.gateway.audit("pass_given")[0]["tenant"], "default");
}

#[tokio::test]
async fn a_pass_outlives_a_reload_but_not_its_tenant() {
    let settings = |more: &str| format!("{ANY_PORT}{more}");
    let a = tenant("a", &["a"], "");
    let operator = Operator::start(&a);
    let pass = operator.pass("a").await;
    let session = operator.relayed("peer", &pass).open(NEWEST).await;
    operator.gateway.reload(&settings(&tenant("a", &["b"], "sessions = 9"))).await;
    assert_eq!(session.call(1, "echo", json!({ "x": 1 })).await["result"]["x"], 1);
    operator.gateway.reload(&settings("")).await;
    operator.gateway.until_active(0).await;
    let relayed = operator.relayed("peer", &pass).initialize(NEWEST).await;
    assert_eq!((relayed.status().as_u16(), relayed.headers().contains_key("lockgate-relayed")), (401, true));
    operator.gateway.reload(&settings(&a)).await;
    assert_eq!(
        operator.relayed("peer", &pass).initialize(NEWEST).await.status(),
        401,
        "it is another tenant"
    );
    let none = operator.ask_for_pass("nobody").await;
    assert_eq!(none.status(), 404);
}

#[tokio::test]
async fn without_a_session_too_and_a_browser_that_leaves_calls_off_what_it_asked() {
    let operator = Operator::start("");
    let pass = operator.pass("default").await;
    let relayed =
        |body: &Value| operator.by_relay(mirrored(&operator.gateway, "stateless", body), "stateless", &pass);
    let steps = enveloped(1, "steps", json!({ "count": 1, "_meta": { "progressToken": 1 } }));
    let mut events = Events::of(relayed(&steps).post(&steps).await);
    assert_eq!(events.message().await.unwrap()["method"], "notifications/progress");
    assert_eq!(events.message().await.unwrap()["id"], 1);
    let heard = async |what: &str| {
        let heard = enveloped(2, "heard", json!({}));
        relayed(&heard).post(&heard).await.text().await.unwrap().contains(what)
    };
    let never = enveloped(7, "never", json!({}));
    let endpoint = relayed(&never);
    let waiting = tokio::spawn(async move { endpoint.post(&never).await });
    until_told("it is heard", async || heard(r#"\"never\""#).await).await;
    waiting.abort();
    until_told("it is called off", async || heard("notifications/cancelled").await).await;
}

#[tokio::test]
async fn it_leads_to_the_gateways_own_listener_wherever_that_is_and_nowhere_else() {
    let settings =
        "[listen]\naddress = \"0.0.0.0:0\"\nbase_path = \"/base\"\n[access]\nhosts = [\"gate.example\"]\n";
    let operator = Operator::start(settings);
    let pass = operator.pass("default").await;
    let session = operator.relayed("peer", &pass).open(NEWEST).await;
    assert_eq!(session.call(1, "echo", json!({ "x": 1 })).await["result"]["x"], 1);
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    for (server, status) in [
        ("%2e%2e", 404),
        ("..%2Fpeer", 403),
        ("evil.example:80%2Fx", 403),
        ("%40evil.example", 403),
        ("peer%3Fx%23", 403),
        ("%FF", 400),
        ("%2", 400),
    ] {
        let answered = operator.relayed(server, &pass).post(&hello).await;
        assert_eq!(answered.status(), status, "{server}");
    }
}

#[tokio::test]
async fn what_is_too_large_is_not_carried() {
    let operator = Operator::start("[limits]\nmessage = \"64KiB\"\n");
    let pass = operator.pass("default").await;
    let session = operator.relayed("peer", &pass).open(NEWEST).await;
    let large = json!({ "jsonrpc": "2.0", "id": 1, "method": "echo", "params": { "x": "x".repeat(70_000) } });
    let refused = session.post(&large).await;
    assert_eq!((refused.status().as_u16(), refused.headers().contains_key("lockgate-relayed")), (413, false));
    let refused: Value = refused.json().await.unwrap();
    assert!(refused["detail"].as_str().unwrap().contains("limits.message"), "{refused}");
    assert_eq!(session.request(Method::PUT).send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn the_page_offers_servers_their_tenants_and_what_to_paste_but_no_secret() {
    let a = tenant("a", &["secret-of-a"], "servers = [\"peer\"]");
    let operator = Operator::start(&format!("{a}[listen]\npublic_url = \"https://gate.example\"\n"));
    let page = async |path: &str| {
        let page = operator.send(Method::GET, path).bearer_auth(ADMIN_SECRET).send().await.unwrap();
        page.text().await.unwrap()
    };
    let (peer, other) = (page("/admin/try?server=peer").await, page("/admin/try?server=other").await);
    let offers = |page: &str, tenant: &str| page.contains(&format!("<option>{tenant}</option>"));
    assert!(offers(&peer, "a") && offers(&peer, "default"));
    assert!(!offers(&other, "a") && offers(&other, "default"));
    assert!(peer.contains("https://gate.example/peer/mcp") && peer.contains("&lt;secret&gt;"));
    assert!(peer.contains("<noscript>") && !peer.contains("secret-of-a"));
    let none = page("/admin/try?server=%3Cscript%3E").await;
    assert!(none.contains("No server of that name") && !none.contains("<script>"));
    // Every part of the script is there, and nothing else is.
    let parts = page("/admin/try/page.js").await;
    let imported = parts
        .lines()
        .filter_map(|line| line.split_once("from \"./"))
        .map(|(_, rest)| &rest[..rest.len() - 2]);
    for part in imported {
        assert!(page(&format!("/admin/try/{part}")).await.starts_with("// "), "{part}");
    }
    let missing =
        operator.send(Method::GET, "/admin/try/other.js").bearer_auth(ADMIN_SECRET).send().await.unwrap();
    assert_eq!(missing.status(), 404);
}

#[test]
fn a_browser_tries_a_real_server_from_form_to_reply() {
    let Some(browser) = browser() else { return };
    let everything = "node_modules/@modelcontextprotocol/server-everything/dist/index.js";
    let run = format!("node {}", tests().join(everything).display());
    let rate = "[rate]\nper_minute = 0\nopens_per_minute = 0\n";
    let operator = Operator::start_with(&format!("{rate}{ANY_PORT}[servers.everything]\nrun = {run:?}\n"));
    let mut node = Command::new("node");
    node.current_dir(tests().join("clients")).arg("try_it.mjs").args([
        &operator.url,
        ADMIN_SECRET,
        "everything",
    ]);
    passes({
        node.args([browser, shots()]);
        node
    });
}
