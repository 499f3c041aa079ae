//! What `lockgate doctor` finds out, on hosts that can do more and less.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::client::Client;
use crate::gateway::{Gateway, SECRET, peer, until};
use crate::restricted::{AS_IN_DOCKER, AS_NOBODY};
use crate::traces::{homes, is_root, marked};

/// A place that every user can reach, with copies of the programs.
struct Place(tempfile::TempDir);

fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
}

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        mode(&place.path(""), 0o755);
        for (name, program) in [("lockgate", env!("CARGO_BIN_EXE_lockgate").to_owned()), ("peer", peer())] {
            let copy = place.path(name);
            fs::hard_link(&program, &copy).or_else(|_| fs::copy(&program, &copy).map(drop)).unwrap();
        }
        for (name, bits) in [("closed", 0o700), ("tmp", 0o1777)] {
            fs::create_dir(place.path(name)).unwrap();
            mode(&place.path(name), bits);
        }
        fs::copy(place.path("peer"), place.path("closed/peer")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Settings with these servers: a name, which program, and its arguments.
    fn settings(&self, more: &str, servers: &[(&str, &str)]) -> String {
        let server = |(name, command): &(&str, &str)| {
            format!("[servers.{name}]\nrun = {:?}\n", format!("{}/{command}", self.0.path().display()))
        };
        format!("{more}\n{}", servers.iter().map(server).collect::<String>())
    }

    /// A command that is run through others, which change who it is.
    fn run(&self, through: &[&str], arguments: &[&str], settings: &str) -> (i32, String, String) {
        let file = self.path("lockgate.toml");
        fs::write(&file, settings).unwrap();
        mode(&file, 0o644);
        let program = self.path("lockgate");
        // A gateway that should have refused to start would serve for ever.
        let words = ["timeout", "60"].iter().chain(through).map(PathBuf::from).chain([program]);
        let words: Vec<PathBuf> = words.chain(arguments.iter().map(PathBuf::from)).collect();
        let Output { status, stdout, stderr } = Command::new(&words[0])
            .args(&words[1..])
            .arg("--config")
            .arg(&file)
            .current_dir("/")
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("TMPDIR", self.path("tmp"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (status.code().unwrap(), plain(&stdout), plain(&stderr))
    }

    fn doctor(&self, through: &[&str], settings: &str) -> (i32, String) {
        let (code, stdout, stderr) = self.run(through, &["doctor"], settings);
        assert_eq!(stderr, "", "{stdout}");
        (code, stdout)
    }
}

/// On one line, wherever it was broken.
fn plain(text: &[u8]) -> String {
    String::from_utf8(text.to_vec()).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn holds(report: &str, expected: &[&str]) {
    for text in expected {
        assert!(report.contains(text), "{text:?} is not in: {report}");
    }
}

#[test]
fn root_a_plain_user_and_a_container_get_three_reports_and_each_is_true() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let settings = place.settings("", &[("good", "peer"), ("modern", "peer --stateless")]);
    let works =
        ["good ok peer 1 answered after", "(handshake era)", "modern ok it answered", "(stateless era)"];

    let (code, root) = place.doctor(&[], &settings);
    holds(
        &root,
        &[
            "root (uid 0)",
            "Sandbox, profile \"default\"",
            "uid ok a user of its own for each session (20000-",
        ],
    );
    holds(&root, &["namespaces off", "Every server that was tried works"]);
    holds(&root, &works);

    let (plain_code, nobody) = place.doctor(AS_NOBODY, &settings);
    holds(&nobody, &["(uid 65534), no capabilities", "uid MISSING", "the gateway does not run as root"]);
    holds(&nobody, &["remedy: run the gateway as root", "cgroup MISSING", "Delegate=yes"]);
    holds(&nobody, &works);
    assert!(!nobody.contains("--security-opt"), "what a container needs is of no use here: {nobody}");

    let (docker_code, docker) = place.doctor(AS_IN_DOCKER, &settings);
    holds(&docker, &["root (uid 0), 14 capabilities: chown, dac_override,", "uid ok", "cgroup MISSING"]);
    holds(&docker, &["Read-only file system", "--security-opt writable-cgroups=true", "--pids-limit"]);
    holds(&docker, &works);
    // With the default profile, what the host lacks is no failure.
    assert_eq!((code, plain_code, docker_code), (0, 0, 0));
}

#[test]
fn a_server_behind_a_closed_directory_is_named_with_the_remedy() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let settings = place.settings("", &[("good", "peer"), ("shut", "closed/peer")]);
    let told = format!(
        "{0}/closed/peer cannot be run by the users that sessions get: {0}/closed is closed to others (mode 700); \
         install it under /usr/local, or open the directory, or set sandbox.profile = \"off\"",
        place.0.path().display()
    );
    let (code, report) = place.doctor(&[], &settings);
    assert_eq!(code, 1);
    holds(&report, &["shut FAILED it cannot be started", &told, "good ok", "1 of 2 servers cannot be used"]);
    let (code, json, _) = place.run(&[], &["doctor", "--json", "--no-servers"], &settings);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["ok"]), (1, &false.into()));
    assert_eq!(json["servers"][1]["barrier"], told);
    assert!(json["servers"][0]["health"]["not_started"].is_string(), "{json}");
    assert_eq!(json["sandbox"]["items"][0]["name"], "uid");
    // Without the sandbox it is the gateway's user that counts, and that is root.
    let off = place.settings("[sandbox]\nprofile = \"off\"", &[("shut", "closed/peer")]);
    let (code, report) = place.doctor(&[], &off);
    assert_eq!(code, 0, "{report}");
}

