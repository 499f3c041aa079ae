//! A gateway is killed, and its sweeper with it: the next one ends what they have left (promise 1).

use crate::escape::{End, HIDDEN, KINDS, QUICK, hold, token, until_gone};
use crate::gateway::{Gateway, SECRET, send_signal, until, with_peers};
use crate::traces::{homes, is_root, marked};

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
