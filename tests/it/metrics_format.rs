//! How the operator's Prometheus is told: in a format that it reads, and without giving anything away.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::events::Endpoint;
use crate::gateway::SECRET;
use crate::scrape::{ADMIN_SECRET, Watched};
use crate::tenants::{client, tenant};

const NEWEST: &str = "2025-11-25";
const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";

#[tokio::test]
async fn it_is_told_in_the_format_that_is_asked_for_and_promtool_finds_no_fault() {
    let watched = Watched::start("");
    let mut session = watched.gateway.client().connect("peer").await;
    session.call("echo", json!({})).await;
    let response = watched.get(ADMIN_SECRET, OPEN_METRICS).await;
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let open = response.text().await.unwrap();
    assert!(open.ends_with("# EOF\n") && open.contains("# TYPE lockgate_calls counter\n"));
    for accept in ["*/*", "text/plain;version=0.0.4", ""] {
        let response = watched.get(ADMIN_SECRET, accept).await;
        assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        let classic = response.text().await.unwrap();
        assert!(!classic.contains("EOF") && classic.contains("# TYPE lockgate_calls_total counter\n"));
        promtool(&["check", "metrics"], &classic);
    }
    // Both have the same series. promtool reads the older format only; `watching` has Prometheus read the newer.
    let series = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect::<Vec<_>>()
    };
    let classic = watched.get(ADMIN_SECRET, "text/plain").await.text().await.unwrap();
    assert_eq!(series(&open), series(&classic));
}

/// Has promtool look at a text, and finds that it has nothing to say.
pub(crate) fn promtool(arguments: &[&str], text: &str) {
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().expect("promtool: install prometheus, or run `tests/run`");
    running.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = running.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && (said.is_empty() || said.contains("SUCCESS")), "{said}");
}

#[tokio::test]
async fn nothing_secret_is_in_it_and_without_the_secret_there_is_nothing() {
    let acme = tenant("acme", &["secret-of-acme"], "env = { DEEP = \"value-of-acme\" }");
    let watched = Watched::start(&acme);
    let gateway = &watched.gateway;
    let mut session =
        client(gateway, "secret-of-acme").header("ENV_NAME", "value-of-client").connect("peer").await;
    session.call("echo", json!("payload-of-client")).await;
    let endpoint = Endpoint::new(gateway, "peer").of_tenant("secret-of-acme").open(NEWEST).await;
    let header = |name: &str| endpoint.headers.iter().find(|(own, _)| own == name).unwrap().1.clone();
    let ids = [session.endpoint.split_once('=').unwrap().1.to_owned(), header("mcp-session-id")];
    let tags: Vec<String> =
        gateway.audit("session_opened").iter().map(|line| word(&line["session"])).collect();
    assert_eq!(tags.len(), 2);
    let words =
        ["secret-of-acme", SECRET, ADMIN_SECRET, "sha256", "value-of", "payload", "127.0.0.1", "/tmp"];
    for accept in ["*/*", OPEN_METRICS] {
        let text = watched.get(ADMIN_SECRET, accept).await.text().await.unwrap();
        assert!(text.contains("tenant=\"acme\""));
        for word in words.iter().copied().chain(ids.iter().chain(&tags).map(String::as_str)) {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }
    for secret in ["secret-of-acme", "wrong", ""] {
        let response = watched.get(secret, "*/*").await;
        assert_eq!(response.status(), 401);
        assert!(!response.text().await.unwrap().contains("lockgate_"));
    }
    // Nor do clients find it on their own address.
    let there = client(gateway, ADMIN_SECRET).get("/metrics").send().await.unwrap();
    assert_eq!(there.status(), 404);
}

fn word(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
