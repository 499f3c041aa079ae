//! A host that has run out of something (C7): what needs it is refused with a reason, what runs goes on, and
//! once there is some again, so does everything.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::client::Session;
use crate::gateway::{Gateway, SECRET, peer, until};
use crate::restricted::lockgate_by;
use crate::traces::{homes, is_root};

use super::all;
use super::field::Field;
use super::run::Run;

/// Tries to open a session. The status, and what a refusal says.
async fn open(client: crate::client::Client, server: &str) -> (u16, String, Option<Session>) {
    let response = client.get(&format!("/{server}/sse")).send().await.unwrap();
    match response.status().as_u16() {
        200 => (200, String::new(), Some(client.attach(response).await)),
        status => {
            let retry = response.headers().contains_key("retry-after");
            assert_eq!(retry, status == 503, "{status}");
            let body: Value = response.json().await.unwrap();
            (status, body["error"]["message"].as_str().expect("a reason").to_owned(), None)
        }
    }
}

/// A crowd that wants in while there is too little for all of it. Nobody is left without an answer: a status,
/// or for those who had to wait for their turn, a stream.
async fn crowd(field: &mut Field, run: &mut Run, relieve: impl AsyncFnOnce(&mut Field)) {
    let opening: Vec<_> = (0..run.size(16, 64))
        .map(|_| (field.client(), run.dice.one_of(&["plain", "escaping", "stubborn"])))
        .map(|(client, server)| tokio::spawn(open(client, server)))
        .collect();
    relieve(field).await;
    let mut opened = Vec::new();
    for one in opening {
        let (status, reason, session) = one.await.unwrap();
        assert!([200, 503].contains(&status), "{status} {reason}");
        opened.extend(session);
    }
    field.note_users();
    drop(opened);
}

