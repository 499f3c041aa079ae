//! What docs/proxies.md says beside the files that run: numbers of ours, Traefik's files, and that each is valid.

use std::process::Command;

use serde_json::Value;

use super::proxy::Kind;
use crate::gateway::lockgate;
use crate::page_files::{Page, yaml};

/// The numbers of the page that stand for others of ours.
#[test]
fn the_page_knows_our_limits() {
    let page = Page::open("proxies.md");
    let defaults: toml::Table = crate::deploy::read("config/default.toml").parse().unwrap();
    assert_eq!(defaults["limits"]["message"].as_str(), Some("4MiB"));
    assert!(page.file("/etc/nginx/conf.d/lockgate.conf").contains("client_max_body_size 5m;"));
    assert_eq!(defaults["timeouts"]["heartbeat"].as_str(), Some("15s"));
    page.says("`timeouts.heartbeat` (15 s)");
    assert!(
        crate::deploy::read("src/http/connection.rs")
            .contains("KEEP_ALIVE: Duration = Duration::from_secs(75);")
    );
    page.says("idle for 75 s");
    for (file, keeps) in [
        ("/etc/nginx/conf.d/lockgate.conf", "keepalive_timeout 60s;"),
        ("/etc/caddy/Caddyfile", "keepalive 60s\n"),
        ("/etc/traefik/lockgate.yml", "idleConnTimeout: 60s\n"),
    ] {
        assert!(page.file(file).contains(keeps), "{file}");
    }
}

/// The keys of Traefik's reference for files (v3) that the page uses; a name of one's own is `*`.
const TRAEFIK: &[&str] = &[
    "entryPoints.*.address",
    "providers.file.filename",
    "http.routers.*.rule",
    "http.routers.*.entryPoints.*",
    "http.routers.*.service",
    "http.routers.*.tls",
    "http.services.*.loadBalancer.serversTransport",
    "http.services.*.loadBalancer.servers.*.url",
    "http.serversTransports.*.forwardingTimeouts.idleConnTimeout",
];
/// Below these stand names.
const NAMED: [&str; 4] = ["entryPoints", "http.routers", "http.services", "http.serversTransports"];

/// The paths to the leaves of a document.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (key, value) in members {
                leaves(value, &below(if NAMED.contains(&path) { "*" } else { key }), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| leaves(item, &below("*"), found)),
        _ => found.push(path.to_owned()),
    }
}

#[test]
fn traefik_is_told_what_it_knows() {
    let page = Page::open("proxies.md");
    let [install, routing] = ["traefik.yml", "lockgate.yml"].map(|name| {
        let documents = yaml(&page.file(&format!("/etc/traefik/{name}")));
        assert_eq!(documents.len(), 1);
        documents.into_iter().next().unwrap()
    });
    let mut found = Vec::new();
    [&install, &routing].into_iter().for_each(|document| leaves(document, "", &mut found));
    for path in &found {
        assert!(TRAEFIK.contains(&path.as_str()), "{path} is no key of Traefik's that is known here");
    }
    // Each name that is used is one that is given.
    let router = &routing["http"]["routers"]["lockgate"];
    assert!(install["entryPoints"].get(router["entryPoints"][0].as_str().unwrap()).is_some());
    let service = &routing["http"]["services"][router["service"].as_str().unwrap()]["loadBalancer"];
    let transport = service["serversTransport"].as_str().unwrap();
    assert!(routing["http"]["serversTransports"].get(transport).is_some());
    assert_eq!(install["providers"]["file"]["filename"], "/etc/traefik/lockgate.yml");
    assert_eq!(service["servers"][0]["url"], "http://127.0.0.1:8000");
}

#[test]
fn the_files_of_the_page_are_valid_as_they_stand() {
    let place = tempfile::tempdir().unwrap();
    if let Some(caddy) = Kind::Caddy.program() {
        let file = place.path().join("Caddyfile");
        std::fs::write(&file, Page::open("proxies.md").file("/etc/caddy/Caddyfile")).unwrap();
        let mut adapt = Command::new(caddy);
        adapt.args(["adapt", "--adapter", "caddyfile", "--validate", "--config"]).arg(file);
        let output = adapt.env("HOME", place.path()).env("XDG_DATA_HOME", place.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let file = place.path().join("lockgate.toml");
    std::fs::write(&file, Page::open("proxies.md").file("lockgate.toml")).unwrap();
    let output = lockgate().args(["check", "--config"]).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
