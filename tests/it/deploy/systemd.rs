//! The unit of docs/systemd.md.

use std::fs;
use std::process::Command;

use super::{capabilities, is_enough_to_stop, is_valid};
use crate::page_files::{Page, edited, installed};

fn unit() -> String {
    Page::open("systemd.md").file("/etc/systemd/system/lockgate.service")
}

/// What the unit sets a key to.
fn value<'u>(unit: &'u str, key: &str) -> &'u str {
    let mut values = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let value = values.next().unwrap_or_else(|| panic!("no {key}"));
    assert!(values.next().is_none(), "{key} twice");
    value
}

#[test]
fn systemd_knows_every_line() {
    let Some(analyze) = installed("systemd-analyze", "systemd") else { return };
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("lockgate.service");
    let verify = |unit: &str| {
        fs::write(&file, edited(unit, &[("/usr/local/bin/lockgate", env!("CARGO_BIN_EXE_lockgate"))]))
            .unwrap();
        let output = Command::new(&analyze).arg("verify").arg(&file).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (success, said) = verify(&unit());
    assert!(success && !said.contains("lockgate.service"), "{said}");
    // It only warns of what it does not know.
    let (_, said) = verify(&edited(&unit(), &[("ProtectHome=yes", "ProtectHomes=yes")]));
    assert!(said.contains("lockgate.service") && said.contains("ProtectHomes"), "{said}");
}

#[test]
fn it_may_take_as_long_as_its_settings_say() {
    let unit = unit();
    let credential = tempfile::NamedTempFile::new().unwrap();
    fs::write(&credential, "token\n").unwrap();
    let (name, _) = value(&unit, "LoadCredential").split_once(':').unwrap();
    let path = format!("/run/credentials/lockgate.service/{name}");
    let file = Page::open("systemd.md").file("lockgate.toml");
    let settings = is_valid(&edited(&file, &[(&path, credential.path().to_str().unwrap())]));
    let time = humantime_serde::re::humantime::parse_duration(value(&unit, "TimeoutStopSec")).unwrap();
    is_enough_to_stop(&settings, time);
    // Packages and sessions lie where the service may write.
    let state = format!("/var/lib/{}", value(&unit, "StateDirectory"));
    assert_eq!(settings["sandbox"]["templates"].as_str(), Some(&*state));
    assert_eq!(value(&unit, "Environment"), format!("TMPDIR={state}"));
    assert_eq!(format!("/run/{}", value(&unit, "RuntimeDirectory")), "/run/lockgate");
}

#[test]
fn nothing_of_it_breaks_the_sandbox() {
    let unit = unit();
    let capabilities: Vec<_> = value(&unit, "CapabilityBoundingSet")
        .split(' ')
        .map(|name| name.strip_prefix("CAP_").unwrap())
        .collect();
    assert_eq!(capabilities, capabilities::NEEDED);
    assert_eq!(value(&unit, "KillMode"), "mixed");
    assert_eq!(value(&unit, "ExecReload"), "/bin/kill -HUP $MAINPID");
    for controller in ["cpu", "memory", "pids"] {
        assert!(value(&unit, "Delegate").contains(controller));
    }
    let keys: Vec<_> = unit.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let page = Page::open("systemd.md");
    let table = page.text.split("| left out |").nth(1).unwrap();
    let left_out: Vec<_> = table.split('`').filter_map(|word| word.strip_suffix('=')).collect();
    assert!(left_out.len() >= 7, "{left_out:?}");
    let known = ["CapabilityBoundingSet"];
    for key in left_out.iter().filter(|key| !known.contains(key)) {
        assert!(!keys.contains(key), "{key} is said to be left out");
    }
    assert!(!unit.contains("ProtectProc") && value(&unit, "SystemCallFilter").starts_with('~'));
}
