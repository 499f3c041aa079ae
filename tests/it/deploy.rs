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

/// Fails if this is less time than a gateway with these settings may need to stop.
fn is_enough_to_stop(settings: &toml::Table, time: Duration) {
    assert!(!settings.contains_key("timeouts"), "then the budget below is not what is deployed");
    let defaults: toml::Table = read("config/default.toml").parse().unwrap();
    let needed: Duration =
        ["drain", "eof", "term"].iter().map(|key| duration(&defaults, &["timeouts", key])).sum();
    assert!(
        time >= needed + Duration::from_secs(4),
        "{time:?} < {needed:?} and what ending takes beyond that"
    );
}

/// Fails unless these settings are valid on a machine that has the programs of their servers.
fn is_valid(settings: &str) -> toml::Table {
    let place = tempfile::tempdir().unwrap();
    for name in ["npx", "uvx"] {
        std::os::unix::fs::symlink("/bin/true", place.path().join(name)).unwrap();
    }
    let file = place.path().join("lockgate.toml");
    fs::write(&file, settings).unwrap();
    let mut check = crate::gateway::lockgate();
    let output = check.args(["check", "--config"]).arg(&file).env("PATH", place.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    settings.parse().unwrap()
}

#[test]
fn fly_waits_longer_than_the_gateway_needs_to_stop() {
    let production: toml::Table = read("config/production.toml").parse().unwrap();
    let fly: toml::Table = read("fly.toml").parse().unwrap();
    is_enough_to_stop(&production, duration(&fly, &["kill_timeout"]));
    assert_eq!(fly["kill_signal"].as_str(), Some("SIGTERM"));
    assert_eq!(fly["http_service"]["auto_stop_machines"].as_str(), Some("off"));
    assert_eq!(fly["http_service"]["checks"][0]["path"].as_str(), Some("/health"));
    let port = fly["http_service"]["internal_port"].as_integer().unwrap();
    assert!(production["listen"]["address"].as_str().unwrap().ends_with(&format!(":{port}")));
    assert!(read("Dockerfile").contains(&format!("EXPOSE {port}")));
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

/// Stands for flyctl: fails at the step that `FAILS` names, and lists a secret unless `NO_SECRET` is set.
const FAKE_FLY: &str = r#"#!/bin/sh
echo "$@" >> "$CALLS"
case "$1 $2" in
  "auth whoami") [ "$FAILS" != auth ] ;;
  "secrets list") [ -n "$NO_SECRET" ] || echo " LOCKGATE_SECRET | abc | 1h ago" ;;
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
        (&[("NO_SECRET", "1")], true, "secrets set LOCKGATE_SECRET=<secret>", false),
        (&[("FAILS", "deploy")], true, "the deployment failed", true),
        (&[], true, "did not become healthy", true),
    ] {
        let (success, said, calls) = deploy(variables, with_fly);
        assert!(!success, "{variables:?}: {said}");
        assert!(said.contains(expected) && said.contains("→"), "{variables:?}: {said}");
        assert_eq!(calls.contains("deploy --app lockgate"), deployed, "{variables:?}: {calls}");
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
    assert!(calls.contains("deploy --app mine") && said.contains("mine is healthy"), "{said}");
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
    for command in ["apps create", "secrets set LOCKGATE_SECRET=<secret> --app"] {
        assert!(page.text.contains(&format!("fly {command}")) && script.contains(command), "{command}");
    }
    page.says("./deploy.sh\n");
}
