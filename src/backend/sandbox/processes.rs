//! What `/proc` tells of other processes.

use std::fs;
use std::path::{Path, PathBuf};

/// A process with the user ids that decide who may signal it: real, effective and saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) pid: i32,
    pub(super) uids: [u32; 3],
}

/// All processes that can be seen, but for zombies, which can do nothing any more.
///
/// The directory's owner would be quicker to read, but a process that switches off its core dump has root
/// own it.
pub(super) fn all() -> impl Iterator<Item = Owned> {
    pids().filter_map(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if field("State:")?.starts_with('Z') {
            return None;
        }
        let mut uids = field("Uid:")?.split_whitespace().map_while(|uid| uid.parse().ok());
        Some(Owned { pid, uids: [uids.next()?, uids.next()?, uids.next()?] })
    })
}

pub(super) fn pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The private directory that a process was started with, if it is one of ours and says so.
pub(super) fn mark(pid: i32) -> Option<PathBuf> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let prefix = [MARK.as_bytes(), b"="].concat();
    let value = environment.split(|&byte| byte == 0).find_map(|variable| variable.strip_prefix(&*prefix))?;
    Some(Path::new(std::str::from_utf8(value).ok()?).to_owned())
}

/// The variable that every process of a session inherits: its private directory. Where there are no user
/// ids to tell sessions apart, it does.
pub(in crate::backend) const MARK: &str = "LOCKGATE_SESSION_DIR";
