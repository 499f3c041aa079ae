//! Two tenants, one of them hostile (security.md T13-T18 and T34; promise 5).

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::client::Session;
use crate::gateway::{Gateway, peer, until, with_peers};
use crate::standby::standby;
use crate::tenants::{client, tenant};
use crate::traces::{is_alive, is_root, processes_of, stat, status, uid};

const PROFILES: [&str; 2] = ["default", "strict"];

/// A gateway with a session of each tenant, and what the attacker is told of the victim.
struct Two {
    gateway: Gateway,
    victim: Session,
    attacker: Session,
    /// On the host.
    victim_pid: u32,
    attacker_pid: u32,
    home: String,
}

impl Two {
    async fn start(profile: &str, settings: &str) -> Self {
        let tenants = ["victim", "attacker"].map(|name| tenant(name, &[name], "")).concat();
        let settings = format!("[sandbox]\nprofile = {profile:?}\n{settings}\n{tenants}");
        let gateway = Gateway::start_bare(&with_peers(&settings), &[]);
        let mut victim = client(&gateway, "victim").header("ENV_SECRET", "treasure").connect("peer").await;
        let victim_pid = *gateway.peers().first().unwrap();
        let attacker = client(&gateway, "attacker").connect("peer").await;
        let attacker_pid = *gateway.peers().iter().find(|pid| **pid != victim_pid).unwrap();
        let home = victim.call("environment", json!({})).await["HOME"].as_str().unwrap().to_owned();
        let own = format!("{home}/own");
        assert_eq!(victim.attack("put", json!({ "path": own })).await, json!({ "ok": own }));
        Self { gateway, victim, attacker, victim_pid, attacker_pid, home }
    }

    /// None of these may work, and the victim must not notice.
    async fn refused(&mut self, attacks: &[(&str, Value)]) {
        for (act, with) in attacks {
            let answer = self.attacker.attack(act, with.clone()).await;
            assert!(answer["error"].is_string(), "{act} {with}: {answer}");
        }
        assert_eq!(self.victim.call("echo", json!([1])).await, json!([1]));
        assert!(is_alive(self.gateway.pid()) && is_alive(self.gateway.sweeper()));
    }
}

/// Every way into another process that there is.
fn into_process(pid: u32) -> Vec<(&'static str, Value)> {
    let file = |name: &str| json!({ "path": format!("/proc/{pid}/{name}") });
    let pid = json!({ "pid": pid });
    let mut attacks: Vec<_> =
        ["environ", "mem", "auxv", "maps", "stack", "io"].map(|name| ("peek", file(name))).into();
    attacks.extend(["fd", "fdinfo", "map_files", "root", "cwd"].map(|name| ("look", file(name))));
    attacks.extend(["cwd", "root", "exe", "fd/0", "fd/3"].map(|name| ("where", file(name))));
    attacks.extend(["cwd", "root"].map(|name| ("enter", file(name))));
    attacks.extend(["mem", "oom_score_adj", "comm", "clear_refs"].map(|name| ("put", file(name))));
    attacks.extend(["trace", "memory", "slow_down", "limit", "kill"].map(|act| (act, pid.clone())));
    attacks
}

#[tokio::test]
async fn nothing_of_another_session_is_within_reach() {
    if !is_root() {
        return;
    }
    for profile in PROFILES {
        let mut two = Two::start(profile, "").await;
        let path = |name: &str| json!({ "path": format!("{}{name}", two.home) });
        let mut attacks = vec![("look", path("")), ("enter", path("")), ("put", path("/planted"))];
        attacks.extend(["peek", "put", "link"].map(|act| (act, path("/own"))));
        attacks.extend(into_process(two.victim_pid));
        two.refused(&attacks).await;
        assert_eq!(fs::read_dir(&two.home).unwrap().count(), 1, "nothing was left there");
    }
}

#[tokio::test]
async fn what_is_refused_works_where_it_may() {
    if !is_root() {
        return;
    }
    // Else a misspelt attack would look like a refused one.
    let mut two = Two::start("default", "").await;
    let (pid, home) = (two.attacker_pid, two.attacker.call("environment", json!({})).await["HOME"].clone());
    let worked: Vec<(&str, Value)> = vec![
        ("look", json!({ "path": home })),
        ("enter", json!({ "path": home })),
        ("put", json!({ "path": "own" })),
        ("link", json!({ "path": "own" })),
        ("peek", json!({ "path": format!("/proc/{pid}/environ") })),
        ("look", json!({ "path": format!("/proc/{pid}/fd") })),
        ("where", json!({ "path": format!("/proc/{pid}/cwd") })),
        ("limit", json!({ "pid": pid })),
        ("slow_down", json!({ "pid": pid })),
        ("trace", json!({ "pid": pid })),
        ("unshare", json!({ "flags": NEW_USER })),
        ("serve_itself", json!({})),
    ];
    for (act, with) in worked {
        let answer = two.attacker.attack(act, with.clone()).await;
        assert!(answer.get("ok").is_some(), "{act} {with}: {answer}");
    }
}

