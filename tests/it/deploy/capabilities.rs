//! What the pages leave a gateway of root's rights is enough for its sandbox.

use std::process::Command;

use crate::gateway::{Gateway, SECRET, lockgate, with_peers};
use crate::traces::{is_root, processes_of, uid};

/// Those that all pages name.
pub(super) const NEEDED: [&str; 7] =
    ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_ADMIN", "SETGID", "SETUID"];

/// A gateway with these capabilities and no way to more.
fn gateway(capabilities: &[&str]) -> Gateway {
    let kept: String = capabilities.iter().map(|name| format!(",+{}", name.to_lowercase())).collect();
    let mut command = Command::new("setpriv");
    command.args(["--no-new-privs", &format!("--bounding-set=-all{kept}"), "--inh-caps=-all", "--"]);
    command.arg(lockgate().get_program()).env_clear().env("PATH", std::env::var("PATH").unwrap());
    let settings = with_peers("[timeouts]\neof = \"100ms\"\n");
    Gateway::start_by(command, tempfile::tempdir().unwrap(), &settings, &[("LOCKGATE_SECRET", SECRET)])
}

/// The parts of the sandbox that are missing.
fn lacks(gateway: &Gateway) -> Vec<String> {
    let log = gateway.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let missing = lines.filter(|line| line["message"] == "the sandbox lacks a part");
    missing.map(|line| line["item"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_capabilities_of_the_pages_are_enough_for_the_whole_sandbox() {
    if !is_root() {
        return;
    }
    let with_all = gateway(&NEEDED);
    // Whether control groups can be had is a matter of the machine.
    assert!(lacks(&with_all).iter().all(|item| item == "cgroup"), "{:?}", lacks(&with_all));
    // One that stays when its input ends, and has to be ended by another user than its own.
    let mut session = with_all.client().connect("other").await;
    let user = uid(session.pid().await);
    assert!(user >= 20000, "{user}");
    drop(session);
    with_all.until_active(0).await;
    assert!(processes_of(user).is_empty(), "{:?}", processes_of(user));
    let without: Vec<_> = NEEDED.into_iter().filter(|name| *name != "NET_ADMIN").collect();
    assert!(lacks(&gateway(&without)).contains(&"metadata".to_owned()));
}
