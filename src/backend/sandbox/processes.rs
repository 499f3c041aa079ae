//! What `/proc` tells of other processes.

use std::fs;
use std::path::{Path, PathBuf};

/// A process with the user ids that decide who may signal it: real, effective and saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) pid: i32,
    pub(super) uids: [u32; 3],
}

/// All processes that can be seen, but for zombies, which can do nothing any more. One that has other threads
/// only looks like a zombie: its first thread has ended, and the rest goes on.
///
/// The directory's owner would be quicker to read, but a process that switches off its core dump has root
/// own it.
pub(super) fn all() -> impl Iterator<Item = Owned> {
    pids().filter_map(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if field("State:")?.starts_with('Z') && field("Threads:")? == "1" {
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
    let environment = environment(pid)?;
    let prefix = [MARK.as_bytes(), b"="].concat();
    let value = environment.split(|&byte| byte == 0).find_map(|variable| variable.strip_prefix(&*prefix))?;
    Some(Path::new(std::str::from_utf8(value).ok()?).to_owned())
}

/// Of its first thread, or of another if that has ended.
fn environment(pid: i32) -> Option<Vec<u8>> {
    let own = |path: &str| fs::read(format!("{path}/environ")).ok().filter(|text| !text.is_empty());
    let process = format!("/proc/{pid}");
    own(&process).or_else(|| {
        let threads = fs::read_dir(format!("{process}/task")).ok()?.flatten();
        threads.filter_map(|thread| own(thread.path().to_str()?)).next()
    })
}

/// The variable that every process of a session inherits: its private directory. Where there are no user
/// ids to tell sessions apart, it does.
pub(in crate::backend) const MARK: &str = "LOCKGATE_SESSION_DIR";

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn who_only_looks_like_a_zombie_is_seen_and_its_mark_too() {
        let exit = nix::libc::SYS_exit;
        let script = format!(
            "import ctypes, threading, time\n\
             threading.Thread(target=lambda: time.sleep(60)).start()\n\
             ctypes.CDLL(None).syscall({exit}, 0)"
        );
        let mut python = Command::new("/usr/bin/python3");
        let mut child = python.args(["-c", &script]).env(MARK, "/a/home").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let status = format!("/proc/{pid}/status");
        while !fs::read_to_string(&status).unwrap().contains("State:\tZ") {
            std::thread::yield_now();
        }
        let (seen, found) = (all().any(|process| process.pid == pid), mark(pid));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(seen);
        assert_eq!(found.as_deref(), Some(Path::new("/a/home")));
    }
}