#[tokio::test]
async fn nothing_of_the_gateway_is_within_reach() {
    if !is_root() {
        return;
    }
    for profile in PROFILES {
        let mut two = Two::start(profile, "").await;
        let place = two.gateway.place.path().to_owned();
        let root = Path::new(&two.home).parent().unwrap().to_owned();
        let lock = root.with_extension("lock");
        let mut attacks = into_process(two.gateway.pid());
        attacks.extend(into_process(two.gateway.sweeper()));
        let waiting = standby(&two.gateway).await;
        attacks.extend(into_process(waiting));
        attacks.extend(into_process(1));
        for directory in [&*place, &*root, root.parent().unwrap(), Path::new("/run/lockgate")] {
            // A strict session sees stand-ins that lead to its own directory.
            if profile == "default" {
                attacks.push(("look", json!({ "path": directory })));
            }
            attacks.push(("put", json!({ "path": directory.join("planted") })));
        }
        for file in [place.join("lockgate.toml"), lock, "/run/lockgate/uids-80.lock".into()] {
            attacks.extend(["peek", "put", "link"].map(|act| (act, json!({ "path": file }))));
        }
        two.refused(&attacks).await;
        assert_eq!(two.gateway.standby(), Some(waiting));
    }
}

#[tokio::test]
async fn a_kill_of_everything_ends_only_who_sends_it() {
    if !is_root() {
        return;
    }
    for profile in PROFILES {
        let mut two = Two::start(profile, "").await;
        let everything = json!({ "act": "kill_all", "with": {} });
        two.attacker.request("attack", everything).await;
        while let Some(message) = two.attacker.message().await {
            assert!(message["result"].is_null(), "it was not killed itself: {message}");
        }
        two.refused(&[]).await;
    }
}

#[tokio::test]
async fn nothing_is_left_where_the_next_one_finds_it() {
    if !is_root() {
        return;
    }
    for profile in PROFILES {
        let mut two = Two::start(profile, "").await;
        let places =
            ["/tmp", "/var/tmp", "/dev/shm", "/run/lock", "/usr", "/etc", "/", "/dev", "/proc/sys/kernel"];
        for place in places {
            let planted = format!("{place}/lockgate-planted");
            let answer = two.attacker.attack("put", json!({ "path": planted })).await;
            let own = profile == "strict" && ["/tmp", "/var/tmp", "/dev/shm"].contains(&place);
            assert_eq!(answer.get("ok").is_some(), own, "{profile} {planted}: {answer}");
            assert!(!Path::new(&planted).exists(), "{profile}: {planted} is on the host");
            let seen = two.victim.attack("peek", json!({ "path": planted })).await;
            assert!(seen["error"].is_string(), "{profile}: {planted} is shared");
        }
        let mut kinds = vec!["shm", "sem", "msg", "mq", "add_key", "keyctl"];
        if cfg!(target_arch = "x86_64") {
            kinds.push("x32");
        }
        for kind in kinds {
            let answer = two.attacker.attack("ipc", json!({ "kind": kind })).await;
            // By the filter, not by a kernel that does not know the call.
            assert_eq!(answer, json!({ "error": "EPERM" }), "{kind}");
        }
        two.refused(&[]).await;
    }
}

