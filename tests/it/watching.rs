//! A real Prometheus that watches a live gateway: what `docs/` has for it works, all of it.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::events::Endpoint;
use crate::gateway::{SECRET, peer, until_told};
use crate::metrics_format::promtool;
use crate::scrape::{ADMIN_SECRET, Watched};
use crate::stateless::try_call;

/// What asks for what there need not be any of: nobody fails, stalls or is limited in good times.
const MAY_BE_EMPTY: [&str; 11] = [
    "lockgate_failures_total",
    "lockgate_stalls_total",
    "decision=\"limited\"",
    "lockgate_refusals_total",
    "lockgate_sandbox_item == 0",
    "limiter=\"wrong_secrets\"",
    "lockgate_sessions_ended_total",
    // Of several nodes, or with a store.
    "lockgate_cluster_nodes",
    "lockgate_handovers",
    "lockgate_sessions_gone_total",
    "lockgate_store_",
];

fn docs(name: &str) -> String {
    let path = format!("{}/docs/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A Prometheus with the block of docs/metrics.md.
struct Prometheus {
    process: Child,
    address: String,
    _place: tempfile::TempDir,
}

impl Prometheus {
    fn start(watched: &Watched) -> Self {
        let place = tempfile::tempdir().unwrap();
        let secret = place.path().join("secret");
        fs::write(&secret, ADMIN_SECRET).unwrap();
        let text = docs("metrics.md");
        let block =
            text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
        let swaps = [
            ("/etc/prometheus/lockgate-admin-secret", secret.to_str().unwrap()),
            ("127.0.0.1:8001", &watched.address),
            ("scrape_interval: 15s", "scrape_interval: 1s"),
            ("- alerts.yml", concat!("- ", env!("CARGO_MANIFEST_DIR"), "/docs/grafana/alerts.yml")),
        ];
        let settings = swaps.iter().fold(block.to_owned(), |block, (old, new)| {
            assert!(block.contains(old), "docs/metrics.md has no {old}");
            block.replace(old, new)
        });
        let file = place.path().join("prometheus.yml");
        fs::write(&file, format!("global:\n  evaluation_interval: 1s\n{settings}")).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let option = |name: &str, value: PathBuf| format!("--{name}={}", value.display());
        let process = Command::new("prometheus")
            .arg(option("config.file", file))
            .arg(option("storage.tsdb.path", place.path().join("data")))
            .args([&format!("--web.listen-address={free}"), "--log.level=error"])
            .stdin(Stdio::null())
            .spawn()
            .expect("prometheus: install it from your distribution, or run `tests/run`");
        Self { process, address: free.to_string(), _place: place }
    }

    /// What the API says; nothing while it starts.
    async fn ask(&self, path: &str, query: &str) -> Option<Value> {
        let request = crate::client::http().build().unwrap().post(format!("http://{}{path}", self.address));
        let query: String = url_encoded(query);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body(format!("query={query}")).send().await.ok()?.json().await.ok()
    }

    async fn query(&self, expression: &str) -> Vec<Value> {
        let answer = self.ask("/api/v1/query", expression).await.expect("an answer");
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        answer["data"]["result"].as_array().expect("a list").clone()
    }

    async fn get(&self, path: &str) -> Value {
        crate::client::get(format!("http://{}{path}", self.address)).await.unwrap().json().await.unwrap()
    }

    /// Waits until it has scraped so often that there is a last rate of everything before.
    async fn scraped(&self, times: usize) {
        let count = "count_over_time(lockgate_build_info[10m])";
        let enough = async || {
            let Some(answer) = self.ask("/api/v1/query", count).await else { return false };
            let value = answer["data"]["result"][0]["value"][1].as_str().unwrap_or("0").to_owned();
            value.parse::<usize>().unwrap() >= times
        };
        until_told("it has scraped", enough).await;
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn url_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Every expression of the dashboard, as Grafana sends it with everything chosen.
fn of_dashboard() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&docs("grafana/lockgate.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let titles: BTreeSet<&str> = panels
        .iter()
        .filter(|panel| panel["type"] == "row")
        .map(|row| row["title"].as_str().unwrap())
        .collect();
    assert_eq!(titles.len(), 10, "{titles:?}");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let asked = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    asked
        .map(|expression| {
            let chosen = ["$instance", "$server", "$tenant"];
            let all = chosen.iter().fold(expression, |text, name| text.replace(name, ".*"));
            let ready = all.replace("$__rate_interval", "1m");
            assert!(!ready.contains('$'), "{ready} has a variable that Grafana would not know");
            ready
        })
        .collect()
}

/// Those of the table of questions in docs/metrics.md.
fn of_questions() -> Vec<String> {
    let text = docs("metrics.md");
    let table = text
        .split("## Which question, which query")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap()
        .to_owned();
    let answers = table.lines().filter_map(|line| line.strip_prefix("| ")?.split_once("? | "));
    answers
        .flat_map(|(_, answer)| answer.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// Everything that is counted by our names in a text.
fn names(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !word(c));
    words.filter(|word| word.starts_with("lockgate_")).map(str::to_owned).collect()
}

/// Something of everything.
async fn traffic(watched: &Watched) -> (crate::client::Session, Endpoint) {
    let gateway = &watched.gateway;
    let mut session = gateway.client().connect("peer").await;
    let endpoint = Endpoint::new(gateway, "peer").open("2025-11-25").await;
    for number in 1..5 {
        session.call("echo", json!(number)).await;
        endpoint.call(number, "echo", json!(number)).await;
        try_call(gateway, "stateless", number, "echo", json!({})).await;
    }
    let mut failed = gateway.client().open("bad").await;
    while failed.message().await.is_some() {}
    let unknown = crate::client::Client::new(&gateway.url(""), "of-nobody").get("/peer/sse").send().await;
    assert_eq!(unknown.unwrap().status(), 401);
    (session, endpoint)
}

#[tokio::test]
async fn every_query_of_the_dashboard_the_rules_and_the_docs_finds_what_it_asks_for() {
    let watched = Watched::start(&format!("[servers.bad]\nrun = \"{} --exit 3\"\n", peer()));
    let _first = traffic(&watched).await;
    let prometheus = Prometheus::start(&watched);
    prometheus.scraped(2).await;
    let _more = traffic(&watched).await;
    prometheus.scraped(6).await;
    let targets = prometheus.get("/api/v1/targets").await;
    let target = &targets["data"]["activeTargets"][0];
    assert_eq!((&target["health"], &target["lastError"]), (&json!("up"), &json!("")), "{target}");
    assert!(!targets.to_string().contains(ADMIN_SECRET));

    let queries = [of_dashboard(), of_questions()].concat();
    assert!(queries.len() > 70, "{}", queries.len());
    let is_root = crate::traces::is_root();
    for query in &queries {
        let found = prometheus.query(query).await;
        let optional = MAY_BE_EMPTY.iter().any(|part| query.contains(part));
        let by_root = query.contains("lockgate_uids") && !is_root;
        assert!(optional || by_root || !found.is_empty(), "nothing comes of {query}");
        // Nor is what comes of it no number: that would be a share of nothing.
        let wrong = found.iter().filter(|one| one["value"][1] == "NaN");
        let is_quantile = query.contains("quantile") || query.contains("_sum");
        assert!(is_quantile || wrong.count() == 0, "{query}: {found:?}");
    }
    // What has happened is what is seen.
    let one = async |query: &str| prometheus.query(query).await[0]["value"][1].as_str().unwrap().to_owned();
    assert_eq!(one("sum(lockgate_failures_total)").await, "2");
    assert_eq!(one("sum(lockgate_sessions)").await, "5");
    assert_eq!(
        one("histogram_quantile(0.99, sum by (le) (rate(lockgate_call_server_seconds_bucket[1m]))) > bool 0")
            .await,
        "1"
    );

    let healthy = async || {
        let rules = prometheus.get("/api/v1/rules").await;
        let rules = rules["data"]["groups"][0]["rules"].as_array().unwrap().clone();
        for rule in &rules {
            assert_ne!(rule["health"], "err", "{rule}");
        }
        rules.len() >= 20 && rules.iter().all(|rule| rule["health"] == "ok")
    };
    until_told("each rule was evaluated", healthy).await;
    let firing = prometheus.query("ALERTS{alertstate=\"firing\",severity!=\"info\"}").await;
    assert!(firing.iter().all(|alert| alert["metric"]["alertname"] != "LockgateDown"), "{firing:?}");
}

#[tokio::test]
async fn every_name_in_the_docs_is_told_and_every_family_is_in_the_docs() {
    // Nobody is there: how the store does is told all the same.
    let store = "[store]\nurl = \"redis://127.0.0.1:1\"\n";
    let cluster = "[cluster]\nreach = \"forward\"\nlisten = \"127.0.0.1:0\"\nnodes = [\"127.0.0.1:1\"]\n";
    let settings = format!("{store}{cluster}[servers.bad]\nrun = \"{} --exit 3\"\n", peer());
    let secret = [("LOCKGATE_CLUSTER_SECRET", "of-all-nodes-and-nobody-else-0123456789")];
    let watched = Watched::start_with(&settings, &secret);
    let _live = traffic(&watched).await;
    let children = |told: &crate::scrape::Scrape| !told.all("lockgate_children", &[]).is_empty();
    let told = watched.until("children are seen", children).await;
    let families: BTreeSet<&str> = told.families().into_iter().collect();
    let is_told = |name: &str| {
        let ends = ["", "_bucket", "_sum", "_count"];
        ends.iter().any(|end| name.strip_suffix(end).is_some_and(|family| families.contains(family)))
    };
    for place in ["grafana/lockgate.json", "grafana/alerts.yml", "grafana/alerts_test.yml", "metrics.md"] {
        for name in names(&docs(place)) {
            assert!(is_told(&name), "docs/{place} has {name}, which no gateway tells");
        }
    }
    let text = docs("metrics.md");
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
    for line in told.text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (family, kind) = line.split_once(' ').unwrap();
        let row = rows.iter().find(|row| row.starts_with(&format!("| `{family}` | {kind} |")));
        let row = row.unwrap_or_else(|| panic!("docs/metrics.md does not have the {kind} {family}"));
        let series = told.series.iter().find(|one| one.name.starts_with(family)).unwrap();
        let cell = row.split('|').nth(3).unwrap();
        let named: BTreeSet<&str> = cell.split('`').skip(1).step_by(2).collect();
        let has: BTreeSet<&str> = series.names().filter(|label| *label != "le").collect();
        assert_eq!(named, has, "labels of {family}");
    }
    for reason in told.by("lockgate_sessions_ended_total", "reason").keys() {
        assert!(text.contains(&format!("`{reason}`")), "docs/metrics.md does not have {reason}");
    }
    for series in told.all("lockgate_refusals_total", &[]) {
        let reason = series.label("reason").unwrap();
        assert!(text.contains(&format!("`{reason}`")), "docs/metrics.md does not have {reason}");
    }
    assert!(!told.text.contains(SECRET));
}

#[test]
fn promtool_finds_no_fault_in_the_rules_and_each_fires_when_it_should() {
    let rules = |name: &str| format!("{}/docs/grafana/{name}", env!("CARGO_MANIFEST_DIR"));
    promtool(&["check", "rules", &rules("alerts.yml")], "");
    promtool(&["test", "rules", &rules("alerts_test.yml")], "");
}
