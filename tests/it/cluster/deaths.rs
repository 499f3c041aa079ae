//! Nodes that die, or that cannot reach each other any more.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::front::{Front, Way};
use super::load::{ENDLESS, Load, plan};
use super::nodes::Cluster;
use super::talk::{OldTalk, Outcome, SOON, Talk, try_call};
use crate::events::{Endpoint, Events};
use crate::gateway::until_told;

/// The one that dies.
const DEAD: &str = "n2";

/// Sessions of both kinds, some for each node, by whether their node is the one that dies.
async fn sessions(cluster: &Cluster, front: &Front) -> ([Vec<OldTalk>; 2], [Vec<Talk>; 2]) {
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for number in 0..9 {
        old.push(OldTalk::open(cluster, front, number).await);
        new.push(Talk::open(cluster, front, number).await);
    }
    let (old_dead, old_others) = old.into_iter().partition::<Vec<_>, _>(|talk| talk.node == DEAD);
    let (dead, others) = new.into_iter().partition::<Vec<_>, _>(|talk| talk.node == DEAD);
    assert!(!old_dead.is_empty() && !dead.is_empty(), "no session is of {DEAD}");
    assert!(!old_others.is_empty() && !others.is_empty(), "all sessions are of {DEAD}");
    ([old_dead, old_others], [dead, others])
}

/// What sessions of a dead node must find: their streams end, and they are not found any more.
async fn old_is_gone(mut talk: OldTalk) {
    while talk.session.message().await.is_some() {}
    let message = json!({ "jsonrpc": "2.0", "id": 9, "method": "echo" }).to_string();
    assert_eq!(talk.session.post_raw(message).send().await.unwrap().status(), 404);
}

async fn is_gone(talk: Talk, mut stream: Events) {
    while stream.next().await.is_some() {}
    assert_eq!(talk.try_call("anybody?").await, Outcome::Status(404));
}

/// A call that only ends with its node; whether it failed.
fn never_answered(talk: &Talk) -> JoinHandle<bool> {
    let message = json!({ "jsonrpc": "2.0", "id": 8, "method": "never" }).to_string();
    let request =
        talk.endpoint.request(Method::POST).header("content-type", "application/json").body(message);
    tokio::spawn(async move {
        match request.send().await {
            Ok(answer) if answer.status() == 200 => answer.text().await.is_err(),
            _ => true,
        }
    })
}

/// Under the load of other clients, so that connections are held by everybody to everybody.
fn a_node_is_killed(reach: &'static str, way: Way) {
    Cluster::run(plan(reach), async |cluster| {
        let front = Front::start(way, cluster).await;
        let load = Load::start_again_and_again(&front.base, &ENDLESS[..1]);
        let ([old_dead, old_others], [dead, others]) = sessions(cluster, &front).await;
        let never = never_answered(&dead[0]);
        let mut watched = Vec::new();
        for talk in dead {
            let stream = talk.stream().await;
            watched.push((talk, stream));
        }
        let (died, of_death) = watch::channel(false);
        let (stop, of_stop) = watch::channel(false);
        let going: Vec<_> = others
            .into_iter()
            .map(|talk| tokio::spawn(talk.go_on(of_death.clone(), of_stop.clone())))
            .collect();

        cluster.node(DEAD).kill();
        let began = tokio::time::Instant::now();
        died.send(true).unwrap();
        let mut ends = JoinSet::new();
        old_dead.into_iter().for_each(|talk| drop(ends.spawn(old_is_gone(talk))));
        watched.into_iter().for_each(|(talk, stream)| drop(ends.spawn(is_gone(talk, stream))));
        // Whether it is told by its status or by the end of its connection.
        ends.spawn(async move { assert!(never.await.unwrap(), "a call that was under way fails") });
        timeout(SOON, ends.join_all()).await.expect("what was the dead node's has ended soon");
        println!("ended after {:?}", began.elapsed());

        stop.send(true).unwrap();
        for one in going {
            assert!(one.await.unwrap() > 0);
        }
        for mut talk in old_others {
            let own = json!({ "of": talk.node });
            assert_eq!(talk.session.call("echo", own.clone()).await, own);
        }
        front.is_content();
        let counts = load.finish();
        assert_eq!((counts.crossed, counts.ok > 0), (0, true), "{:?}", counts.errors);
    });
}

#[test]
fn a_killed_nodes_sessions_end_at_once_and_no_others() {
    a_node_is_killed("none", Way::Sticky);
}

#[test]
fn a_killed_nodes_sessions_end_at_once_and_no_others_where_requests_are_forwarded() {
    a_node_is_killed("forward", Way::Turns);
}

#[test]
fn a_killed_nodes_sessions_end_at_once_and_no_others_behind_flys_proxy() {
    a_node_is_killed("fly", Way::Fly);
}

/// A session of each node.
async fn one_of_each(cluster: &Cluster, front: &Front) -> BTreeMap<String, Talk> {
    let mut found = BTreeMap::new();
    for number in 0..3 {
        let talk = Talk::open(cluster, front, number).await;
        found.insert(talk.node.clone(), talk);
    }
    assert_eq!(found.len(), 3, "each request goes to the next node");
    found
}