#[tokio::test]
async fn a_session_is_nobody_else_and_cannot_become_somebody() {
    if !is_root() {
        return;
    }
    for profile in PROFILES {
        let tools = tempfile::tempdir_in(Path::new(&peer()).parent().unwrap()).unwrap();
        fs::set_permissions(tools.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let shell = tools.path().join("sh");
        fs::copy("/bin/sh", &shell).unwrap();
        fs::set_permissions(&shell, fs::Permissions::from_mode(0o4755)).unwrap();
        let server =
            format!("[servers.tools]\nrun = \"{} --tools\"\nreadable = [{:?}]", peer(), tools.path());
        let mut two = Two::start(profile, &server).await;
        let ids = [two.victim_pid, two.attacker_pid].map(uid);
        assert_ne!(ids[0], ids[1]);
        assert!(ids.iter().all(|id| (20000..30000).contains(id)), "{ids:?}");
        let pid = two.attacker_pid;
        let is = |field| status(pid, field);
        assert_eq!([is("Groups"), is("NoNewPrivs"), is("Umask")], ["", "1", "0077"].map(str::to_owned));
        for set in ["CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(u64::from_str_radix(&is(set), 16), Ok(0), "{set}");
        }
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core")).unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        assert_eq!(open, 3, "standard input, output and error");
        for program in ["su", "mount"] {
            two.refused(&[("run", json!({ "argv": [program, "-c", "id"] }))]).await;
        }
        let mut session = client(&two.gateway, "attacker").connect("tools").await;
        let argv = [shell.to_str().unwrap(), "-p", "-c", "id -u"];
        let told = session.attack("run", json!({ "argv": argv })).await;
        let id: u32 = told["ok"].as_str().unwrap_or_else(|| panic!("{told}")).trim().parse().unwrap_or(0);
        assert!((20000..30000).contains(&id), "{told}");
    }
}

#[tokio::test]
async fn the_sweeper_is_never_slowed_down_by_whom_it_ends() {
    if !is_root() {
        return;
    }
    let gateway = Gateway::start("[timeouts]\neof = \"10ms\"\nterm = \"10ms\"");
    for _ in 0..5 {
        let mut session = gateway.client().connect("peer").await;
        let user = uid(*gateway.peers().first().unwrap());
        let began = session.attack("harass", json!({ "pid": gateway.sweeper() })).await;
        assert_eq!(began, json!({ "ok": true }));
        drop(session);
        until("it is gone", || processes_of(user).is_empty()).await;
        gateway.until_active(0).await;
        let policy = &stat(gateway.sweeper()).unwrap()[38];
        assert_eq!(policy, "0", "SCHED_OTHER");
    }
}

const NEW_USER: u32 = 0x1000_0000;
const NEW_MOUNTS: u32 = 0x0002_0000;
const NEW_PROCESSES: u32 = 0x2000_0000;

#[tokio::test]
async fn a_strict_session_is_alone_and_cannot_break_out() {
    if !is_root() {
        return;
    }
    let mut two = Two::start("strict", "").await;
    let pid = two.attacker.call("pid", json!({})).await;
    let mut attacks: Vec<(&str, Value)> = vec![
        ("mount", json!({ "path": "/tmp" })),
        ("trace", json!({ "pid": pid })),
        ("memory", json!({ "pid": pid })),
        ("put", json!({ "path": "/planted" })),
        ("put", json!({ "path": peer() })),
    ];
    attacks.extend([NEW_USER, NEW_MOUNTS, NEW_PROCESSES].map(|flag| ("unshare", json!({ "flags": flag }))));
    two.refused(&attacks).await;
    let seen = two.attacker.attack("look", json!({ "path": "/proc" })).await;
    let numbers =
        seen["ok"].as_array().unwrap().iter().filter(|name| name.as_str().unwrap().parse::<u32>().is_ok());
    assert_eq!(numbers.count(), 2, "itself and the attack: {seen}");
    for shared in ["/tmp", "/var/tmp", "/dev/shm"] {
        let seen = two.attacker.attack("look", json!({ "path": shared })).await;
        let names: Vec<&str> =
            seen["ok"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        // What leads to its private directory and to its program is there; nothing else of the host's.
        let needed = [two.gateway.place.path().to_owned(), peer().into()];
        let ways: Vec<&OsStr> =
            needed.iter().filter_map(|path| path.strip_prefix(shared).ok()?.iter().next()).collect();
        assert!(names.iter().all(|name| ways.contains(&OsStr::new(name))), "{shared}: {names:?}");
    }
}

#[tokio::test]
async fn without_a_network_there_is_a_loopback_of_its_own() {
    if !is_root() {
        return;
    }
    for profile in PROFILES {
        let mut two = Two::start(profile, "network = \"none\"").await;
        let port: u16 = two.gateway.address.rsplit(':').next().unwrap().parse().unwrap();
        assert_eq!(two.attacker.attack("serve_itself", json!({})).await, json!({ "ok": true }));
        two.refused(&[("connect", json!({ "host": "127.0.0.1", "port": port }))]).await;
        let mut open = Two::start(profile, "").await;
        let port: u16 = open.gateway.address.rsplit(':').next().unwrap().parse().unwrap();
        let reached = open.attacker.attack("connect", json!({ "host": "127.0.0.1", "port": port })).await;
        assert!(reached.get("ok").is_some(), "{reached}");
    }
}

#[tokio::test]
async fn children_that_a_session_foists_on_the_gateway_are_reaped_or_refused() {
    let gateway = Gateway::start("");
    let mut session = gateway.client().connect("peer").await;
    let before = gateway.descendants().len();
    for _ in 0..10 {
        session.call("attack", json!({ "act": "sibling", "with": {} })).await;
    }
    until("no zombies", || gateway.descendants().len() <= before).await;
    drop(session);
    until("nothing is left", || gateway.descendants().is_empty()).await;
}
