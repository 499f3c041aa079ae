//! What an operator deploys with: budgets that agree, files that are valid as they stand in the pages, a script that
//! says what to do.

mod capabilities;
mod docker;
mod kubernetes;
mod systemd;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::page_files::Page;

pub(crate) fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn duration(table: &toml::Table, path: &[&str]) -> Duration {
    let mut value = &toml::Value::Table(table.clone());
    for key in path {
        value = &value[*key];
    }
    humantime_serde::re::humantime::parse_duration(value.as_str().unwrap()).unwrap()
}

/// What `lockgate secret` could have made.
pub(crate) const CLUSTER_SECRET: &str = "VGhlIG5vZGVzIG9mIGEgdGVzdCBzaGFyZSB0aGlzIG9uZQ";

/// Fails if this is less time than a gateway with these settings may need to stop.
fn is_enough_to_stop(settings: &toml::Table, time: Duration) {
    let defaults: toml::Table = read("config/default.toml").parse().unwrap();
    let own = |key: &str| settings.get("timeouts").is_some_and(|timeouts| timeouts.get(key).is_some());
    let time_of = |key: &&str| duration(if own(key) { settings } else { &defaults }, &["timeouts", key]);
    let needed: Duration = ["drain", "eof", "term"].iter().map(time_of).sum();
    assert!(
        time >= needed + Duration::from_secs(4),
        "{time:?} < {needed:?} and what ending takes beyond that"
    );
}

/// Fails unless these settings are valid on a machine that has the programs of their servers.
fn is_valid(settings: &str) -> toml::Table {
    is_valid_with(settings, &[])
}

/// The same with these variables.
fn is_valid_with(settings: &str, variables: &[(&str, &str)]) -> toml::Table {
    let place = tempfile::tempdir().unwrap();
    for name in ["npx", "uvx"] {
        std::os::unix::fs::symlink("/bin/true", place.path().join(name)).unwrap();
    }
    let file = place.path().join("lockgate.toml");
    fs::write(&file, settings).unwrap();
    let mut check = crate::gateway::lockgate();
    check.args(["check", "--config"]).arg(&file).env("PATH", place.path());
    check.env("LOCKGATE_CLUSTER_SECRET", CLUSTER_SECRET).envs(variables.iter().copied());
    let output = check.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    settings.parse().unwrap()
}

/// A variable of fly.toml.
fn variable<'f>(fly: &'f toml::Table, name: &str) -> &'f str {
    fly["env"].get(name).unwrap_or_else(|| panic!("fly.toml sets no {name}")).as_str().unwrap()
}

#[test]
fn fly_waits_longer_than_the_gateway_needs_to_stop() {
    let mut production: toml::Table = read("config/production.toml").parse().unwrap();
    let fly: toml::Table = read("fly.toml").parse().unwrap();
    let drain = toml::Value::from(variable(&fly, "LOCKGATE__TIMEOUTS__DRAIN"));
    production.insert("timeouts".into(), toml::Table::from_iter([("drain".into(), drain)]).into());
    let kill = duration(&fly, &["kill_timeout"]);
    is_enough_to_stop(&production, kill);
    assert!(kill <= Duration::from_secs(300), "Fly.io gives no machine with shared processors more");
    Page::open("cluster.md").says(&format!("fly.toml) has {} s", kill.as_secs()));
    // A machine that takes as long as it may has half of the time left to come back.
    assert!(duration(&fly, &["deploy", "wait_timeout"]) >= kill * 2);
    assert_eq!(fly["kill_signal"].as_str(), Some("SIGTERM"));
    assert_eq!(fly["http_service"]["auto_stop_machines"].as_str(), Some("off"));
    assert_eq!(fly["http_service"]["checks"][0]["path"].as_str(), Some("/health"));
    let port = fly["http_service"]["internal_port"].as_integer().unwrap();
    assert!(production["listen"]["address"].as_str().unwrap().ends_with(&format!(":{port}")));
    assert!(read("Dockerfile").contains(&format!("EXPOSE {port}")));
}

#[test]
fn machines_on_fly_find_each_other_and_nobody_else_finds_where() {
    let fly: toml::Table = read("fly.toml").parse().unwrap();
    assert_eq!(variable(&fly, "LOCKGATE__CLUSTER__REACH"), "fly");
    let port = variable(&fly, "LOCKGATE__CLUSTER__LISTEN").strip_prefix("[::]:").expect("IPv6, all of it");
    let nodes = format!("{}.internal:{port}", fly["app"].as_str().unwrap());
    assert_eq!(variable(&fly, "LOCKGATE__CLUSTER__NODES"), nodes);
    // The only service is that of clients.
    assert!(!fly.contains_key("services") && variable(&fly, "PORT") != port);
    // Each is replaced while another serves.
    assert_eq!(fly["deploy"]["strategy"].as_str(), Some("rolling"));
    assert!(fly["http_service"]["min_machines_running"].as_integer() > Some(1));
    // The gateway says itself that it is full: the proxy would find no machine, and with it no session.
    let defaults: toml::Table = read("config/default.toml").parse().unwrap();
    let most = fly["http_service"]["concurrency"]["hard_limit"].as_integer();
    let (sessions, connections) = (&defaults["limits"]["sessions"], &defaults["limits"]["connections"]);
    assert!(most <= connections.as_integer(), "{most:?}");
    assert!(most > sessions.as_integer().map(|sessions| 2 * sessions), "{most:?}");
}

