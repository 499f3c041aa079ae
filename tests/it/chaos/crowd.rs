//! Many sessions, at once (C1) and one after another (C2).

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Client, Session};

use super::all;
use super::field::Field;
use super::run::Run;

/// I7: a connection, three pipes, the process, and one more while a message is posted.
const DESCRIPTORS: usize = 6;
/// I6, of a session at rest in KiB: nothing waits in its queues.
const RESTING: usize = 256;
/// What a debug build and its allocator keep in KiB, once there have been many.
pub(super) const KEPT: usize = 64 * 1024;

/// Each says something of its own and hears it, at some time within `spread`. How long it took.
pub(super) async fn echo_all(
    sessions: Vec<Session>,
    round: u64,
    spread: Duration,
) -> (Vec<Session>, Vec<Duration>) {
    let step = spread / u32::try_from(sessions.len().max(1)).unwrap();
    let echo = |(n, mut session): (usize, Session)| async move {
        tokio::time::sleep(step * u32::try_from(n).unwrap()).await;
        let begun = Instant::now();
        let own = json!({ "session": n, "round": round });
        assert_eq!(session.call("echo", own.clone()).await, own);
        let took = begun.elapsed();
        assert!(session.aside.is_empty(), "somebody else's message: {:?}", session.aside);
        (session, took)
    };
    all(sessions.into_iter().enumerate().map(echo)).await.into_iter().unzip()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sessions_hear_their_own_answers_and_cost_no_more_than_stated() {
    let mut run = Run::new("C1 live");
    let mut field = Field::start(&mut run.dice, &[]).await;
    let count = run.size(100, 1000);
    let mut sessions = field.connect("plain", count).await;
    let before = field.before();
    let mut round = 0;
    let mut echoes = Vec::new();
    // One message a second of each.
    let spread = Duration::from_secs(run.size(0, 1) as u64);
    while run.again() {
        for _ in 0..3 {
            let (back, took) = echo_all(sessions, round, spread).await;
            (sessions, round) = (back, round + 1);
            echoes.extend(took);
        }
        let now = field.counts();
        assert!(now.descriptors <= before.descriptors + count * DESCRIPTORS, "{before:?} {now:?}");
        assert!(now.resident <= before.resident + count * RESTING + KEPT, "{before:?} {now:?}");
        run.sample(&field, 0);
    }
    drop(sessions);
    field.until_quiet().await;
    run.count(count);
    run.judge_echoes(echoes, 50.0);
    run.finish(Some(&field));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_sessions_come_and_go_everything_returns_to_where_it_was() {
    let mut run = Run::new("C2 churn");
    let mut field = Field::start(&mut run.dice, &[]).await;
    while run.again() {
        let each = run.size(15, 100);
        let ways: Vec<Vec<usize>> = (0..8).map(|_| (0..each).map(|_| run.dice.below(6)).collect()).collect();
        let clients: Vec<Client> = ways.iter().map(|_| field.client()).collect();
        let work = tokio::spawn(all(clients.into_iter().zip(ways).map(|(client, ways)| async move {
            for way in ways {
                come_and_go(&client, way).await;
            }
        })));
        while !work.is_finished() {
            field.note_users();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        work.await.unwrap();
        field.until_quiet().await;
        let (before, now) = (field.before(), field.counts());
        assert!(now.resident <= before.resident + KEPT, "{before:?} {now:?}");
        run.sample(&field, each * 8);
    }
    run.finish(Some(&field));
}

async fn come_and_go(client: &Client, way: usize) {
    let server = ["plain", "lingering", "stubborn", "escaping", "plain", "plain"][way];
    let mut session = client.connect(server).await;
    session.call("echo", json!({ "way": way })).await;
    match way {
        // In the middle of a call, and with a server that goes first.
        4 => drop(session.request("never", json!({})).await),
        5 => {
            session.request("exit", json!({})).await;
            while session.message().await.is_some() {}
        }
        _ => {}
    }
}
