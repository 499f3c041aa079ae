//! What a gateway was given beyond its user does not reach its sessions.

use std::process::Command;

use crate::gateway::{Gateway, SECRET, lockgate};
use crate::traces::{is_root, status};

#[tokio::test]
async fn capabilities_that_a_service_was_given_are_its_own() {
    if !is_root() {
        return;
    }
    // As a unit of systemd with AmbientCapabilities=CAP_NET_BIND_SERVICE.
    let given = ["--inh-caps", "+net_bind_service", "--ambient-caps", "+net_bind_service"];
    let gateway = Gateway::start_as_nobody_in(tempfile::tempdir().unwrap(), &given, "");
    assert_ne!(status(gateway.pid(), "CapAmb"), "0000000000000000", "the gateway has it");
    let _session = gateway.client().connect("peer").await;
    let pid = *gateway.peers().first().unwrap();
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(pid, set), "0000000000000000", "{set}");
    }
}

#[test]
fn where_a_change_of_user_leaves_root_its_power_the_gateway_does_not_start() {
    if !is_root() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let told = Command::new("timeout")
        .args(["20", "setpriv", "--securebits", "+no_setuid_fixup", "--"])
        .arg(lockgate().get_program())
        .args(["serve", "--port", "0"])
        .env("LOCKGATE_SECRET", SECRET)
        .env("TMPDIR", place.path())
        .current_dir(place.path())
        .output()
        .unwrap();
    assert_eq!(told.status.code(), Some(2));
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(told.contains("may not give sessions users of their own"), "{told}");
}
