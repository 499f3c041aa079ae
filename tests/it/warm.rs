//! Children that are started before a session wants them (`warm`): each for one session, with nothing of anybody's.

use std::collections::BTreeSet;

use serde_json::json;

use crate::gateway::{Gateway, peer, until};
use crate::stateless::try_call;
use crate::traces::{is_root, uid};

/// The settings of a server that has these.
fn settings(more: &str) -> String {
    format!("[servers.ready]\nrun = \"{} --ready\"\n{more}\n", peer())
}

fn start(more: &str) -> Gateway {
    Gateway::start(&settings(more))
}

/// Waits until so many children are there, and nobody else.
async fn ready(gateway: &Gateway, count: usize) -> BTreeSet<u32> {
    until("they are ready", || gateway.peers().len() == count).await;
    gateway.peers()
}

#[tokio::test]
async fn a_session_gets_a_child_that_was_there_and_nobody_gets_it_after_that() {
    let gateway = start("warm = 2");
    let before = ready(&gateway, 2).await;
    let mut used = BTreeSet::new();
    for _ in 0..2 {
        let mut session = gateway.client().connect("ready").await;
        let pid = session.pid().await;
        assert!(before.contains(&pid), "{pid} is none of {before:?}");
        assert!(used.insert(pid), "{pid} was used before");
        assert_eq!(session.call("echo", json!([1])).await, json!([1]));
    }
    // Two others have taken their places.
    until("the used are gone", || gateway.peers().is_disjoint(&used)).await;
    let after = ready(&gateway, 2).await;
    let mut session = gateway.client().connect("ready").await;
    assert!(after.contains(&session.pid().await));
    if is_root() {
        let users: BTreeSet<u32> = ready(&gateway, 3).await.into_iter().map(uid).collect();
        assert_eq!(users.len(), 3, "each has a user of its own");
    }
}

#[tokio::test]
async fn who_brings_variables_gets_a_child_of_its_own() {
    let gateway = start("warm = 1");
    let before = ready(&gateway, 1).await;
    let mut session = gateway.client().header("ENV_WHO", "me").connect("ready").await;
    assert!(!before.contains(&session.pid().await));
    assert_eq!(session.call("environment", json!({})).await["WHO"], "me");
    assert!(gateway.peers().is_superset(&before), "it still waits for another");
}

#[tokio::test]
async fn clients_without_sessions_share_one_that_was_there() {
    let server = format!("[servers.ready]\nrun = \"{} --ready --stateless\"\nwarm = 1\n", peer());
    let gateway = Gateway::start(&server);
    let before = ready(&gateway, 1).await;
    let answer = try_call(&gateway, "ready", 1, "pid", json!({})).await;
    let pid = answer["result"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    assert!(pid.is_some_and(|pid| before.contains(&pid)), "{answer}");
}

/// What a child writes goes to the log then, and children write what they were given.
#[tokio::test]
async fn what_one_that_has_died_was_given_is_not_told() {
    let run = "/bin/sh -c 'echo \"cannot use $KEY\" >&2'";
    let key = r"-----BEGIN KEY-----\nTUlJRXZR\n-----END KEY-----";
    let server = format!("[servers.failing]\nrun = {run:?}\nwarm = 1\nenv = {{ KEY = \"{key}\" }}\n");
    let gateway = Gateway::start(&server);
    until("it is told", || gateway.log().contains("a child that was started ahead has ended")).await;
    let log = gateway.log();
    assert!(log.contains("cannot use (masked)") && !log.contains("TUlJRXZR"), "{log}");
}

#[tokio::test]
async fn one_that_dies_before_it_is_used_is_replaced_and_told_of() {
    let gateway = start("warm = 1");
    let before = ready(&gateway, 1).await;
    crate::gateway::send_signal(*before.first().unwrap(), "KILL");
    until("it is told", || gateway.log().contains("a child that was started ahead has ended")).await;
    // Meanwhile sessions start as they always do.
    let mut session = gateway.client().connect("ready").await;
    assert!(!before.contains(&session.pid().await));
    let own = session.pid().await;
    until("another waits", || gateway.peers().iter().any(|pid| *pid != own)).await;
}

#[tokio::test]
async fn a_reload_and_a_stop_end_those_that_nobody_wants_any_more() {
    let mut gateway = start("warm = 3");
    let before = ready(&gateway, 3).await;
    gateway.reload(&settings("warm = 1")).await;
    let one = ready(&gateway, 1).await;
    assert!(before.is_superset(&one), "what can stay stays");
    gateway.reload(&settings("warm = 1\nenv = { A = \"b\" }")).await;
    until("it is replaced", || gateway.peers().is_disjoint(&one)).await;
    let other = ready(&gateway, 1).await;
    let mut session = gateway.client().connect("ready").await;
    assert!(other.contains(&session.pid().await));
    assert_eq!(session.call("environment", json!({})).await["A"], "b");
    drop(session);
    until("the used is gone", || gateway.peers().is_disjoint(&other)).await;
    ready(&gateway, 1).await;
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(gateway.homes().is_empty());
    assert!(gateway.peers().is_empty());
}