#[tokio::test]
async fn a_start_warns_of_what_is_out_of_reach_and_the_log_of_a_502_says_it_again() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let settings = place.settings("", &[("shut", "closed/peer")]);
    let gateway = Gateway::start_bare(&settings, &[("LOCKGATE_SECRET", SECRET)]);
    let told = "/closed/peer cannot be run by the users that sessions get";
    let lines =
        |word: &str| gateway.log().lines().filter(|line| line.contains(told) && line.contains(word)).count();
    assert_eq!(lines("servers.shut: "), 1, "{}", gateway.log());
    assert!(gateway.log().contains("\"in_force\":\"uid (20000-29999"), "{}", gateway.log());
    let response = Client::new(&gateway.url(""), SECRET).get("/shut/sse").send().await.unwrap();
    assert_eq!(response.status(), 502);
    let text = response.text().await.unwrap();
    assert!(text.contains("its program could not be executed") && !text.contains("closed"), "{text}");
    until("the log says what is in the way", || lines("server not started") == 1).await;
}

#[test]
fn each_step_that_fails_is_told_and_nothing_is_left() {
    let place = Place::new();
    let timeouts = "[timeouts]\neof = \"50ms\"\nterm = \"50ms\"";
    let servers = [
        ("exits", "peer --exit 3"),
        ("lost", "no-such-program"),
        ("stubborn", "peer --ignore-term"),
        ("stocked", "peer --stocked"),
        ("bare", "peer --stateless"),
        ("unlisted", "peer --unlisted"),
        ("wrong", "peer"),
    ];
    let settings = place.settings(timeouts, &servers) + "era = \"stateless\"\n";
    let (code, report) = place.doctor(&[], &settings);
    assert_eq!(code, 1);
    holds(
        &report,
        &[
            "exits FAILED it does not answer because: it exited with status 3 before it answered its last line: peer: refusing to run",
            "lost FAILED it cannot be used because: `servers.lost.run` begins with",
            "stubborn ok peer 1 answered after",
            "(handshake era), 5 tools",
            "(stateless era), no tools",
            "unlisted FAILED it does not tell its tools because: it answered `tools/list` with error -32603 (no); tell those who maintain it",
            "wrong FAILED it does not answer because: it does not serve 2026-07-28; if `era` in its settings is wrong, leave it out",
            "4 of 7 servers cannot be used",
        ],
    );
    let mute = place.settings("[timeouts]\nstart = \"300ms\"", &[("mute", "peer --silent")]);
    let (code, report) = place.doctor(&[], &mute);
    assert_eq!(code, 1);
    holds(&report, &["mute FAILED", "it said nothing within the 300ms of timeouts.start"]);
    assert!(homes(&place.path("tmp")).is_empty());
    let left = marked(place.path("peer").to_str().unwrap());
    assert!(left.is_empty(), "a server outlives the doctor: {left:?}");
}

#[test]
fn no_address_is_taken_and_servers_can_be_left_alone() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("[listen]\naddress = \"{}\"", taken.local_addr().unwrap());
    let (code, report) = place.doctor(&[], &place.settings(&listen, &[("good", "peer")]));
    assert_eq!(code, 0, "{report}");
    assert!(!report.contains('\u{1b}'), "colour is for terminals");
    let broken = place.settings(&listen, &[("exits", "peer --exit 3")]);
    let (code, report, _) = place.run(&[], &["doctor", "--no-servers"], &broken);
    holds(&report, &["exits off not started: it was not to be started"]);
    assert_eq!(code, 0, "{report}");
    let (code, _, stderr) = place.run(&[], &["doctor"], "[sandbx]\n");
    assert!(code == 2 && stderr.contains("did you mean `sandbox`?"), "{stderr}");
}

#[test]
fn strict_refuses_to_start_without_a_part_and_names_it() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    for (sandbox, refusal, lacking) in [
        ("profile = \"strict\"", "sandbox.profile = \"strict\"", vec!["cgroup", "namespaces"]),
        ("network = \"none\"", "sandbox.network = \"none\"", vec!["network"]),
    ] {
        let settings = place.settings(&format!("[sandbox]\n{sandbox}"), &[("good", "peer")]);
        let (code, _, stderr) = place.run(AS_IN_DOCKER, &["serve", "--port", "0"], &settings);
        assert_eq!(code, 2);
        let (code, report) = place.doctor(AS_IN_DOCKER, &settings);
        assert_eq!(code, 1);
        holds(
            &report,
            &[refusal, "start FAILED", "good off not started: the gateway would not start", "remedy: "],
        );
        holds(&stderr, &[&format!("{refusal} cannot be had on this host")]);
        for name in lacking {
            holds(&stderr, &[&format!("{name} (")]);
            holds(&report, &[&format!("{name} MISSING")]);
        }
    }
}
