//! What a newcomer sees: a gateway that nobody has configured anything for.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::client::http;
use crate::gateway::lockgate;

/// A gateway without any settings, and what it greets with.
struct First {
    process: Child,
    greeting: Vec<String>,
    log: BufReader<std::process::ChildStderr>,
}

impl First {
    fn start(variables: &[(&str, &str)]) -> Self {
        let mut process = lockgate()
            .args(["--port", "0"])
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let mut greeting = Vec::new();
        for line in BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap) {
            let is_last = line.starts_with("curl ");
            greeting.push(line);
            if is_last {
                break;
            }
        }
        Self { process, greeting, log }
    }

    /// What follows these words on their line.
    fn after(&self, words: &str) -> Option<&str> {
        self.greeting.iter().find_map(|line| line.trim_start().strip_prefix(words)).map(str::trim)
    }

    /// The reply to the line that is there to be pasted.
    fn reply(&self) -> Value {
        let shown = Command::new("sh").args(["-c", self.greeting.last().unwrap()]).output().unwrap();
        serde_json::from_slice(&shown.stdout).expect("one JSON message")
    }

    /// Its log from the first line to the one that says this.
    fn log_until(&mut self, message: &str) -> String {
        let mut log = String::new();
        while !log.contains(message) {
            assert!(self.log.read_line(&mut log).unwrap() > 0, "the gateway ended: {log}");
        }
        log
    }
}

impl Drop for First {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn the_line_to_paste_shows_a_real_reply_and_the_operators_page_opens_with_its_own_secret() {
    let mut first = First::start(&[("LOCKGATE__ADMIN__ADDRESS", "127.0.0.1:0")]);
    assert_eq!(first.reply()["result"]["serverInfo"]["name"], "lockgate-demo");
    let page = first.after("operator").unwrap().to_owned();
    assert!(
        page.starts_with("http://127.0.0.1:") && page.ends_with("/admin") && !page.contains(":0/"),
        "{page}"
    );
    let (operator, tenant) =
        (first.after("secret ").unwrap(), first.after("Authorization: Bearer ").unwrap());
    assert!(operator.len() == 43 && tenant.len() == 43 && operator != tenant, "{:?}", first.greeting);
    let detail = page.replace("/admin", "/health/detail");
    for (secret, status) in [(operator, 200), (tenant, 401)] {
        let request = http().build().unwrap().get(&detail).bearer_auth(secret);
        assert_eq!(request.send().await.unwrap().status(), status);
    }
    let clients = first.after("clients").unwrap();
    let request = http().build().unwrap().post(clients).bearer_auth(operator);
    assert_eq!(request.send().await.unwrap().status(), 401, "the operator is no tenant");
    assert!(first.greeting.len() <= 10, "{:?}", first.greeting);
    let (operator, tenant) = (operator.to_owned(), tenant.to_owned());
    let log = first.log_until("\"listening\"");
    assert!(!log.contains(&operator) && !log.contains(&tenant), "{log}");
}

#[test]
fn a_port_that_is_taken_costs_the_page_and_not_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut first = First::start(&[("LOCKGATE__ADMIN__ADDRESS", &address)]);
    assert_eq!(first.reply()["result"]["serverInfo"]["name"], "lockgate-demo");
    let told = first.after("operator").unwrap();
    assert!(told.starts_with(&format!("no page: {address} is taken")), "{told}");
    assert_eq!(first.after("secret "), None);
    let log = first.log_until("\"listening\"");
    assert!(log.contains("the admin listener is off") && log.contains("set admin.address"), "{log}");
}

#[test]
fn who_is_not_asked_for_gets_no_secret() {
    for (address, shown) in [("", None), ("0.0.0.0:0", None)] {
        let mut first = First::start(&[("LOCKGATE__ADMIN__ADDRESS", address)]);
        assert_eq!(first.after("operator"), shown, "{address}");
        let log = first.log_until("\"listening\"");
        assert!(!log.contains("the admin listener is on"), "{log}");
    }
    let given = [("LOCKGATE__ADMIN__ADDRESS", "127.0.0.1:0"), ("LOCKGATE_ADMIN_SECRET", "of-the-operator")];
    let first = First::start(&given);
    assert_eq!(first.after("secret "), Some("as in LOCKGATE_ADMIN_SECRET"));
    assert!(!first.greeting.join("\n").contains("of-the-operator"));
}
