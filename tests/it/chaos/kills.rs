//! SIGKILL at any time: of servers (C3), and of the gateway itself (C8).

use std::time::Duration;

use serde_json::json;

use crate::client::Session;
use crate::gateway::{send_signal, until};
use crate::traces::{control_groups, homes};

use super::all;
use super::crowd::echo_all;
use super::field::Field;
use super::run::Run;

#[tokio::test(flavor = "multi_thread")]
async fn killed_servers_are_told_to_their_own_clients_and_to_nobody_else() {
    let mut run = Run::new("C3 kill children");
    let mut field = Field::start(&mut run.dice, &[]).await;
    let count = run.size(40, 300);
    let mut told = Vec::new();
    let mut echoes = Vec::new();
    let mut healthy = field.connect("plain", count).await;
    while run.again() {
        let doomed = take_some(&mut healthy, count / 4, &mut run);
        let killed = tokio::spawn(all(doomed.into_iter().map(kill_and_hear)));
        for round in 0..3 {
            let (back, took) = echo_all(healthy, round, Duration::ZERO).await;
            healthy = back;
            echoes.extend(took);
        }
        told.extend(killed.await.unwrap());
        healthy.extend(field.connect("plain", count / 4).await);
        run.sample(&field, count / 4);
    }
    drop(healthy);
    field.until_quiet().await;
    let slowest = told.into_iter().max().unwrap_or_default();
    run.judge("told_ms", slowest.as_secs_f64() * 1000.0, 1000.0);
    run.judge_echoes(echoes, 500.0);
    run.finish(Some(&field));
}

fn take_some(sessions: &mut Vec<Session>, count: usize, run: &mut Run) -> Vec<Session> {
    (0..count).map(|_| sessions.swap_remove(run.dice.below(sessions.len()))).collect()
}

/// Kills a session's server under an open request. How long it took until its client heard of it.
async fn kill_and_hear(mut session: Session) -> Duration {
    let pid = session.pid().await;
    let id = session.request("never", json!({})).await;
    send_signal(pid, "KILL");
    let begun = std::time::Instant::now();
    let text = session.answer(id).await["error"]["message"].as_str().unwrap().to_owned();
    assert!(text.contains("was killed by signal 9"), "{text}");
    let took = begun.elapsed();
    assert!(session.message().await.is_none(), "nothing follows, and the stream ends");
    assert!(session.aside.is_empty(), "somebody else's message: {:?}", session.aside);
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_killed_at_any_moment_leaves_nothing_that_the_next_one_does_not_remove() {
    let mut run = Run::new("C8 kill gateway");
    let mut starts = Vec::new();
    let mut place = tempfile::tempdir().unwrap();
    while run.again() {
        for _ in 0..run.size(4, 10) {
            let mut field = Field::start_cold(crate::gateway::lockgate(), place, &mut run.dice, &[]);
            let opening: Vec<_> = (0..run.size(12, 40))
                .map(|_| {
                    let server = run.dice.one_of(&["plain", "stubborn", "escaping", "slow", "deaf"]);
                    tokio::spawn(field.client().get(&format!("/{server}/sse")).send())
                })
                .collect();
            tokio::time::sleep(Duration::from_millis(run.dice.below(400) as u64)).await;
            field.note_users();
            field.gateway.signal("KILL");
            field.gateway.wait();
            // One in two is replaced at once, as by a supervisor.
            if run.dice.below(2) == 0 {
                field.until_ended().await;
            }
            place = field.gateway.take_place();
            let begun = std::time::Instant::now();
            let mut next = Field::start_cold(crate::gateway::lockgate(), place, &mut run.dice, &[]);
            starts.push(begun.elapsed());
            field.until_ended().await;
            for one in opening {
                drop(one.await);
            }
            let dead = field.gateway.pid();
            until("its private directories are gone", || next.gateway.homes().is_empty()).await;
            until("its control groups are gone", || control_groups(dead).is_empty()).await;
            next.client().connect("plain").await;
            next.gateway.signal("TERM");
            assert_eq!(next.gateway.wait().code(), Some(0));
            place = next.gateway.take_place();
            assert!(homes(place.path()).is_empty());
        }
        let sessions = run.size(12, 40) * run.size(4, 10);
        run.count(sessions);
    }
    let slowest = starts.into_iter().max().unwrap_or_default();
    run.judge("start_ms", slowest.as_secs_f64() * 1000.0, 2000.0);
    run.finish(None);
}