async fn until_refused(field: &mut Field, times: usize) {
    until("somebody is refused", || field.gateway.log().matches("server not started").count() >= times).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_descriptors_sessions_are_refused_and_with_them_opened_again() {
    let mut run = Run::new("C7 descriptors");
    let mut field = Field::start(&mut run.dice, &[]).await;
    let mut session = field.connect("plain", 1).await.remove(0);
    let usual = limit_of_descriptors(field.gateway.pid());
    let mut times = 0;
    while run.again() {
        times += 1;
        let some = field.gateway.descriptors() + 8 + run.dice.below(24);
        limit_descriptors(field.gateway.pid(), some);
        crowd(&mut field, &mut run, async |field| {
            until_refused(field, times).await;
            limit_descriptors(field.gateway.pid(), usual);
        })
        .await;
        times = field.gateway.log().matches("server not started").count();
        assert_eq!(session.call("echo", json!(1)).await, json!(1), "who was there before");
        field.gateway.until_active(1).await;
        run.sample(&field, 0);
    }
    drop(session);
    field.until_quiet().await;
    run.finish(Some(&field));
}

fn limit_descriptors(pid: u32, limit: usize) {
    let limit = format!("--nofile={limit}:");
    let status = Command::new("prlimit").args(["--pid", &pid.to_string(), &limit]).status().unwrap();
    assert!(status.success(), "prlimit comes with util-linux");
}

fn limit_of_descriptors(pid: u32) -> usize {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(3).unwrap().parse().unwrap()
}

/// A control group for the gateway itself, so that it can be short of processes.
struct Cage(PathBuf);

impl Cage {
    /// `None` where none can be made.
    fn around(pid: u32) -> Option<Self> {
        let path = Path::new("/sys/fs/cgroup/pids").join(format!("lockgate-test-{pid}"));
        fs::create_dir(&path).ok()?;
        let cage = Self(path);
        fs::write(cage.0.join("cgroup.procs"), pid.to_string()).ok()?;
        Some(cage)
    }

    fn limit(&self, processes: &str) {
        fs::write(self.0.join("pids.max"), processes).unwrap();
    }

    fn count(&self) -> usize {
        fs::read_to_string(self.0.join("pids.current")).unwrap().trim().parse().unwrap()
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_processes_sessions_are_refused_and_the_gateway_lives() {
    let mut run = Run::new("C7 processes");
    let mut field = Field::start(&mut run.dice, &[]).await;
    let Some(cage) = Cage::around(field.gateway.pid()) else {
        println!("skipped: no pids controller of version 1 that we may use");
        return;
    };
    let mut session = field.connect("plain", 1).await.remove(0);
    let mut times = 0;
    while run.again() {
        times += 1;
        // Threads count as well, so even tidying up is short of them.
        // Less than there are: threads that have nothing to do end meanwhile, and the launcher that stands by leaves
        // the group when it becomes a session's.
        cage.limit(&(1 + run.dice.below(cage.count() / 2)).to_string());
        crowd(&mut field, &mut run, async |field| {
            until_refused(field, times).await;
            assert_eq!(session.call("echo", json!(1)).await, json!(1), "who was there before");
            cage.limit("max");
        })
        .await;
        times = field.gateway.log().matches("server not started").count();
        field.gateway.until_active(1).await;
        run.sample(&field, 0);
    }
    // A session that ends while nothing can be started.
    cage.limit(&cage.count().to_string());
    drop(session);
    field.gateway.until_active(0).await;
    cage.limit("max");
    field.until_quiet().await;
    field.client().connect("plain").await;
    run.finish(Some(&field));
    drop(field);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_memory_ends_alone() {
    let mut run = Run::new("C7 memory");
    let variables = [("LOCKGATE__SANDBOX__MEMORY", "64MiB"), ("LOCKGATE__LIMITS__LINE", "1GiB")];
    let mut field = Field::start(&mut run.dice, &variables).await;
    if field.gateway.log().contains("\"item\":\"cgroup\"") {
        println!("skipped: no control groups that we may use");
        return;
    }
    let mut bystander = field.connect("plain", 1).await.remove(0);
    while run.again() {
        let hog = field.connect("plain", 1).await.remove(0);
        let told = all([async move {
            let mut hog = hog;
            let id = hog.request("big", json!({ "bytes": 200_000_000 })).await;
            hog.answer(id).await["error"]["message"].as_str().expect("an error").to_owned()
        }])
        .await;
        assert!(told[0].contains("was killed by signal 9"), "{told:?}");
        assert_eq!(bystander.call("echo", json!(1)).await, json!(1));
        run.sample(&field, 1);
    }
    drop(bystander);
    field.until_quiet().await;
    run.finish(Some(&field));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_for_directories_sessions_are_refused_until_there_is_some() {
    let mut run = Run::new("C7 disk");
    if !is_root() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let small = place.path().join("small");
    fs::create_dir(&small).unwrap();
    // In a mount namespace of its own, so that it goes with the gateway. A directory needs an inode only.
    let script = format!(
        "mount -t tmpfs -o size=1m,nr_inodes=64 none {small:?} && TMPDIR={small:?} exec \"$0\" \"$@\""
    );
    let command = lockgate_by(&["unshare", "--mount", "/bin/sh", "-c", &script]);
    let field = Field::start_cold(command, place, &mut run.dice, &[]);
    let seen = PathBuf::from(format!("/proc/{}/root{}", field.gateway.pid(), small.display()));
    while run.again() {
        let filling = field.client().connect("filling").await;
        let (status, reason, _) = open(field.client(), "plain").await;
        assert_eq!(status, 503, "{reason}");
        drop(filling);
        field.gateway.until_active(0).await;
        until("no directory is left", || homes(&seen).is_empty()).await;
        field.client().connect("plain").await;
        field.gateway.until_active(0).await;
        until("no directory is left", || homes(&seen).is_empty()).await;
        run.sample(&field, 2);
    }
    field.gateway.until_active(0).await;
    run.finish(Some(&field));
}

#[tokio::test]
async fn a_program_that_cannot_be_executed_now_is_told_and_can_be_later() {
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("server");
    let put = || {
        let _ = fs::remove_file(&program);
        fs::copy(peer(), &program).unwrap();
    };
    put();
    let settings = format!("[rate]\nper_minute = 0\nopens_per_minute = 0\n[servers.it]\nrun = {program:?}\n");
    let gateway = Gateway::start_in(place, &settings, &[("LOCKGATE_SECRET", SECRET)]);
    for fault in ["missing", "busy", "closed", "a directory"] {
        // Nobody can write to a program that runs.
        until("nobody runs it", || gateway.descendants().is_empty()).await;
        let mut writer = None;
        match fault {
            "missing" => fs::remove_file(&program).unwrap(),
            "busy" => writer = Some(fs::File::options().append(true).open(&program).unwrap()),
            "closed" => fs::set_permissions(&program, fs::Permissions::from_mode(0o600)).unwrap(),
            _ => {
                fs::remove_file(&program).unwrap();
                fs::create_dir(&program).unwrap();
            }
        }
        let (status, reason, _) = open(gateway.client(), "it").await;
        assert_eq!(status, 502, "{fault}");
        assert!(
            reason.contains("could not be executed") && !reason.contains("os error"),
            "{fault}: {reason}"
        );
        drop(writer);
        let _ = fs::remove_dir(&program);
        put();
        gateway.client().connect("it").await;
    }
    until("nothing is left", || gateway.descendants().is_empty() && gateway.homes().is_empty()).await;
    gateway.until_active(0).await;
}
