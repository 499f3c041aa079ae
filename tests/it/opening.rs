//! Who gets in, and what opening a session gives (seeds D0.1, D0.2, D0.3, D0.5, D0.6, D0.12).

use std::time::Duration;

use serde_json::json;

use crate::client::Client;
use crate::events::Endpoint;
use crate::gateway::{Gateway, peer, until};
use crate::prefetch::Runner;
use crate::raw::{exchange, request};
use crate::stateless::{enveloped, mirrored};
use crate::tenants::tenant;

#[tokio::test]
async fn the_first_event_names_an_endpoint_that_works() {
    let gateway = Gateway::start("");
    let response = gateway.client().get("/peer/sse").send().await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/event-stream");
    assert_eq!(header("cache-control"), "no-cache, no-transform");
    assert_eq!(header("x-accel-buffering"), "no");
    let mut session = gateway.client().attach(response).await;
    assert!(session.endpoint.starts_with("/peer/message?sessionId="), "{}", session.endpoint);
    assert_eq!(session.initialize().await["serverInfo"]["name"], "peer");
    assert_eq!(session.call("echo", json!({ "a": 1 })).await, json!({ "a": 1 }));
    // The other spelling of the parameter.
    session.endpoint = session.endpoint.replace("sessionId", "session_id");
    assert_eq!(session.call("echo", json!([])).await, json!([]));
}

