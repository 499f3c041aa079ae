//! A gateway is killed, and its sweeper with it: the next one ends what they have left (promise 1). What is not
//! theirs is left alone, and what only looks like the end of a sweeper is none.

use std::process::Command;

use serde_json::json;

use crate::escape::{End, HIDDEN, KINDS, QUICK, hold, token, until_gone};
use crate::gateway::{Gateway, SECRET, send_signal, until, with_peers};
use crate::traces::{homes, is_root, marked, processes_of, uid};

/// Lets all of these escape, and comes back when nobody is left who would end them.
async fn abandon(mut gateway: Gateway, kinds: &[&str], number: usize) -> tempfile::TempDir {
    let held = hold(&gateway, End::Kill, kinds, number).await;
    for kind in kinds {
        until(&format!("{kind} has escaped"), || !marked(&token(kind, number)).is_empty()).await;
    }
    send_signal(gateway.sweeper(), "KILL");
    gateway.signal("KILL");
    gateway.wait();
    drop(held);
    for kind in kinds {
        until(&format!("{kind} has survived"), || !marked(&token(kind, number)).is_empty()).await;
    }
    std::mem::replace(&mut gateway.place, tempfile::tempdir().unwrap())
}

async fn all_gone(kinds: &[&str], number: usize) {
    for kind in kinds {
        until_gone(&format!("{kind} is gone"), || marked(&token(kind, number))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_starts_next_ends_what_is_left_of_others_users() {
    if !is_root() {
        return;
    }
    let uids =
        |range: &str| with_peers(&format!("{QUICK}[limits]\nsessions = 9\n[sandbox]\nuids = {range:?}\n"));
    let start = |place, range| Gateway::start_in(place, &uids(range), &[("LOCKGATE_SECRET", SECRET)]);
    let gateway = start(tempfile::tempdir().unwrap(), "24010-24059");
    // Who hops ends by itself, if it is faster than init reaps what it leaves.
    let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| *kind != "hopping").collect();
    abandon(gateway, &kinds, 3_000_000).await;
    // Elsewhere, and with other ids: only the lock file tells of those.
    let _next = start(tempfile::tempdir().unwrap(), "25000-25249");
    all_gone(&kinds, 3_000_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_a_plain_user_whoever_starts_next_finds_them_by_their_directories() {
    if !is_root() {
        return;
    }
    let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| !HIDDEN.contains(kind)).collect();
    let place = abandon(Gateway::start_as_nobody(QUICK), &kinds, 4_000_000).await;
    assert!(!homes(place.path()).is_empty());
    let next = Gateway::start_as_nobody_in(place, &[], QUICK);
    all_gone(&kinds, 4_000_000).await;
    assert!(next.homes().is_empty());
}

#[tokio::test]
async fn whoever_uses_an_id_that_no_gateway_has_left_is_left_alone() {
    if !is_root() {
        return;
    }
    let ids = ["--reuid", "26005", "--regid", "26005", "--clear-groups"];
    let mut stranger = Command::new("setpriv").args(ids).args(["sleep", "1000"]).spawn().unwrap();
    until("it is a stranger", || processes_of(26005).contains(&stranger.id())).await;
    let sandbox = "[limits]\nsessions = 400\n[sandbox]\nuids = \"26000-26999\"\n";
    let gateway = Gateway::start(sandbox);
    let mut session = gateway.client().connect("peer").await;
    let user = uid(session.pid().await);
    assert!((26251..27000).contains(&user), "{user} is of another block");
    let ended = stranger.try_wait().unwrap();
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert_eq!(ended, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_hits_the_wrong_thread_is_not_the_end_of_the_sweeper() {
    if !is_root() {
        return;
    }
    let gateway = Gateway::start(QUICK);
    let sweeper = gateway.sweeper();
    let script = format!(
        "import ctypes, glob\n\
         tasks = [path for path in glob.glob('/proc/{0}/task/*') if open(path + '/comm').read().strip() == 'sweeper']\n\
         while True: ctypes.CDLL(None).syscall({1}, {0}, int(tasks[0].split('/')[-1]), 17)",
        gateway.pid(),
        if cfg!(target_arch = "x86_64") { 234 } else { 131 }
    );
    let mut storm = Command::new("/usr/bin/python3").args(["-c", &script]).spawn().unwrap();
    for _ in 0..30 {
        let mut session = gateway.client().connect("peer").await;
        session.call("echo", json!([1])).await;
    }
    gateway.until_active(0).await;
    let storming = storm.try_wait().unwrap();
    storm.kill().unwrap();
    storm.wait().unwrap();
    assert_eq!((storming, gateway.sweeper()), (None, sweeper), "{}", gateway.log());
}

#[tokio::test]
async fn without_roots_rights_a_tree_goes_that_its_session_has_closed() {
    if !is_root() {
        return;
    }
    let gateway = Gateway::start_as_nobody(QUICK);
    let mut session = gateway.client().connect("peer").await;
    // As the modules that go downloads.
    let argv = ["sh", "-c", "mkdir -p a/b/c && touch a/b/c/file && chmod -R a=rx a"];
    let made = session.attack("run", json!({ "argv": argv })).await;
    assert!(made["ok"].is_string(), "{made}");
    drop(session);
    until("it is gone", || gateway.homes().is_empty()).await;
}
