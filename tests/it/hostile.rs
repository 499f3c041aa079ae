//! What the tests of the sandbox share: tenants, attacks, and what can be seen of sessions from the host.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::client::{Client, Session};
use crate::gateway::{Gateway, peer};

/// Says so when a test needs root and does not have it.
pub(crate) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED: this test starts sessions with users of their own, and needs root");
    }
    root
}

/// Settings of a tenant whose secret is its name, thrice.
pub(crate) fn tenant(name: &str) -> String {
    let digest = Sha256::digest(secret_of(name));
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("[tenants.{name}]\nsecrets = [\"sha256:{digits}\"]\nservers = [\"*\"]\n")
}

fn secret_of(name: &str) -> String {
    name.repeat(3)
}

impl Gateway {
    pub(crate) fn client_of(&self, tenant: &str) -> Client {
        Client::new(&self.url(""), &secret_of(tenant))
    }

    /// The scripted servers that run, by their ids on the host.
    pub(crate) fn peers(&self) -> BTreeSet<u32> {
        let program = PathBuf::from(peer()).canonicalize().unwrap();
        let runs = |pid: &u32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program);
        self.descendants().into_iter().filter(runs).collect()
    }
}

impl Session {
    /// Tries an act of `tests/peer/hostile.py`.
    pub(crate) async fn attack(&mut self, act: &str, with: Value) -> Value {
        self.call("attack", json!({ "act": act, "with": with })).await
    }
}

/// A line of a process's `status`.
pub(crate) fn status(pid: u32, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}

/// The user that a process has become.
pub(crate) fn uid(pid: u32) -> u32 {
    let text = status(pid, "Uid");
    let ids: BTreeSet<u32> = text.split_whitespace().map(|uid| uid.parse().unwrap()).collect();
    assert_eq!(ids.len(), 1, "one id, and no way back to another: {text}");
    ids.into_iter().next().unwrap()
}

pub(crate) fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Processes of this user, zombies too.
pub(crate) fn processes_of(uid: u32) -> Vec<u32> {
    let text = uid.to_string();
    pids().filter(|pid| status(*pid, "Uid").split_whitespace().any(|own| own == text)).collect()
}

/// Directories of control groups that a gateway has made.
pub(crate) fn groups_of(gateway: u32) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![PathBuf::from("/sys/fs/cgroup")]);
    let name = format!("lockgate.{gateway}.");
    while let Some(directory) = open.pop() {
        for path in directories(&directory) {
            if path.file_name().is_some_and(|own| own.to_string_lossy().starts_with(&name)) {
                found.extend(directories(&path));
            } else {
                open.push(path);
            }
        }
    }
    found
}

fn directories(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()).collect()
}
