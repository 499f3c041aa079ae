//! What a gateway and its sessions leave on the machine, looked for from outside: processes and their users,
//! control groups, private directories, descriptors, memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::gateway::{Gateway, until};

/// Says so when the tests do not have what only root can do.
pub(crate) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("NOT ROOT: what needs users of their own for sessions is left out");
    }
    root
}

pub(crate) fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// A line of a process's `status`; empty if there is no such process.
pub(crate) fn status(pid: u32, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}

/// The user ids that a process has, of every kind; none if it is gone.
pub(crate) fn uids(pid: u32) -> BTreeSet<u32> {
    status(pid, "Uid").split_whitespace().map(|uid| uid.parse().unwrap()).collect()
}

/// The user that a process has become.
pub(crate) fn uid(pid: u32) -> u32 {
    let ids = uids(pid);
    assert_eq!(ids.len(), 1, "one id, and no way back to another: {ids:?}");
    ids.into_iter().next().unwrap()
}

/// Processes of this user, zombies too.
pub(crate) fn processes_of(user: u32) -> BTreeSet<u32> {
    processes_of_any(&BTreeSet::from([user]))
}

/// The same of all of these.
pub(crate) fn processes_of_any(users: &BTreeSet<u32>) -> BTreeSet<u32> {
    pids().filter(|pid| !uids(*pid).is_disjoint(users)).collect()
}

/// Processes that have this text in their arguments, whoever they belong to and whatever they escaped from. The
/// first thread of one that has ended has no arguments any more; others have.
pub(crate) fn marked(mark: &str) -> BTreeSet<u32> {
    let carries = |pid: &u32| {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        tasks
            .map(|task| fs::read(task.path().join("cmdline")).unwrap_or_default())
            .any(|line| line.windows(mark.len()).any(|part| part == mark.as_bytes()))
    };
    let me = std::process::id();
    pids().filter(|pid| *pid != me && carries(pid)).collect()
}

/// Whether the process runs; a zombie does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// Bytes that a process has written so far.
pub(crate) fn written(pid: u32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    io.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse().ok()).unwrap_or_default()
}

/// Whether the process cannot get rid of what it writes to its standard output, at this moment.
fn waits_to_write(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/syscall"))
        .is_ok_and(|call| call.starts_with("1 0x1 ") || call.starts_with("64 0x1 "))
}

/// The letter that `ps` shows, if there is such a process.
pub(crate) fn state(pid: u32) -> Option<char> {
    stat(pid)?.first()?.chars().next()
}

/// The fields of a process's `stat` from its state on.
pub(crate) fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit(')').next()?.split_whitespace().map(str::to_owned).collect())
}

/// Directories of control groups that this gateway has made for itself.
pub(crate) fn control_groups(gateway: u32) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let mut open: Vec<PathBuf> = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (point, kind) = (fields.next()?, fields.next()?);
            kind.starts_with("cgroup").then(|| point.into())
        })
        .collect();
    let name = format!("lockgate.{gateway}.");
    let mut found = Vec::new();
    while let Some(directory) = open.pop() {
        for path in directories(&directory) {
            let is_its = path.file_name().is_some_and(|own| own.to_string_lossy().starts_with(&name));
            if is_its { &mut found } else { &mut open }.push(path);
        }
    }
    found
}

/// Those that it has made for sessions.
pub(crate) fn session_groups(gateway: u32) -> Vec<PathBuf> {
    control_groups(gateway).iter().flat_map(|group| directories(group)).collect()
}

fn directories(within: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(within).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()).collect()
}

/// Private directories of sessions of the gateway with this TMPDIR.
pub(crate) fn homes(place: &Path) -> Vec<PathBuf> {
    let list = |path: &Path| -> Vec<PathBuf> {
        fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    list(place)
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("lockgate-")))
        .flat_map(|shared| list(&shared))
        .flat_map(|root| list(&root))
        .collect()
}

impl Gateway {
    /// The process that sweeps for it.
    pub(crate) fn sweeper(&self) -> u32 {
        children(self.pid()).into_iter().find(|pid| is_sweeper(*pid)).unwrap()
    }

    /// The launcher that waits for the next session, if it is there at this moment.
    pub(crate) fn standby(&self) -> Option<u32> {
        children(self.pid()).into_iter().find(|pid| is_launcher(*pid) && self.is_uninstructed(*pid))
    }

    /// Whether a child of the gateway has not become the leader of a group, which is the first of its orders.
    fn is_uninstructed(&self, child: u32) -> bool {
        let group = |pid| Some(stat(pid)?[2].clone());
        group(child).is_some_and(|of_child| group(self.pid()) == Some(of_child))
    }

    /// The same from its first moment on, in which it still looks like the gateway.
    fn is_spare(&self, child: u32) -> bool {
        let line = |pid| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        self.is_uninstructed(child) && (is_launcher(child) || line(child) == line(self.pid()))
    }

    /// All processes that descend from it, but for the one that sweeps and one that stands by.
    pub(crate) fn descendants(&self) -> BTreeSet<u32> {
        let own = children(self.pid());
        let spare = own.iter().copied().find(|pid| self.is_spare(*pid));
        let mut found = BTreeSet::new();
        let mut open = vec![self.pid()];
        while let Some(parent) = open.pop() {
            for child in children(parent) {
                if !is_sweeper(child) && spare != Some(child) && found.insert(child) {
                    open.push(child);
                }
            }
        }
        found
    }

    /// Waits until so many of its servers cannot get rid of what they write; not for moments, as those of
    /// whoever reads slowly.
    pub(crate) async fn until_stuck(&self, servers: usize) {
        let (mut before, mut times) = (BTreeMap::new(), 0);
        until("the servers wait", || {
            let waiting = self.descendants().into_iter().filter(|pid| waits_to_write(*pid));
            let now: BTreeMap<u32, u64> = waiting.map(|pid| (pid, written(pid))).collect();
            times = if now == before && now.len() >= servers { times + 1 } else { 0 };
            before = now;
            times > 50
        })
        .await;
    }

    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// The same without the locks of user ids, of which there are as many as were ever needed at once.
    pub(crate) fn descriptors_but_locks(&self) -> usize {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.pid())).into_iter().flatten().flatten();
        let targets = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
        targets.filter(|target| !target.starts_with("/run/lockgate")).count()
    }

    /// Memory in use, in KiB.
    pub(crate) fn resident(&self) -> usize {
        status(self.pid(), "VmRSS").trim_end_matches(" kB").parse().unwrap()
    }

    /// The most memory that ever was in use, in KiB.
    pub(crate) fn peak(&self) -> usize {
        status(self.pid(), "VmHWM").trim_end_matches(" kB").parse().unwrap()
    }

    /// CPU time so far, in clock ticks of 10 ms.
    pub(crate) fn cpu_ticks(&self) -> u64 {
        let stat = stat(self.pid()).unwrap();
        stat[11].parse::<u64>().unwrap() + stat[12].parse::<u64>().unwrap()
    }

    /// Private directories of its sessions.
    pub(crate) fn homes(&self) -> Vec<PathBuf> {
        homes(self.place.path())
    }
}

fn children(parent: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let lists = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

fn is_sweeper(pid: u32) -> bool {
    is_started_as(pid, b"lockgate\0__sweep\0")
}

fn is_launcher(pid: u32) -> bool {
    is_started_as(pid, b"lockgate\0__launch\0")
}

fn is_started_as(pid: u32, words: &[u8]) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(words))
}
