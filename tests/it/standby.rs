//! The launcher that waits for the next session: who gets it, who does without, and that it ends with its gateway.

use std::collections::BTreeSet;

use serde_json::json;

use crate::gateway::{Gateway, send_signal, until};
use crate::traces::{is_alive, is_root, state};

/// The launcher that waits, once there is one.
pub(crate) async fn standby(gateway: &Gateway) -> u32 {
    until("a launcher stands by", || gateway.standby().is_some_and(|pid| state(pid) == Some('S'))).await;
    gateway.standby().unwrap()
}

#[tokio::test]
async fn a_session_gets_the_launcher_that_waited_and_nobody_gets_it_after_that() {
    let gateway = Gateway::start("");
    let mut used = BTreeSet::new();
    for _ in 0..5 {
        let waiting = standby(&gateway).await;
        assert!(used.insert(waiting), "{waiting} was used before");
        let mut session = gateway.client().connect("peer").await;
        assert_eq!(session.pid().await, waiting);
        assert_eq!(session.call("echo", json!([1])).await, json!([1]));
    }
    gateway.until_active(0).await;
    assert!(gateway.descendants().is_empty());
    standby(&gateway).await;
}

#[tokio::test]
async fn sessions_that_come_at_once_do_not_wait_for_it() {
    let gateway = Gateway::start("");
    standby(&gateway).await;
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let client = gateway.client();
        opening.spawn(async move {
            let mut session = client.connect("peer").await;
            (session.pid().await, session)
        });
    }
    let sessions = opening.join_all().await;
    let pids: BTreeSet<u32> = sessions.iter().map(|(pid, _)| *pid).collect();
    assert_eq!(pids, gateway.descendants());
    assert_eq!(pids.len(), 8);
}

#[tokio::test]
async fn one_that_was_killed_or_stopped_is_replaced_and_leaves_nothing() {
    let gateway = Gateway::start("");
    for (signal, then) in [("KILL", 'Z'), ("STOP", 'T')] {
        let waiting = standby(&gateway).await;
        send_signal(waiting, signal);
        until("it has heard", || state(waiting) == Some(then)).await;
        let mut session = gateway.client().connect("peer").await;
        assert_ne!(session.pid().await, waiting);
        until("no process and no zombie", || state(waiting).is_none()).await;
        assert_ne!(standby(&gateway).await, waiting);
    }
}

#[tokio::test]
async fn it_does_not_outlive_its_gateway() {
    for (end, before) in [("KILL", None), ("KILL", Some("STOP")), ("TERM", None), ("TERM", Some("STOP"))] {
        let mut gateway = Gateway::start("");
        let waiting = standby(&gateway).await;
        if let Some(signal) = before {
            send_signal(waiting, signal);
            until("it has heard", || state(waiting) == Some('T')).await;
        }
        gateway.signal(end);
        gateway.wait();
        until(&format!("it is gone after {before:?} and {end}"), || !is_alive(waiting)).await;
    }
}

#[tokio::test]
async fn it_becomes_what_each_profile_needs() {
    for profile in ["off", "default", "strict"] {
        if profile != "off" && !is_root() {
            return;
        }
        let gateway = Gateway::start(&format!("[sandbox]\nprofile = {profile:?}\n"));
        let waiting = standby(&gateway).await;
        let mut session = gateway.client().connect("peer").await;
        session.call("echo", json!([1])).await;
        assert!(gateway.descendants().contains(&waiting), "{profile}");
    }
}
