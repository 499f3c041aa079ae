//! How the operator's page keeps itself up to date.

use reqwest::Response;
use serde_json::Value;

use crate::admin::{ANY_PORT, Admin};
use crate::gateway::{until_told, with_peers};
use crate::page::Browser;

/// A stream of events.
struct Updates {
    response: Response,
    rest: String,
}

impl Updates {
    async fn of(browser: &Browser) -> Self {
        let response = browser.get("/admin/events").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, rest: String::new() }
    }

    /// The next event with its data; `None` at the end of the stream.
    async fn next(&mut self) -> Option<(String, String)> {
        loop {
            if let Some((event, rest)) = self.rest.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.rest = rest;
                if let Some((name, data)) = event.split_once("\ndata: ") {
                    return Some((name.trim_start_matches("event: ").to_owned(), data.to_owned()));
                }
                continue;
            }
            let chunk = self.response.chunk();
            let chunk =
                tokio::time::timeout(std::time::Duration::from_secs(30), chunk).await.expect("an event");
            self.rest += std::str::from_utf8(&chunk.expect("a clean end")?).unwrap();
        }
    }

    /// The next change of a section that is as wanted.
    async fn until(&mut self, section: &str, mut is_it: impl FnMut(&Value) -> bool) -> Value {
        loop {
            let (name, data) = self.next().await.expect("a change");
            if name == section {
                let change: Value = serde_json::from_str(&data).unwrap();
                if is_it(&change) {
                    return change;
                }
            }
        }
    }
}

fn start() -> Admin {
    Admin::start_with(&with_peers(ANY_PORT))
}

#[tokio::test]
async fn who_looks_is_told_what_changes() {
    let admin = start();
    let browser = Browser::logged_in(&admin).await;
    let mut updates = Updates::of(&browser).await;
    let first = updates.until("sessions", |_| true).await;
    assert_eq!(first["order"], serde_json::json!(["nothing"]));
    let session = admin.gateway.client().connect("peer").await;
    let opened = updates.until("sessions", |change| change["rows"]["1"].is_string()).await;
    assert_eq!(opened["order"], serde_json::json!(["1"]));
    assert!(opened["rows"]["1"].as_str().unwrap().contains("peer"));
    drop(session);
    updates.until("sessions", |change| change["order"] == serde_json::json!(["nothing"])).await;
    updates.until("audit", |change| change.to_string().contains("session ended")).await;
}

#[tokio::test]
async fn only_so_many_look_and_who_leaves_makes_room() {
    let admin = start();
    let browser = Browser::logged_in(&admin).await;
    let mut seats = Vec::new();
    for _ in 0..8 {
        seats.push(Updates::of(&browser).await);
    }
    let answer = browser.get("/admin/events").await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    seats.pop();
    until_told("a free seat", async || browser.get("/admin/events").await.status() == 200).await;
}

#[tokio::test]
async fn who_logs_out_sees_nothing_more() {
    let admin = start();
    let browser = Browser::logged_in(&admin).await;
    let mut updates = Updates::of(&browser).await;
    updates.until("sessions", |_| true).await;
    let token = browser.token().await;
    browser.post("/admin/logout", &[("token", &token)]).send().await.unwrap();
    let mut left = 20;
    while updates.next().await.is_some() {
        left -= 1;
        assert!(left > 0, "it goes on and on");
    }
}

#[tokio::test]
async fn a_drain_is_told_and_so_is_the_end() {
    let mut admin = start();
    let mut session = admin.gateway.client().connect("peer").await;
    let id = session.request("ask", serde_json::json!({ "id": "q" })).await;
    assert_eq!(session.message().await.unwrap()["method"], "roots/list");
    let browser = Browser::logged_in(&admin).await;
    let mut updates = Updates::of(&browser).await;
    updates.until("notice", |_| true).await;
    let token = browser.token().await;
    let drained = browser.post("/admin/drain", &[("token", &token)]).send().await.unwrap();
    assert_eq!(drained.status(), 202);
    updates.until("notice", |change| change.to_string().contains("The gateway drains")).await;
    assert!(admin.gateway.audit("operator_acted").iter().any(|line| line["action"] == "drain"));
    session.send(&serde_json::json!({ "jsonrpc": "2.0", "id": "q", "result": {} })).await;
    session.answer(id).await;
    let mut last = String::new();
    while let Some((name, _)) = updates.next().await {
        last = name;
    }
    assert_eq!(last, "end");
    assert_eq!(admin.gateway.wait().code(), Some(0));
}
