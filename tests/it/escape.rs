//! Nothing of a session outlives it, however it hides and however the session ends (security.md T32 and T33;
//! promise 1). `LOCKGATE_ROUNDS` makes it try more often.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::events::Endpoint;
use crate::gateway::{Gateway, SECRET, until, with_peers};
use crate::raw::open;
use crate::traces::{homes, is_root, marked, processes_of, session_groups, uid};

pub(crate) const KINDS: [&str; 10] = [
    "setsid",
    "twice",
    "deaf",
    "stopped",
    "hopping",
    "bare",
    "closed",
    "undumpable",
    "headless",
    "namespaced",
];
/// Where no user id tells sessions apart, a variable does; these cannot be asked for theirs.
pub(crate) const HIDDEN: [&str; 3] = ["bare", "undumpable", "hopping"];
pub(crate) const QUICK: &str = "[timeouts]\neof = \"100ms\"\nterm = \"100ms\"\ndrain = \"1s\"\n";

/// How a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Fin,
    Rst,
    Delete,
    Term,
    Kill,
}

const ENDS: [End; 5] = [End::Fin, End::Rst, End::Delete, End::Term, End::Kill];

/// What holds a session open until it is to end.
pub(crate) enum Hold {
    Stream(tokio::net::TcpStream),
    Session(Endpoint),
}

fn rounds() -> usize {
    std::env::var("LOCKGATE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(2)
}

/// A mark that all that comes of one escapee carries in its arguments.
pub(crate) fn token(kind: &str, number: usize) -> String {
    format!("escapee-{kind}-{}-{number}.", std::process::id())
}

/// Who hops is easily missed: only when nobody was seen many times over is nobody there.
pub(crate) async fn until_gone(what: &str, mut left: impl FnMut() -> BTreeSet<u32>) {
    let mut seen_none = 0;
    until(what, || {
        seen_none = if left().is_empty() { seen_none + 1 } else { 0 };
        seen_none > 10
    })
    .await;
}

/// Opens a session in which all of these escape.
pub(crate) async fn hold(gateway: &Gateway, end: End, kinds: &[&str], number: usize) -> Hold {
    let attack = |id: usize, kind: &str| {
        let with = json!({ "kind": kind, "token": token(kind, number) });
        let params = json!({ "act": "escape", "with": with });
        json!({ "jsonrpc": "2.0", "id": id, "method": "attack", "params": params })
    };
    if end == End::Delete {
        let session = Endpoint::new(gateway, "peer").open("2025-11-25").await;
        for (id, kind) in kinds.iter().enumerate() {
            let params = attack(id + 1, kind)["params"].clone();
            let answer = session.call_slowly(id as u64 + 1, "attack", params).await;
            assert_eq!(answer["result"], json!({ "ok": true }), "{kind}");
        }
        return Hold::Session(session);
    }
    let mut stream = tokio::net::TcpStream::connect(&gateway.address).await.unwrap();
    let endpoint = open(&mut stream, "peer").await;
    let client = gateway.client();
    let initialize = json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": { "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } }
    });
    for message in
        [initialize].into_iter().chain(kinds.iter().enumerate().map(|(id, kind)| attack(id + 1, kind)))
    {
        let posted = client.post(&endpoint, &message.to_string()).send().await.unwrap();
        assert_eq!(posted.status(), 202);
    }
    Hold::Stream(stream)
}

async fn end(gateway: &mut Gateway, hold: Hold, end: End) {
    match (end, hold) {
        (End::Term, hold) => {
            gateway.signal("TERM");
            assert_eq!(gateway.wait().code(), Some(0));
            drop(hold);
        }
        (End::Kill, hold) => {
            gateway.signal("KILL");
            gateway.wait();
            drop(hold);
        }
        (End::Rst, Hold::Stream(stream)) => {
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
        (_, Hold::Stream(mut stream)) => stream.shutdown().await.unwrap(),
        (_, Hold::Session(session)) => {
            assert_eq!(session.request(reqwest::Method::DELETE).send().await.unwrap().status(), 200);
        }
    }
}

/// One session with all of these, from its opening until nothing of it is left.
async fn round(mut gateway: Gateway, way: End, kinds: &[&str], number: usize) -> Gateway {
    let held = hold(&gateway, way, kinds, number).await;
    for kind in kinds {
        until(&format!("{kind} has escaped"), || !marked(&token(kind, number)).is_empty()).await;
    }
    let user = gateway.peers().first().map(|pid| uid(*pid));
    end(&mut gateway, held, way).await;
    for kind in kinds {
        until_gone(&format!("{kind} is gone after {way:?}"), || marked(&token(kind, number))).await;
    }
    let own_user = user.filter(|user| (20000..30000).contains(user));
    if let Some(user) = own_user {
        until_gone(&format!("nothing of the user is left after {way:?}"), || processes_of(user)).await;
    } else if way == End::Kill {
        // What is on disk is for the next one of the same user, which this is not.
        return Gateway::start_as_nobody(QUICK);
    }
    if way == End::Kill {
        let place = std::mem::replace(&mut gateway.place, tempfile::tempdir().unwrap());
        let dead = gateway.pid();
        gateway = Gateway::start_in(place, &with_peers(QUICK), &[("LOCKGATE_SECRET", SECRET)]);
        assert_eq!(session_groups(dead), Vec::<std::path::PathBuf>::new());
    }
    if way == End::Term {
        assert!(homes(gateway.place.path()).is_empty());
        assert!(session_groups(gateway.pid()).is_empty());
        return Gateway::start(QUICK);
    }
    until("no directory", || gateway.homes().is_empty()).await;
    until("no zombie", || gateway.descendants().is_empty()).await;
    until("no group", || session_groups(gateway.pid()).is_empty()).await;
    gateway.until_active(0).await;
    gateway
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_escapes_is_gone_however_the_session_ends() {
    if !is_root() {
        return;
    }
    let mut gateway = Gateway::start(QUICK);
    for number in 0..rounds() {
        for way in ENDS {
            gateway = round(gateway, way, &KINDS, number * ENDS.len() + way as usize).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_needs_another_to_be_found_after_a_kill() {
    if !is_root() {
        return;
    }
    let mut gateway = Gateway::start(QUICK);
    for (number, kind) in KINDS.iter().enumerate() {
        gateway = round(gateway, End::Kill, &[kind], 2_000_000 + number).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_users_of_their_own_all_are_found_that_can_be_asked() {
    if !is_root() {
        return;
    }
    let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| !HIDDEN.contains(kind)).collect();
    for number in 0..rounds() {
        for way in ENDS {
            let number = 1_000_000 + number * ENDS.len() + way as usize;
            round(Gateway::start_as_nobody(QUICK), way, &kinds, number).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_escapes_at_once_is_gone_when_its_client_does_not_even_wait() {
    if !is_root() {
        return;
    }
    let token = token("at-once", 0);
    let script = "import os, time; os.fork() or os.setsid() or time.sleep(3600); time.sleep(3600)";
    let server = format!("[servers.quick]\nrun = \"/usr/bin/python3 -c '{script}' {token}\"\n");
    let gateway = Gateway::start(&format!("{server}{QUICK}"));
    for step in 0..rounds() * 40 {
        let request = gateway.client().get("/quick/sse").send();
        let moment = Duration::from_micros(step as u64 % 40 * 1000);
        let _ = tokio::time::timeout(moment, request).await;
    }
    gateway.until_active(0).await;
    until_gone("nobody has escaped", || marked(&token)).await;
    until("nothing is left", || gateway.descendants().is_empty() && gateway.homes().is_empty()).await;
}
