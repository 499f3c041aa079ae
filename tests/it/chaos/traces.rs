//! What a gateway may leave on the host, looked for from outside.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

pub(super) fn is_root() -> bool {
    fs::read_to_string("/proc/self/status").unwrap().contains("\nUid:\t0\t0\t")
}

/// Processes that have this word in their arguments, whoever they belong to and whatever they escaped from.
pub(super) fn marked(mark: &str) -> BTreeSet<u32> {
    let has = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| String::from_utf8_lossy(word).contains(mark))
    };
    let me = std::process::id();
    pids().filter(|pid| *pid != me && has(pid)).collect()
}

/// Processes, zombies among them, that one of these users has.
pub(super) fn owned_by(users: &BTreeSet<u32>) -> Vec<u32> {
    if users.is_empty() {
        return Vec::new();
    }
    pids().filter(|pid| uid(*pid).is_some_and(|uid| users.contains(&uid))).collect()
}

pub(super) fn uid(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Directories of control groups that this gateway has made: its own, and those of sessions below.
pub(super) fn control_groups(gateway: u32) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let points = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        kind.starts_with("cgroup").then(|| PathBuf::from(point))
    });
    points.flat_map(|point| named(&point, &format!("lockgate.{gateway}."), 4)).collect()
}

pub(super) fn session_groups(gateway: u32) -> Vec<PathBuf> {
    control_groups(gateway).iter().flat_map(|group| directories(group)).collect()
}

fn named(within: &Path, name: &str, depth: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for directory in directories(within) {
        if directory.file_name().is_some_and(|own| own.to_string_lossy().starts_with(name)) {
            found.push(directory);
        } else if depth > 0 {
            found.extend(named(&directory, name, depth - 1));
        }
    }
    found
}

fn directories(within: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(within).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Open descriptors, but for the locks of user ids, of which there are as many as were ever needed at once.
pub(super) fn descriptors(pid: u32) -> usize {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter(|target| !target.starts_with("/run/lockgate"))
        .count()
}