#[tokio::test]
async fn a_server_is_reached_by_its_command_too_and_behind_a_base_path() {
    let gateway = Gateway::start("[listen]\nbase_path = \"/gate\"");
    let command = peer().replace('/', "%2F");
    let client = Client::new(&gateway.url("/gate"), crate::gateway::SECRET);
    let response = client.get(&format!("/{command}/sse")).send().await.unwrap();
    let mut session = Client::new(&gateway.url(""), crate::gateway::SECRET).attach(response).await;
    assert!(session.endpoint.starts_with(&format!("/gate/{command}/message?")), "{}", session.endpoint);
    session.initialize().await;
    assert_eq!(gateway.client().get("/peer/sse").send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_wrong_secret_starts_nothing() {
    let gateway = Gateway::start("");
    let url = gateway.url("/peer/sse");
    let http = crate::client::http().build().unwrap();
    let wrong = ["Bearer wrong", "Basic dGVzdA==", "Bearer", ""];
    for value in wrong {
        let response = http.get(&url).header("authorization", value).send().await.unwrap();
        assert_eq!(response.status(), 401, "{value:?}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"lockgate\"");
        let body: serde_json::Value = response.json().await.unwrap();
        assert!(body["error"]["message"].as_str().unwrap().contains("secret"), "{body}");
    }
    let right = format!("Bearer {}", crate::gateway::SECRET);
    let doubled = http.get(&url).header("authorization", &right).header("authorization", &right);
    assert_eq!(doubled.send().await.unwrap().status(), 401);
    assert_eq!(
        http.get(format!("{url}?token={}", crate::gateway::SECRET)).send().await.unwrap().status(),
        401
    );
    assert!(gateway.descendants().is_empty());
    let health: serde_json::Value =
        http.get(gateway.url("/health")).send().await.unwrap().json().await.unwrap();
    assert_eq!(health["sessions"]["total"], 0);
}

#[tokio::test]
async fn what_is_not_on_the_allowlist_starts_nothing() {
    let gateway = Gateway::start("");
    for (segment, status) in [
        ("nobody", 403),
        ("PEER", 403),
        ("peer%20", 403),
        ("peer%2520", 403),
        ("sh%20-c%20id", 403),
        ("peer%3Bid", 403),
        ("%", 400),
        ("peer%zz", 400),
        ("peer%00", 400),
        ("%c0%af", 400),
        ("peer%0a", 400),
    ] {
        // No client library has touched its path.
        let get = request(&gateway.address, "GET", &format!("/{segment}/sse"), "Connection: close\r\n");
        let response = exchange(&gateway, get).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status}")), "{segment}: {response}");
    }
    assert!(gateway.descendants().is_empty());
}

/// How each session has ended; there is none that has not.
async fn ends(gateway: &Gateway, sessions: usize) -> Vec<String> {
    gateway.until_active(0).await;
    until("all have ended", || gateway.audit("session_ended").len() >= sessions).await;
    let ended = gateway.audit("session_ended");
    assert_eq!((gateway.audit("session_opened").len(), ended.len()), (sessions, sessions), "{ended:?}");
    let tags =
        ended.iter().map(|line| line["session"].to_string()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(tags.len(), sessions, "{ended:?}");
    ended.iter().map(|line| line["reason"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_client_that_leaves_while_packages_are_fetched_leaves_no_open_session() {
    let runner = Runner::new();
    let gateway = runner.gateway_with("");
    let client = gateway.client();
    let sse = tokio::spawn(async move { client.get("/pkg/sse").send().await });
    let endpoint = Endpoint::new(&gateway, "pkg");
    let streamable = tokio::spawn(async move { endpoint.initialize("2025-06-18").await });
    gateway.until_active(2).await;
    until("both are open", || gateway.audit("session_opened").len() == 2).await;
    sse.abort();
    streamable.abort();
    for reason in ends(&gateway, 2).await {
        assert!(reason.contains("the client closed its stream"), "{reason}");
    }
    runner.tell("release");
    until("the fetch goes on without them", || runner.templates().len() == 1).await;
}

#[tokio::test]
async fn packages_that_take_their_time_are_not_waited_for_longer_than_a_start() {
    let runner = Runner::new();
    let gateway = runner.gateway_with("[timeouts]\nstart = \"300ms\"\n");
    // Longer than it takes; a test that would hang fails instead.
    let asked = tokio::time::timeout(Duration::from_secs(30), gateway.client().get("/pkg/sse").send());
    let late = asked.await.expect("it is not answered").unwrap();
    assert_eq!((late.status().as_u16(), &late.headers()["retry-after"]), (503, &"5".parse().unwrap()));
    let told = late.text().await.unwrap();
    assert!(told.contains("packages of the server pkg are still being fetched"), "{told}");
    let call = enveloped(1, "pid", json!({}));
    let late = mirrored(&gateway, "pkg", &call).post(&call).await.text().await.unwrap();
    assert!(late.contains("packages of the server pkg were not there within 300ms"), "{late}");
    for reason in ends(&gateway, 2).await {
        assert!(reason.contains("were not there within 300ms"), "{reason}");
    }
    runner.tell("release");
    until("the fetch goes on without them", || runner.templates().len() == 1).await;
}

#[tokio::test]
async fn the_operator_hears_why_a_session_did_not_begin() {
    let runner = Runner::new();
    runner.tell("broken");
    let gateway = runner.gateway_with("");
    assert_eq!(gateway.client().get("/pkg/sse").send().await.unwrap().status(), 502);
    let reasons = ends(&gateway, 1).await;
    assert!(
        reasons[0].contains("the server pkg cannot be started: its packages could not be"),
        "{reasons:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_of_one_command_share_nothing() {
    let gateway = Gateway::start("");
    let mut one = gateway.client().header("ENV_WHO", "one").connect("peer").await;
    let mut two = gateway.client().header("ENV_WHO", "two").connect("peer").await;
    assert_ne!(one.call("pid", json!({})).await, two.call("pid", json!({})).await);
    let calls = |name: &'static str, mut session: crate::client::Session| async move {
        assert_eq!(session.call("environment", json!({})).await["WHO"], name);
        // The same ids on both sides, all in flight together.
        let mut waiting = Vec::new();
        for n in 0..500 {
            waiting.push((session.request("echo", json!({ "who": name, "n": n })).await, n));
        }
        for (id, n) in waiting {
            let known = session.aside.iter().position(|message| message["id"] == id);
            let answer = match known {
                Some(at) => session.aside.swap_remove(at),
                None => session.answer(id).await,
            };
            assert_eq!(answer["result"], json!({ "who": name, "n": n }));
        }
        assert!(session.aside.is_empty());
    };
    let (one, two) = (tokio::spawn(calls("one", one)), tokio::spawn(calls("two", two)));
    one.await.unwrap();
    two.await.unwrap();
}

#[tokio::test]
async fn a_session_answers_only_its_own_tenant_and_server() {
    let gateway = Gateway::start(&tenant("acme", &["test"], "servers = [\"peer\"]"));
    let session = gateway.client().connect("peer").await;
    let acme = Client::new(&gateway.url(""), "test");
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let refused = |client: &Client, path: String| {
        let request = client.post(&path, ping);
        async move {
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        }
    };
    let default = gateway.client();
    let stranger = refused(&acme, session.endpoint.clone()).await;
    let elsewhere = refused(&default, session.endpoint.replace("/peer/", "/other/")).await;
    let unknown = refused(&default, format!("/peer/message?sessionId={}", "A".repeat(43))).await;
    let nonsense = refused(&default, "/peer/message?sessionId=../x".into()).await;
    let missing = refused(&default, "/peer/message".into()).await;
    assert_eq!(stranger.0, 404);
    for other in [elsewhere, unknown, nonsense, missing] {
        assert_eq!(other, stranger, "one text for all");
    }
    // A server that this tenant may not use looks like one that does not exist.
    let hidden = acme.get("/other/sse").send().await.unwrap();
    let absent = acme.get("/nobody/sse").send().await.unwrap();
    assert_eq!((hidden.status(), absent.status()), (403.try_into().unwrap(), 403.try_into().unwrap()));
    assert_eq!(hidden.text().await.unwrap(), absent.text().await.unwrap());
    assert!(acme.open("peer").await.endpoint.contains("sessionId"));
}

#[tokio::test]
async fn health_needs_no_secret_and_starts_nothing() {
    let gateway = Gateway::start("");
    let http = crate::client::http().build().unwrap();
    for path in ["/health", "/health/live", "/health/ready"] {
        assert_eq!(http.get(gateway.url(path)).send().await.unwrap().status(), 200, "{path}");
    }
    let session = gateway.client().connect("peer").await;
    let health: serde_json::Value =
        http.get(gateway.url("/health")).send().await.unwrap().json().await.unwrap();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    assert!(health["uptime_seconds"].is_u64());
    assert_eq!(health["sessions"], json!({ "active": 1, "total": 1 }));
    assert!(!health.to_string().contains(&session.endpoint[24..]));
    assert_eq!(gateway.descendants().len(), 1);
}
