//! What `/proc` knows of a gateway and of everything below it.

use std::collections::HashMap;
use std::fs;

use serde_json::{Value, json};

/// Clock ticks a second in `/proc/*/stat`: fixed on Linux.
const TICKS: f64 = 100.0;

#[derive(Clone, Debug)]
struct Stat {
    pid: u32,
    parent: u32,
    name: String,
    /// Own CPU time.
    ticks: u64,
    /// CPU time of children that were waited for.
    reaped_ticks: u64,
    threads: u64,
    zombie: bool,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = text.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let f: Vec<&str> = tail.split_ascii_whitespace().collect();
    let num = |i: usize| f.get(i).and_then(|s| s.parse::<u64>().ok());
    Some(Stat {
        pid,
        parent: num(1)? as u32,
        name,
        ticks: num(11)? + num(12)?,
        reaped_ticks: num(13)? + num(14)?,
        threads: num(17)?,
        zombie: f[0] == "Z",
    })
}

fn all() -> Vec<Stat> {
    let Ok(dir) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    dir.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).filter_map(stat).collect()
}

/// Resident and proportional set in KiB.
fn memory(pid: u32) -> (u64, u64) {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let field = |name: &str| {
        text.lines()
            .find_map(|l| l.strip_prefix(name))
            .and_then(|v| v.split_ascii_whitespace().next())
            .and_then(|v| v.parse().ok())
            .unwrap_or(0)
    };
    (field("Rss:"), field("Pss:"))
}

fn fds(pid: u32) -> u64 {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |d| d.count() as u64)
}

/// Resident set in KiB, cheap enough to poll.
pub fn rss_kb(pid: u32) -> u64 {
    fs::read_to_string(format!("/proc/{pid}/statm"))
        .ok()
        .and_then(|t| t.split_ascii_whitespace().nth(1)?.parse::<u64>().ok())
        .map_or(0, |pages| pages * 4)
}

pub fn own_cpu_s() -> f64 {
    stat(std::process::id()).map_or(0.0, |s| s.ticks as f64 / TICKS)
}

/// Live processes called `name`, wherever they hang in the process tree.
pub fn count_named(name: &str) -> usize {
    let name: String = name.chars().take(15).collect();
    all().iter().filter(|s| s.name == name && !s.zombie).count()
}

/// Whether `pid` runs and is called `name`.
pub fn runs(pid: u32, name: &str) -> bool {
    stat(pid).is_some_and(|s| s.name == name && !s.zombie)
}

#[derive(Default, Clone, Debug)]
pub struct Group {
    pub n: u64,
    pub rss_kb: u64,
    pub pss_kb: u64,
    pub threads: u64,
    pub fds: u64,
    ticks: u64,
}

impl Group {
    fn add(&mut self, s: &Stat) {
        let (rss, pss) = memory(s.pid);
        self.n += 1;
        self.rss_kb += rss;
        self.pss_kb += pss;
        self.threads += s.threads;
        self.fds += fds(s.pid);
        self.ticks += s.ticks;
    }

    fn json(&self, before: &Self) -> Value {
        json!({
            "n": self.n,
            "rss_kb": self.rss_kb,
            "pss_kb": self.pss_kb,
            "threads": self.threads,
            "fds": self.fds,
            "cpu_s": self.ticks.saturating_sub(before.ticks) as f64 / TICKS,
        })
    }
}

/// The gateway, its MCP servers (`children`, by name) and whatever else it
/// started (`helpers`: shells, wrappers).
#[derive(Default, Clone, Debug)]
pub struct Snapshot {
    pub alive: bool,
    pub gateway: Group,
    pub helpers: Group,
    pub children: Group,
    below_ticks: u64,
    own_cpu_s: f64,
}

impl Snapshot {
    pub fn take(gateway: u32, child_name: &str) -> Self {
        let child_name: String = child_name.chars().take(15).collect();
        let mut shot = Self { own_cpu_s: own_cpu_s(), ..Self::default() };
        let all = all();
        let mut below: HashMap<u32, Vec<&Stat>> = HashMap::new();
        for s in &all {
            below.entry(s.parent).or_default().push(s);
        }
        let Some(root) = all.iter().find(|s| s.pid == gateway && !s.zombie) else {
            return shot;
        };
        shot.alive = true;
        shot.gateway.add(root);
        shot.below_ticks = root.reaped_ticks;
        let mut queue = vec![gateway];
        while let Some(pid) = queue.pop() {
            for s in below.get(&pid).into_iter().flatten() {
                queue.push(s.pid);
                shot.below_ticks += s.ticks + s.reaped_ticks;
                if s.zombie {
                    continue;
                }
                if s.name == child_name {
                    shot.children.add(s);
                } else {
                    shot.helpers.add(s);
                }
            }
        }
        shot
    }

    /// Sizes as they are in `self`, CPU time since `before`.
    pub fn json(&self, before: &Self) -> Value {
        json!({
            "alive": self.alive,
            "gateway": self.gateway.json(&before.gateway),
            "helpers": self.helpers.json(&before.helpers),
            "children": self.children.json(&before.children),
            "descendants_cpu_s":
                self.below_ticks.saturating_sub(before.below_ticks) as f64 / TICKS,
            "loadgen_cpu_s": ((self.own_cpu_s - before.own_cpu_s) * 100.0).round() / 100.0,
        })
    }
}
