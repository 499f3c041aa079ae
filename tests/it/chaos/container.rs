//! With what Docker leaves of root.

use serde_json::json;

use crate::restricted::{AS_IN_DOCKER, lockgate_by};
use crate::traces::is_root;

use super::field::Field;
use super::run::Run;

#[tokio::test(flavor = "multi_thread")]
async fn with_what_docker_leaves_of_root_each_session_is_somebody_and_its_escapees_are_ended() {
    if !is_root() {
        return;
    }
    let mut run = Run::new("capabilities of Docker");
    let place = tempfile::tempdir().unwrap();
    let mut field = Field::start_by(lockgate_by(AS_IN_DOCKER), place, &mut run.dice, &[]).await;
    let log = field.gateway.log();
    let missing: Vec<&str> = log.lines().filter(|line| line.contains("the sandbox lacks a part")).collect();
    assert!(missing.iter().any(|line| line.contains("\"cgroup\"")), "{missing:?}");
    assert!(!missing.iter().any(|line| line.contains("\"uid\"")), "{missing:?}");
    let mut sessions = field.connect("escaping", 4).await;
    let mut users = std::collections::BTreeSet::new();
    for session in &mut sessions {
        let status = session.call("status", json!({})).await.as_str().unwrap().to_owned();
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        assert_eq!(field("CapEff:"), "0000000000000000");
        assert_eq!(field("CapBnd:").trim_start_matches('0'), "a80425fb", "as in a container");
        users.insert(field("Uid:"));
    }
    assert_eq!(users.len(), sessions.len(), "{users:?}");
    assert!(!users.iter().any(|user| user.split_whitespace().any(|id| id == "0")), "{users:?}");
    drop(sessions);
    field.until_quiet().await;
}

#[test]
fn with_what_docker_leaves_of_root_strict_is_refused_by_name() {
    if !is_root() {
        return;
    }
    let output = lockgate_by(AS_IN_DOCKER)
        .args(["serve", "--port", "0"])
        .env("LOCKGATE_SECRET", crate::gateway::SECRET)
        .env("LOCKGATE__SANDBOX__PROFILE", "strict")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{text}");
    for part in ["sandbox.profile", "cgroup (", "namespaces (", "without the right"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
