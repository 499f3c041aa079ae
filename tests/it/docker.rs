//! Sessions whose server runs in a container (security.md T41): the daemon is no child of ours, so what it
//! runs does not end with the client that asked for it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use serde_json::{Value, json};

use crate::events::Endpoint;
use crate::gateway::{Gateway, SECRET, lockgate, peer, until};
use crate::traces::is_alive;

/// A daemon, and a client of it on a PATH.
struct Docker {
    place: tempfile::TempDir,
    daemon: Child,
}

/// A container as the daemon has it.
#[derive(Clone, Debug)]
struct Container {
    labels: BTreeMap<String, String>,
    pid: u32,
}

impl Docker {
    fn start() -> Self {
        let place = tempfile::tempdir().unwrap();
        let program = place.path().join("docker");
        symlink(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/docker/docker.py"), &program).unwrap();
        let mut daemon = Command::new(program).arg("daemon").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "listening\n");
        Self { place, daemon }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// A gateway with this client on its PATH; all of them share a TMPDIR.
    fn gateway(&self, settings: &str) -> Gateway {
        let server = |name: &str, image: &str, options: &str| {
            format!("[servers.{name}]\nrun = \"docker run {image} {} {options}\"\ndocker = true\n", peer())
        };
        let servers = [
            server("good", "-e REGION image", ""),
            server("deaf", "image", "--ignore-term"),
            server("late", "late", "--ignore-term"),
        ];
        let settings = format!(
            "[rate]\nper_minute = 0\nopens_per_minute = 0\n[timeouts]\neof = \"200ms\"\nterm = \"200ms\"\n{settings}\n{}",
            servers.concat()
        );
        let path = format!("{}:{}", self.place.path().display(), std::env::var("PATH").unwrap());
        let shared = self.path("tmp");
        fs::create_dir_all(&shared).unwrap();
        let variables = [
            ("LOCKGATE_SECRET", SECRET),
            ("PATH", &*path),
            ("TMPDIR", shared.to_str().unwrap()),
            ("HOME", "/the/operators"),
        ];
        Gateway::start_bare(&settings, &variables)
    }

    fn containers(&self) -> Vec<Container> {
        let read = |entry: fs::DirEntry| {
            let record: Value = serde_json::from_str(&fs::read_to_string(entry.path()).ok()?).ok()?;
            let labels = serde_json::from_value(record["labels"].clone()).ok()?;
            Some(Container { labels, pid: u32::try_from(record["pid"].as_u64()?).ok()? })
        };
        fs::read_dir(self.path("containers")).unwrap().flatten().filter_map(read).collect()
    }

    /// The command lines of the client that begin with this word.
    fn calls(&self, word: &str) -> Vec<Vec<String>> {
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        let calls = calls.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).map(|call| {
            assert_eq!(call["home"], "/the/operators", "one configuration, so one daemon");
            serde_json::from_value::<Vec<String>>(call["words"].clone()).unwrap()
        });
        calls.filter(|words| words[0] == word).collect()
    }

    /// The marks of gateways that may have containers.
    fn marks(&self) -> usize {
        let shared = fs::read_dir(self.path("tmp")).unwrap().flatten();
        let inside = shared.flat_map(|shared| fs::read_dir(shared.path()).into_iter().flatten().flatten());
        inside.filter(|entry| entry.path().extension().is_some_and(|name| name == "containers")).count()
    }

