//! What the processes of sessions use, as `/proc` tells it (proc(5)).

use std::collections::HashMap;
use std::fs;
use std::ops::AddAssign;
use std::os::unix::fs::MetadataExt;

use rustix::param::{clock_ticks_per_second, page_size};
use serde::Serialize;

use super::Starter;
use super::aside::LOOKS;

/// What one session's processes use together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    /// How many there are.
    pub processes: usize,
    /// Bytes that they have in memory; what several share counts for each.
    pub memory: u64,
    /// What those that live have had of the processor, in seconds.
    pub cpu: f64,
}

/// One process.
#[derive(Clone, Copy, Debug)]
struct Seen {
    parent: u32,
    group: u32,
    owner: u32,
    usage: Usage,
}

impl Starter {
    /// What the sessions with these first processes use, by first process. Those that are gone are not in it. The
    /// processes of containers are not ours to see.
    pub async fn usage(&self, leaders: Vec<u32>) -> HashMap<u32, Usage> {
        LOOKS.until_done(move || look(&leaders)).await.unwrap_or_default()
    }
}

fn look(leaders: &[u32]) -> HashMap<u32, Usage> {
    let seen: HashMap<u32, Seen> = pids().filter_map(|pid| Some((pid, Seen::look_at(pid)?))).collect();
    let mine = rustix::process::geteuid().as_raw();
    let mut usages: HashMap<u32, Usage> = HashMap::new();
    // A session with a user of its own has all that is this user's.
    let mut by_owner = HashMap::new();
    for leader in leaders {
        let Some(first) = seen.get(leader) else { continue };
        usages.insert(*leader, Usage::default());
        if first.owner != mine {
            by_owner.insert(first.owner, *leader);
        }
    }
    for (pid, process) in &seen {
        let owned = by_owner.get(&process.owner).copied();
        if let Some(leader) = owned.or_else(|| descended(*pid, &seen, &usages)) {
            *usages.entry(leader).or_default() += process.usage;
        }
    }
    usages
}

/// The first process of the session that a process has come from: it is that, or in its group, or some ancestor is.
fn descended(pid: u32, seen: &HashMap<u32, Seen>, leaders: &HashMap<u32, Usage>) -> Option<u32> {
    let mut at = pid;
    // While one looks, a parent can become its own descendant's child.
    for _ in 0..seen.len() {
        let process = seen.get(&at)?;
        let is_leader = |pid: &u32| leaders.contains_key(pid);
        match [at, process.group].into_iter().find(is_leader) {
            Some(leader) => return Some(leader),
            None => at = process.parent,
        }
    }
    None
}

impl Seen {
    fn look_at(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let owner = fs::metadata(format!("/proc/{pid}")).ok()?.uid();
        Self::read(&stat, owner)
    }

    /// From the fields behind the name, which may hold anything.
    #[expect(clippy::cast_precision_loss, reason = "seconds of processor time, to the hundredth")]
    fn read(stat: &str, owner: u32) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let ticks = number(11)? + number(12)?;
        let usage = Usage {
            processes: 1,
            memory: number(21)? * page_size() as u64,
            cpu: ticks as f64 / clock_ticks_per_second() as f64,
        };
        Some(Self { parent: fields.get(1)?.parse().ok()?, group: fields.get(2)?.parse().ok()?, owner, usage })
    }
}

impl Usage {
    /// What this process itself uses.
    pub fn own() -> Self {
        Seen::look_at(std::process::id()).map(|seen| seen.usage).unwrap_or_default()
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.processes += other.processes;
        self.memory += other.memory;
        self.cpu += other.cpu;
    }
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use rustix::process::{Pid, Signal, kill_process_group};

    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name_is() {
        let stat =
            "7 (a) (b) S 3 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 99 1000 25 18446744073709551615 1";
        let seen = Seen::read(stat, 1).unwrap();
        assert_eq!((seen.parent, seen.group), (3, 7));
        assert_eq!(seen.usage.memory, 25 * page_size() as u64);
        assert!((seen.usage.cpu - 200.0 / clock_ticks_per_second() as f64).abs() < 1e-9);
        assert!(Seen::read("7 (cat) S 3", 1).is_none());
    }

    #[test]
    fn what_a_session_has_started_counts_for_it_and_for_nobody_else() {
        let mut shell =
            Command::new("/bin/sh").args(["-c", "sleep 60 & sleep 60"]).process_group(0).spawn().unwrap();
        let mut other = Command::new("/bin/sleep").arg("60").process_group(0).spawn().unwrap();
        let (leader, bystander) = (shell.id(), other.id());
        let count = || look(&[leader, bystander, u32::MAX]);
        while count().get(&leader).is_none_or(|usage| usage.processes < 3) {
            std::thread::yield_now();
        }
        let usages = count();
        assert_eq!((usages[&leader].processes, usages[&bystander].processes, usages.len()), (3, 1, 2));
        assert!(usages[&leader].memory > usages[&bystander].memory);
        kill_process_group(Pid::from_child(&shell), Signal::KILL).unwrap();
        other.kill().unwrap();
        shell.wait().unwrap();
        other.wait().unwrap();
    }
}
