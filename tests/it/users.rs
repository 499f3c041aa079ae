//! The users that sessions become: who gets which, and what if there are none (security.md T15).

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::gateway::{Gateway, SECRET, lockgate, peer, until, with_peers};
use crate::traces::{is_root, uid};

/// Room for 19 sessions: one id is the gateway's. Each test has a block to itself.
fn few(range: &str) -> String {
    format!("[sandbox]\nuids = {range:?}\n[limits]\nsessions = 19\n[timeouts]\neof = \"50ms\"")
}

/// What a gateway says that does not start.
fn refused(mut command: Command, place: &Path, settings: &str) -> String {
    let file = place.join("lockgate.toml");
    fs::write(&file, with_peers(settings)).unwrap();
    let variables = [("LOCKGATE_SECRET", SECRET), ("TMPDIR", place.to_str().unwrap())];
    command.args(["serve", "--port", "0", "--config"]).arg(file).envs(variables).stderr(Stdio::piped());
    let mut gateway = command.spawn().unwrap();
    let mut told = String::new();
    for line in BufReader::new(gateway.stderr.take().unwrap()).lines().map_while(Result::ok) {
        told.push_str(&(line + "\n"));
        if told.contains("\"listening\"") {
            gateway.kill().unwrap();
            panic!("it started: {told}");
        }
    }
    assert!(!gateway.wait().unwrap().success());
    told
}

fn place(mode: u32) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(mode)).unwrap();
    place
}

#[tokio::test]
async fn an_id_is_not_used_again_until_it_has_rested() {
    if !is_root() {
        return;
    }
    let gateway = Gateway::start(&few("28500-28519"));
    let mut users = BTreeSet::new();
    for _ in 0..19 {
        let session = gateway.client().connect("peer").await;
        assert!(users.insert(uid(*gateway.peers().first().unwrap())), "an id was used twice: {users:?}");
        drop(session);
        gateway.until_active(0).await;
    }
    assert!(users.iter().all(|id| (28501..=28519).contains(id)), "{users:?}");
    let refused = gateway.client().get("/peer/sse").send().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "5");
    let text = refused.text().await.unwrap();
    assert!(text.contains("no room for another now; try again shortly"), "{text}");
    // As a client does that is told to come back.
    let mut tries = 0;
    while gateway.client().get("/peer/sse").send().await.unwrap().status() == 503 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        tries += 1;
        assert!(tries < 150, "no id comes back");
    }
}

#[tokio::test]
async fn two_gateways_never_share_an_id() {
    if !is_root() {
        return;
    }
    let gateways = [Gateway::start(""), Gateway::start("")];
    let mut users = Vec::new();
    let mut sessions = Vec::new();
    for gateway in &gateways {
        for _ in 0..3 {
            sessions.push(gateway.client().connect("peer").await);
        }
        users.push(gateway.peers().into_iter().map(uid).collect::<BTreeSet<_>>());
        assert_eq!(users.last().unwrap().len(), 3);
    }
    assert!(users[0].is_disjoint(&users[1]), "{users:?}");
    // Nor where their ranges only overlap: all of this one are with the first.
    let _holder = Gateway::start(&few("29000-29019"));
    let told = refused(lockgate(), place(0o711).path(), &few("29010-29029"));
    assert!(told.contains("sandbox.uids can be used") && told.contains("blocks of its own"), "{told}");
}

#[tokio::test]
async fn a_gateway_that_was_killed_can_be_started_again_at_once() {
    if !is_root() {
        return;
    }
    let settings = few("28750-28769");
    let mut gateway = Gateway::start(&settings);
    for _ in 0..3 {
        let mut session = gateway.client().connect("stubborn").await;
        // Not one that leaves hundreds of zombies to init, which count as the user's until they are reaped.
        let with = json!({ "kind": "deaf", "token": "restart" });
        session.call("attack", json!({ "act": "escape", "with": with })).await;
        gateway.signal("KILL");
        gateway.wait();
        gateway = Gateway::start(&settings);
    }
}

#[test]
fn ids_that_somebody_has_stop_the_start() {
    if !is_root() {
        return;
    }
    let told = refused(lockgate(), place(0o711).path(), "[sandbox]\nuids = \"65000-66999\"");
    assert!(told.contains("sandbox.uids holds 65534, which is the user \"nobody\""), "{told}");
    assert!(told.contains("give a range that nobody uses"), "{told}");
}

#[test]
fn a_place_that_is_closed_to_others_stops_the_start() {
    if !is_root() {
        return;
    }
    let told = refused(lockgate(), place(0o700).path(), "");
    assert!(
        told.contains("set TMPDIR to a directory of your own that other users may pass through"),
        "{told}"
    );
}

#[test]
fn a_binary_that_is_closed_to_others_stops_the_start() {
    if !is_root() {
        return;
    }
    // Else its sessions would run as root.
    let place = place(0o711);
    let binary = place.path().join("lockgate");
    fs::copy(env!("CARGO_BIN_EXE_lockgate"), &binary).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = Command::new(binary);
    command.env_clear().env("PATH", std::env::var("PATH").unwrap());
    let told = refused(command, place.path(), "");
    assert!(told.contains("cannot run the lockgate program itself") && told.contains("chmod 755"), "{told}");
}

#[tokio::test]
async fn a_program_that_is_closed_to_others_is_told_without_its_path() {
    if !is_root() {
        return;
    }
    let closed = place(0o700);
    let program = closed.path().join("program");
    fs::copy(peer(), &program).unwrap();
    let gateway = Gateway::start(&format!("[servers.closed]\nrun = {program:?}"));
    let response = gateway.client().get("/closed/sse").send().await.unwrap();
    assert_eq!(response.status(), 502);
    let text = response.text().await.unwrap();
    assert!(text.contains("its program could not be executed; tell the operator"), "{text}");
    assert!(!text.contains("/tmp") && !text.contains("Permission"), "{text}");
    until("nothing is left", || gateway.homes().is_empty() && gateway.descendants().is_empty()).await;
}
