//! Names that the pages use: settings there are, and the parts of the sandbox that the program reports.

use std::process::Stdio;

use serde_json::Value;
use toml::Table;

use super::Faults;
use super::markdown::{Page, spans};
use crate::gateway::lockgate;

fn defaults() -> Table {
    std::fs::read_to_string(super::root().join("config/default.toml")).unwrap().parse().unwrap()
}

/// What is wrong with a name that looks like that of a setting.
fn fault(name: &str, defaults: &Table) -> Option<String> {
    let (section, key) = name.split_once('.')?;
    let section = defaults.get(section)?.as_table()?;
    let is_key = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    (is_key && !section.contains_key(key)).then(|| format!("there is no setting {name}"))
}

#[test]
fn every_setting_that_is_named_is_there() {
    let (mut faults, defaults) = (Faults::default(), defaults());
    for page in Page::all() {
        for (line, text) in page.prose() {
            for reason in spans(text).into_iter().filter_map(|name| fault(name, &defaults)) {
                faults.add(&page, line, reason);
            }
        }
    }
    faults.tell();
    assert!(fault("limits.sesions", &defaults).is_some() && fault("limits.sessions", &defaults).is_none());
}

#[test]
fn each_part_of_the_sandbox_that_doctor_names_is_explained() {
    let mut doctor = lockgate();
    let output = doctor.args(["doctor", "--no-servers", "--json"]).stdin(Stdio::null()).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let items = report["sandbox"]["items"].as_array().expect("a report");
    let page = Page::read("docs/sandbox.md");
    let rows: Vec<&str> = page.rows("part").iter().map(|(_, cells)| cells[0].trim_matches('`')).collect();
    for name in items.iter().map(|item| item["name"].as_str().unwrap()) {
        assert!(rows.contains(&name), "{}: no row explains {name:?}", page.name);
    }
    // This one is told of on Fly.io alone.
    let known = |row: &&&str| **row != "platform" && !items.iter().any(|item| item["name"] == **row);
    assert_eq!(rows.iter().find(known), None, "{}: there is no such part", page.name);
}