    async fn until_none(&self) {
        until("no container is left", || self.containers().is_empty()).await;
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        for container in self.containers() {
            let _ = Command::new("kill").args(["-s", "KILL", &container.pid.to_string()]).status();
        }
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

#[tokio::test]
async fn a_server_in_a_container_is_used_like_any_other_and_ends_by_itself() {
    let docker = Docker::start();
    let gateway = docker.gateway("");
    let refused = gateway.client().header("env_other", "x").get("/good/sse").send().await.unwrap();
    assert_eq!(refused.status(), 400, "what `run` does not pass on would only reach docker");
    let mut session = gateway.client().header("env_region", "eu").connect("good").await;
    let environment = session.call("environment", json!({})).await;
    assert_eq!(environment["REGION"], "eu");
    assert_eq!(docker.containers().len(), 1);
    drop(session);
    docker.until_none().await;
    gateway.until_active(0).await;
    let runs = docker.calls("run");
    let words = runs[0].join(" ");
    assert!(words.starts_with("run --label=lockgate.session="), "{words}");
    assert!(words.contains(" --init --rm --interactive -e REGION image "), "{words}");
    assert!(docker.calls("rm").is_empty(), "it was told to end, and did");
}

#[tokio::test]
async fn a_container_that_will_not_end_is_removed_with_its_session() {
    let docker = Docker::start();
    let gateway = docker.gateway("");
    let mut left = gateway.client().connect("deaf").await;
    let pids: Vec<_> = docker.containers().iter().map(|container| container.pid).collect();
    assert_eq!(left.call("echo", json!([1])).await, json!([1]));
    drop(left);
    docker.until_none().await;
    gateway.until_active(0).await;
    let ended = Endpoint::new(&gateway, "deaf").open("2025-11-25").await;
    let pids = [pids, docker.containers().iter().map(|container| container.pid).collect()].concat();
    assert_eq!(pids.len(), 2);
    assert_eq!(ended.request(Method::DELETE).send().await.unwrap().status(), 200);
    docker.until_none().await;
    gateway.until_active(0).await;
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
    assert!(!gateway.log().contains("may be left"), "{}", gateway.log());
}

#[tokio::test]
async fn a_stop_removes_every_container_before_the_gateway_is_gone() {
    let docker = Docker::start();
    let mut gateway = docker.gateway("drain = \"1s\"");
    let mut busy = gateway.client().connect("deaf").await;
    let _idle = gateway.client().connect("deaf").await;
    busy.request("never", json!({})).await;
    assert_eq!(docker.marks(), 1);
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(docker.containers().is_empty());
    assert_eq!(docker.marks(), 0, "nothing is left to look for");
}

#[tokio::test]
async fn one_session_ends_and_the_container_of_another_goes_on() {
    let docker = Docker::start();
    let gateway = docker.gateway("");
    let first = gateway.client().connect("deaf").await;
    let gone = docker.containers().remove(0);
    let mut second = gateway.client().connect("deaf").await;
    let labels: Vec<_> = docker.containers().into_iter().map(|container| container.labels).collect();
    assert_ne!(labels[0]["lockgate.session"], labels[1]["lockgate.session"]);
    assert_eq!(labels[0]["lockgate.gateway"], labels[1]["lockgate.gateway"]);
    drop(first);
    until("the first is gone", || docker.containers().len() == 1).await;
    gateway.until_active(1).await;
    assert!(!is_alive(gone.pid));
    assert_eq!(second.call("echo", json!([1])).await, json!([1]));
}

#[tokio::test]
async fn a_container_that_is_made_after_its_client_was_killed_is_removed_too() {
    let docker = Docker::start();
    let gateway = docker.gateway("");
    let session = gateway.client().open("late").await;
    until("it is being made", || docker.path("creating").exists()).await;
    drop(session);
    until("it was looked for in vain", || !docker.calls("ps").is_empty()).await;
    gateway.until_active(1).await;
    fs::write(docker.path("release"), "now").unwrap();
    until("it was removed", || !docker.calls("rm").is_empty()).await;
    docker.until_none().await;
    gateway.until_active(0).await;
}

#[tokio::test]
async fn what_a_killed_gateway_leaves_is_removed_by_the_next_and_nothing_else_is() {
    let docker = Docker::start();
    let bystander = docker.gateway("");
    let mut theirs = bystander.client().connect("deaf").await;
    let mut killed = docker.gateway("");
    let _session = killed.client().connect("deaf").await;
    killed.signal("KILL");
    killed.wait();
    until("the clients are gone", || killed.descendants().is_empty()).await;
    assert_eq!((docker.containers().len(), docker.marks()), (2, 2), "a container goes on");
    let next = docker.gateway("");
    until("it has looked", || next.log().contains("have been looked for")).await;
    assert_eq!((docker.containers().len(), docker.marks()), (1, 1));
    assert_eq!(theirs.call("echo", json!([1])).await, json!([1]));
}

#[tokio::test]
async fn a_daemon_that_does_not_answer_is_asked_again_at_the_next_start() {
    let docker = Docker::start();
    let mut gateway = docker.gateway("drain = \"100ms\"");
    let mut session = gateway.client().connect("deaf").await;
    session.request("never", json!({})).await;
    fs::write(docker.path("broken"), "").unwrap();
    gateway.signal("TERM");
    gateway.wait();
    assert!(gateway.log().contains("containers may be left"), "{}", gateway.log());
    assert_eq!((docker.containers().len(), docker.marks()), (1, 1));
    fs::remove_file(docker.path("broken")).unwrap();
    let _next = docker.gateway("");
    docker.until_none().await;
    until("its mark is gone", || docker.marks() == 0).await;
}

#[test]
fn docker_without_leave_stops_the_start_with_the_remedy() {
    let docker = Docker::start();
    let path = format!("{}:{}", docker.place.path().display(), std::env::var("PATH").unwrap());
    let run = |settings: &str| {
        let file = docker.path("lockgate.toml");
        fs::write(&file, settings).unwrap();
        let output = lockgate().args(["serve", "--config"]).arg(&file).env("PATH", &path).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    for (settings, expected) in [
        ("run = \"docker run image\"", ["`servers.s.run`", "as good as root", "`docker = true`"]),
        ("run = \"docker run --name x image\"\ndocker = true", ["`servers.s.run`", "--name", "leave it out"]),
        ("run = \"sh\"\ndocker = true", ["`servers.s.docker`", "begins with \"sh\"", "leave it out"]),
    ] {
        let error = run(&format!("[servers.s]\n{settings}"));
        assert!(expected.iter().all(|part| error.contains(part)), "{error}");
    }
    assert!(docker.calls("run").is_empty());
}
