//! SIGSTOP: of servers (C5), and of the gateway while others use the processor (C11).

use std::time::Duration;

use serde_json::json;

use crate::client::Session;
use crate::gateway::{send_signal, until};
use crate::traces::state;

use super::all;
use super::crowd::echo_all;
use super::field::Field;
use super::run::Run;

/// Whether a process waits: it has nothing to do, or cannot get rid of what it writes.
fn sleeps(pid: u32) -> bool {
    state(pid) == Some('S')
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_servers_hold_up_nobody_else_and_go_on_where_they_were() {
    let mut run = Run::new("C5 stop children");
    let mut field = Field::start(&mut run.dice, &[]).await;
    let count = run.size(20, 100);
    let mut stopped = field.connect("plain", count).await;
    let mut healthy = field.connect("plain", count * 2).await;
    let mut echoes = Vec::new();
    // More than a pipe holds: what a stopped server does not take waits in the gateway.
    let pad = "x".repeat(200_000);
    while run.again() {
        let mut waiting = Vec::new();
        for session in &mut stopped {
            let pid = session.pid().await;
            send_signal(pid, "STOP");
            waiting.push((pid, session.request("echo", json!({ "of": pid, "pad": pad })).await));
        }
        for round in 0..run.size(3, 60) as u64 {
            let spread = Duration::from_secs(run.size(0, 1) as u64);
            let (back, took) = echo_all(healthy, round, spread).await;
            healthy = back;
            echoes.extend(took);
        }
        for (session, (pid, id)) in stopped.iter_mut().zip(waiting) {
            send_signal(pid, "CONT");
            assert_eq!(session.answer(id).await["result"], json!({ "of": pid, "pad": pad }));
        }
        run.sample(&field, 0);
    }
    // Some are stopped when their clients leave.
    for session in stopped.iter_mut().step_by(2) {
        send_signal(session.pid().await, "STOP");
    }
    drop((stopped, healthy));
    field.until_quiet().await;
    assert!(
        !field.gateway.log().contains("a killed process does not end"),
        "who cannot hear SIGTERM is killed"
    );
    run.count(count * 3);
    run.judge_echoes(echoes, 100.0);
    run.finish(Some(&field));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_slept_does_not_mistake_its_sleep_for_that_of_others() {
    let mut run = Run::new("C11 stop gateway");
    let limits = [("LOCKGATE__TIMEOUTS__REQUEST", "4s"), ("LOCKGATE__TIMEOUTS__STALLED_READER", "4s")];
    let mut field = Field::start(&mut run.dice, &limits).await;
    let count = run.size(20, 200);
    let mut sessions = Vec::new();
    while sessions.len() < count {
        sessions.extend(field.connect("plain", 10).await);
    }
    let hogs = field.connect("busy", 2).await;
    while run.again() {
        let pids = all(sessions.into_iter().map(|mut session| async move { (session.pid().await, session) }));
        let (pids, awake): (Vec<u32>, Vec<Session>) = pids.await.into_iter().unzip();
        // The answer is large enough not to fit into a pipe: the rest waits for the gateway.
        let asked = awake.into_iter().map(|mut session| async move {
            let id = session.request("big", json!({ "bytes": 100_000 })).await;
            (session, id)
        });
        let asked = all(asked).await;
        field.gateway.signal("STOP");
        until("the servers have answered, or wait to", || pids.iter().all(|pid| sleeps(*pid))).await;
        // Longer than a request may take.
        tokio::time::sleep(Duration::from_millis(4500)).await;
        field.gateway.signal("CONT");
        let answers = asked.into_iter().map(|(mut session, id)| async move {
            let answer = session.answer(id).await;
            assert!(answer.get("result").is_some(), "a false timeout: {answer}");
            session
        });
        sessions = all(answers).await;
        run.sample(&field, 0);
    }
    drop((sessions, hogs));
    field.until_quiet().await;
    run.count(count);
    run.finish(Some(&field));
}