#[test]
fn what_runs_on_fly_is_valid() {
    let fly: toml::Table = read("fly.toml").parse().unwrap();
    let table = fly["env"].as_table().unwrap();
    let mut variables: Vec<_> =
        table.iter().map(|(name, value)| (&**name, value.as_str().unwrap())).collect();
    variables.push(("FLY_MACHINE_ID", "148e21ea7d9d38"));
    is_valid_with(&read("config/production.toml"), &variables);
}

#[test]
fn the_image_has_the_packages_that_it_serves() {
    let production: toml::Table = read("config/production.toml").parse().unwrap();
    let servers = production["servers"].as_table().unwrap();
    assert!(servers.values().all(|server| server["prefetch"].as_bool() == Some(true)));
    // Not below TMPDIR, which a machine may clear before it starts.
    assert_eq!(production["sandbox"]["templates"].as_str(), Some("/var/lib/lockgate"));
    let dockerfile = read("Dockerfile");
    let at = |line: &str| dockerfile.find(line).unwrap_or_else(|| panic!("no {line:?}"));
    assert!(at("ENV LOCKGATE_CONFIG=") < at("RUN lockgate prefetch"));
}

/// Stands for flyctl: fails at the step that `FAILS` names, and lists the secrets but for those that `LACKS` names.
const FAKE_FLY: &str = r#"#!/bin/sh
echo "$@" >> "$CALLS"
case "$1 $2" in
  "auth whoami") [ "$FAILS" != auth ] ;;
  "secrets list")
    [ "$FAILS" != list ] || exit 1
    for name in LOCKGATE_SECRET LOCKGATE_CLUSTER_SECRET; do
      [ "$name" = "$LACKS" ] || echo " $name | abc | 1h ago"
    done ;;
  status*) [ "$FAILS" != status ] ;;
  deploy*) [ "$FAILS" != deploy ] ;;
esac
"#;

fn deploy(variables: &[(&str, &str)], with_fly: bool) -> (bool, String, String) {
    let place = tempfile::tempdir().unwrap();
    let bin = place.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let calls = place.path().join("calls");
    fs::write(&calls, "").unwrap();
    if with_fly {
        let fly = bin.join("fly");
        fs::write(&fly, FAKE_FLY).unwrap();
        fs::set_permissions(&fly, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let output = Command::new("bash")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy.sh"))
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .env("CALLS", &calls)
        .env("HEALTH_TRIES", "1")
        .env("HEALTH_PAUSE", "0")
        .env("LOCKGATE_HEALTH_URL", "http://127.0.0.1:1/health")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.success(), said, fs::read_to_string(calls).unwrap())
}

#[test]
fn deploy_says_what_to_do_about_each_failure() {
    for (variables, with_fly, expected, deployed) in [
        (&[][..], false, "install it", false),
        (&[("FAILS", "auth")], true, "auth login", false),
        (&[("FAILS", "status")], true, "apps create lockgate", false),
        (&[("FAILS", "list")], true, "secrets list --app lockgate", false),
        (&[("LACKS", "LOCKGATE_SECRET")], true, "secrets set LOCKGATE_SECRET=<secret>", false),
        (
            &[("LACKS", "LOCKGATE_CLUSTER_SECRET")],
            true,
            "secrets set LOCKGATE_CLUSTER_SECRET=<secret>",
            false,
        ),
        (&[("FAILS", "deploy")], true, "the deployment failed", true),
        (&[], true, "did not become healthy", true),
    ] {
        let (success, said, calls) = deploy(variables, with_fly);
        assert!(!success, "{variables:?}: {said}");
        assert!(said.contains(expected) && said.contains("→"), "{variables:?}: {said}");
        assert_eq!(calls.contains("deploy --app lockgate\n"), deployed, "{variables:?}: {calls}");
    }
}

#[test]
fn deploy_waits_for_health_and_is_done() {
    let health = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/health", health.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = health.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    });
    let (success, said, calls) = deploy(&[("LOCKGATE_HEALTH_URL", &url), ("FLY_APP", "mine")], true);
    assert!(success, "{said}");
    // Its machines are where its name says.
    let nodes = "deploy --app mine --env LOCKGATE__CLUSTER__NODES=mine.internal:8002\n";
    assert!(calls.contains(nodes) && said.contains("mine is healthy"), "{said}");
    server.join().unwrap();
}

#[test]
fn what_the_image_serves_is_valid() {
    is_valid(&read("config/production.toml"));
}

/// The words in backticks in the first column of the page's tables.
fn explained(page: &Page) -> Vec<&str> {
    let firsts = page.text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |"));
    firsts.flat_map(|(first, _)| first.trim_matches('`').split("`, `")).collect()
}

#[test]
fn the_page_for_fly_explains_what_is_there() {
    let page = Page::open("fly.md");
    let (fly, script) = (read("fly.toml"), read("deploy.sh"));
    let words = explained(&page);
    assert!(words.len() > 8, "{words:?}");
    for word in words {
        let is_key = fly.lines().any(|line| line.trim().starts_with(&format!("{word} =")));
        let is_variable = script.contains(&format!("${{{word}:-"));
        assert!(is_key || is_variable, "{word} is neither in fly.toml nor in deploy.sh");
    }
    // The commands of the page are those that the script asks for.
    for command in [
        "apps create",
        "secrets set LOCKGATE_SECRET=<secret> --app",
        "secrets set LOCKGATE_CLUSTER_SECRET=<secret> --app",
    ] {
        assert!(page.text.contains(&format!("fly {command}")) && script.contains(command), "{command}");
    }
    page.says("./deploy.sh\n");
}