/// This session, asked for at this node alone.
fn at(node: &str, cluster: &Cluster, talk: &Talk) -> Endpoint {
    let base = cluster.nodes.iter().find(|own| own.name == node).unwrap().base();
    let endpoint = Endpoint::at(format!("{base}/peer/mcp"));
    talk.endpoint.headers.iter().fold(endpoint, |endpoint, (name, value)| endpoint.header(name, value))
}

/// An event stream has room for one word more, so nobody waits for what does not come.
#[test]
fn who_waits_by_way_of_another_node_is_told_that_there_will_be_no_answer() {
    Cluster::run(plan("forward"), async |cluster| {
        let front = Front::start(Way::Turns, cluster).await;
        let dead = one_of_each(cluster, &front).await.remove(DEAD).unwrap();
        let endpoint = at("n1", cluster, &dead).header("accept", "text/event-stream");
        let answer = endpoint.post(&json!({ "jsonrpc": "2.0", "id": 8, "method": "never" })).await;
        assert_eq!(answer.status(), 200);
        cluster.node(DEAD).kill();
        let mut events = Events::of(answer);
        let word = timeout(SOON, events.message()).await.expect("it is told soon").expect("it is told");
        assert_eq!((&word["id"], &word["error"]["code"]), (&json!(8), &json!(-32603)), "{word}");
        assert_eq!(events.message().await, None);
    });
}

#[test]
fn nodes_that_cannot_reach_each_other_say_404_soon_and_go_on_when_they_can() {
    Cluster::run(plan("forward").by_name(), async |cluster| {
        let front = Front::start(Way::Fly, cluster).await;
        let talks = one_of_each(cluster, &front).await;
        let of_two = &talks["n2"];
        for name in ["n1", "n2", "n3"] {
            assert_eq!(try_call(&at(name, cluster, of_two), "by any node").await, Outcome::Own, "{name}");
        }
        // Each thread of n1 has a connection that n2 will not say anything about.
        for _ in 0..8 {
            assert_eq!(try_call(&at("n1", cluster, of_two), "before").await, Outcome::Own);
        }
        cluster.nodes[0].machine.part(&cluster.nodes[1].machine);
        for _ in 0..8 {
            let parted = timeout(SOON, try_call(&at("n1", cluster, of_two), "over the gap")).await;
            assert_eq!(parted.expect("an answer soon"), Outcome::Status(404));
        }
        // Nothing has ended.
        assert_eq!(try_call(&at("n3", cluster, of_two), "around it").await, Outcome::Own);
        assert_eq!(try_call(&at("n1", cluster, &talks["n3"]), "elsewhere").await, Outcome::Own);
        cluster.nodes[0].machine.rejoin(&cluster.nodes[1].machine);
        until_told("n1 finds n2 again", async || {
            try_call(&at("n1", cluster, of_two), "and back").await == Outcome::Own
        })
        .await;
    });
}

#[test]
fn a_node_that_comes_back_does_not_know_its_old_sessions_and_takes_new_ones() {
    Cluster::run(plan("forward"), async |cluster| {
        let front = Front::start(Way::Turns, cluster).await;
        let talks = one_of_each(cluster, &front).await;
        cluster.node(DEAD).kill();
        cluster.node(DEAD).start();
        cluster.until_together().await;
        for (node, talk) in &talks {
            let wanted = if node == DEAD { Outcome::Status(404) } else { Outcome::Own };
            // By each of them in turn.
            for _ in 0..3 {
                assert_eq!(talk.try_call("who is there?").await, wanted, "a session of {node}");
            }
        }
        one_of_each(cluster, &front).await[DEAD].is_well().await;
    });
}

/// The ids of others are of no use, and those that nobody has made are found out.
#[test]
fn an_id_that_no_node_has_made_is_not_found_anywhere() {
    Cluster::run(plan("forward"), async |cluster| {
        let front = Front::start(Way::Turns, cluster).await;
        let talk = Talk::open(cluster, &front, 0).await;
        let (node, rest) = talk.id().split_once('.').unwrap();
        let last = rest.chars().next_back().unwrap();
        let other = if last == 'A' { 'B' } else { 'A' };
        let forged = [
            format!("n9.{rest}"),
            format!("{}.{rest}", if node == "n1" { "n2" } else { "n1" }),
            format!("{node}.{}{other}", &rest[..rest.len() - 1]),
            format!("{node}."),
            rest.to_owned(),
        ];
        for id in forged {
            for _ in 0..3 {
                let endpoint = Endpoint::at(format!("{}/peer/mcp", front.base)).in_session(&id);
                let outcome =
                    timeout(SOON, try_call(&endpoint, "is it mine?")).await.expect("an answer soon");
                assert_eq!(outcome, Outcome::Status(404), "{id}");
            }
        }
        talk.is_well().await;
    });
}
