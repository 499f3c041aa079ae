//! One tenant takes whatever it gets; the other must not notice (security.md T31; promise 5).

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::Session;
use crate::gateway::{Gateway, until, with_peers};
use crate::tenants::{client, tenant};
use crate::traces::{is_alive, is_root, processes_of, uid};

struct Greed {
    gateway: Gateway,
    greedy: Session,
    user: u32,
}

/// A gateway one tenant of which runs a fork bomb, fills memory and keeps four processors busy.
async fn greed() -> Greed {
    let tenants = ["greedy", "modest"].map(|name| tenant(name, &[name], "")).concat();
    let settings = format!("[sandbox]\nprocesses = 64\n{tenants}");
    let gateway = Gateway::start_bare(&with_peers(&settings), &[]);
    let mut greedy = client(&gateway, "greedy").connect("peer").await;
    let user = uid(*gateway.peers().first().unwrap());
    for (act, with) in
        [("spin", json!({ "count": 4 })), ("allocate", json!({ "bytes": 8u64 << 30 })), ("bomb", json!({}))]
    {
        assert_eq!(greedy.attack(act, with).await, json!({ "ok": true }), "{act}");
    }
    Greed { gateway, greedy, user }
}

#[tokio::test(flavor = "multi_thread")]
async fn others_open_sessions_and_are_answered() {
    if !is_root() {
        return;
    }
    let Greed { gateway, greedy, user } = greed().await;
    until("the bomb has gone off", || processes_of(user).len() > 32).await;
    for n in 0..5 {
        let mut session = client(&gateway, "modest").connect("peer").await;
        assert_eq!(session.call("echo", json!([n])).await, json!([n]));
    }
    assert!(processes_of(user).len() <= 64, "sandbox.processes holds");
    drop(greedy);
    until("nothing of it is left", || processes_of(user).is_empty()).await;
    assert!(is_alive(gateway.pid()) && is_alive(gateway.sweeper()));
}

#[tokio::test]
async fn a_server_that_takes_too_much_memory_is_killed_and_its_client_told() {
    if !is_root() {
        return;
    }
    let gateway = Gateway::start("[sandbox]\nmemory = \"64MiB\"\n[limits]\nline = \"1GiB\"");
    let mut bystander = gateway.client().connect("peer").await;
    let mut session = gateway.client().connect("peer").await;
    let id = session.request("hoard", json!({ "bytes": 1u64 << 30 })).await;
    let told = session.answer(id).await["error"]["message"].as_str().unwrap().to_owned();
    assert!(told.contains("was killed by signal 9"), "{told}");
    assert!(session.message().await.is_none());
    assert_eq!(bystander.call("echo", json!([1])).await, json!([1]));
}

/// For the soak, and for figures: `cargo test --test it starve:: -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures"]
async fn how_long_others_wait() {
    let greed = greed().await;
    until("the bomb has gone off", || processes_of(greed.user).len() > 32).await;
    let client = client(&greed.gateway, "modest");
    let mut opened = Vec::new();
    for _ in 0..20 {
        let since = Instant::now();
        client.connect("peer").await;
        opened.push(since.elapsed());
    }
    let mut session = client.connect("peer").await;
    let mut echoed = Vec::new();
    for n in 0..1000 {
        let since = Instant::now();
        session.call("echo", json!([n])).await;
        echoed.push(since.elapsed());
    }
    opened.sort_unstable();
    echoed.sort_unstable();
    println!("a new session: median {:?}, most {:?}", opened[10], opened[19]);
    println!("an echo: median {:?}, p99 {:?}, most {:?}", echoed[500], echoed[990], echoed[999]);
    assert!(opened[19] < Duration::from_secs(5) && echoed[990] < Duration::from_millis(100));
}
