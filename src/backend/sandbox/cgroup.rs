//! Control groups: what a session's processes may use together. Version 2 where it has the controllers,
//! else version 1, which is what Fly.io's machines have. `own` is the directory that those of one gateway are in.

mod own;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::backend::aside::ENDS;
use crate::settings;

/// Where this gateway's groups are, one directory for each hierarchy.
#[derive(Debug)]
pub(super) struct Groups {
    hierarchies: Vec<Hierarchy>,
    memory: u64,
    processes: u32,
}

#[derive(Debug)]
struct Hierarchy {
    version: Version,
    /// Our own directory; sessions are below.
    path: PathBuf,
    controllers: Vec<String>,
    /// Of that directory, held for as long as the gateway lives.
    _lock: File,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// One session's group, in each hierarchy.
#[derive(Debug)]
pub(super) struct Group {
    paths: Vec<(Version, PathBuf)>,
}

/// What every session needs. A share of the processor is welcome: as many as there are, all sessions together
/// weigh no more than one process outside.
const NEEDED: [&str; 2] = ["memory", "pids"];
const WELCOME: &str = "cpu";
/// How long a group's last process may take to go.
const EMPTY_WITHIN: Duration = Duration::from_secs(1);
const SHARED: &str =
    "others run in the gateway's control group; give it one of its own, as a service with Delegate=yes has";

impl Groups {
    /// Makes this gateway's directories, after removing those of gateways that are no more.
    ///
    /// # Errors
    /// With the reason, for people.
    pub(super) fn prepare(settings: &settings::Sandbox) -> Result<Self, String> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let hierarchies = version_two(&mounts, &own).or_else(|two| {
            version_one(&mounts, &own).map_err(|one| match one {
                Some(one) => one,
                None => two,
            })
        })?;
        let groups = Self { hierarchies, memory: settings.memory.as_u64(), processes: settings.processes };
        groups.create("rehearsal").and_then(Group::remove).map_err(|error| error.to_string())?;
        Ok(groups)
    }

    /// Which limits are in force, for the report.
    pub(super) fn describe(&self) -> String {
        let names = self.hierarchies.iter().flat_map(|h| h.controllers.iter().map(String::as_str));
        let version = if self.hierarchies.iter().any(|h| h.version == Version::Two) { "v2" } else { "v1" };
        format!("{version}: {}", names.collect::<Vec<_>>().join(", "))
    }

    /// A session's group. Its processes join by writing to [`Group::doors`].
    pub(super) fn create(&self, name: &str) -> io::Result<Group> {
        let mut group = Group { paths: Vec::new() };
        for hierarchy in &self.hierarchies {
            let path = hierarchy.path.join(name);
            fs::create_dir(&path)?;
            group.paths.push((hierarchy.version, path.clone()));
            for controller in &hierarchy.controllers {
                for (file, value, needed) in self.limits(hierarchy.version, controller) {
                    match fs::write(path.join(file), value) {
                        Err(error) if needed => return Err(error),
                        _ => {}
                    }
                }
            }
        }
        Ok(group)
    }

    /// Removes this gateway's directories; those of sessions must be gone.
    pub(super) fn leave(&self) {
        for hierarchy in &self.hierarchies {
            let _ = fs::remove_dir(&hierarchy.path);
        }
    }

    /// Files with what is written to them, and whether it matters if that fails.
    fn limits(&self, version: Version, controller: &str) -> Vec<(&'static str, String, bool)> {
        let (memory, processes) = (self.memory.to_string(), self.processes.to_string());
        match (version, controller) {
            (_, "pids") => vec![("pids.max", processes, true)],
            (Version::One, "memory") => vec![
                ("memory.limit_in_bytes", memory.clone(), true),
                ("memory.memsw.limit_in_bytes", memory, false),
            ],
            (Version::Two, "memory") => vec![
                ("memory.max", memory, true),
                ("memory.swap.max", "0".into(), false),
                // Half a session is of no use to anybody.
                ("memory.oom.group", "1".into(), false),
            ],
            _ => Vec::new(),
        }
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Group {
    /// A process of one thread joins by writing `0` to each of these.
    ///
    /// Version 1 can be told of a thread, for which the kernel need not wait until every processor has taken
    /// notice, as it must for a process: 0.4 ms instead of 10.
    pub(super) fn doors(&self) -> Vec<PathBuf> {
        let door = |version| match version {
            Version::One => "tasks",
            Version::Two => "cgroup.procs",
        };
        self.paths.iter().map(|(version, path)| path.join(door(*version))).collect()
    }

    /// Removes the group, which can be done once no process is in it. Blocks until then, for a second at
    /// most.
    pub(super) fn remove(mut self) -> io::Result<()> {
        std::mem::take(&mut self.paths).iter().try_for_each(|(_, path)| remove(path, EMPTY_WITHIN))
    }
}

impl Drop for Group {
    /// The way out after a panic or a cancelled start.
    fn drop(&mut self) {
        if !self.paths.is_empty() {
            let paths = std::mem::take(&mut self.paths);
            ENDS.begin(move || paths.iter().for_each(|(_, path)| drop(remove(path, EMPTY_WITHIN))));
        }
    }
}

/// A killed process leaves its group a moment later, and no event of version 1 tells when.
fn remove(path: &Path, within: Duration) -> io::Result<()> {
    let mut waited = Duration::ZERO;
    let mut pause = Duration::from_micros(200);
    loop {
        match fs::remove_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && waited < within => {
                std::thread::sleep(pause);
                waited += pause;
                pause *= 2;
            }
            other => return other,
        }
    }
}

/// Version 2, if it has the controllers.
fn version_two(mounts: &str, own: &str) -> Result<Vec<Hierarchy>, String> {
    let Some(mount) = mounts.lines().find_map(|line| mounted(line, |kind, _| kind == "cgroup2")) else {
        return Err("there is no cgroup file system".into());
    };
    let base = below(&mount, own, |line| line.strip_prefix("0::"));
    let available = fs::read_to_string(base.join("cgroup.controllers")).unwrap_or_default();
    let has = |name: &str| available.split_whitespace().any(|known| known == name);
    if let Some(missing) = NEEDED.iter().find(|name| !has(name)) {
        return Err(format!("cgroup v2 has no {missing} controller here"));
    }
    let controllers: Vec<String> =
        NEEDED.into_iter().chain([WELCOME]).filter(|name| has(name)).map(str::to_owned).collect();
    let enable = |at: &Path| {
        let list: Vec<String> = controllers.iter().map(|name| format!("+{name}")).collect();
        fs::write(at.join("cgroup.subtree_control"), list.join(" "))
    };
    let unwritable = |error: io::Error| format!("cgroup v2 cannot be written to: {error}");
    if enable(&base).is_err() {
        // A group with processes of its own cannot limit others below it, so ours move down first: the gateway
        // and its sweeper.
        let gateway = base.join("gateway");
        fs::create_dir_all(&gateway).map_err(unwritable)?;
        let processes = fs::read_to_string(base.join("cgroup.procs")).map_err(unwritable)?;
        for pid in processes.lines().filter(|pid| is_ours(pid)) {
            fs::write(gateway.join("cgroup.procs"), pid).map_err(unwritable)?;
        }
        enable(&base).map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy => SHARED.to_owned(),
            _ => unwritable(error),
        })?;
    }
    let (path, lock) = own::make(&base).map_err(unwritable)?;
    enable(&path).map_err(unwritable)?;
    Ok(vec![Hierarchy { version: Version::Two, path, controllers, _lock: lock }])
}

/// Whether this is the gateway, or its sweeper, which it has started already.
fn is_ours(pid: &str) -> bool {
    let own = std::process::id().to_string();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    pid == own || status.lines().any(|line| line.strip_prefix("PPid:").is_some_and(|id| id.trim() == own))
}

/// Version 1: a hierarchy for each controller. `None` if it is not there at all.
fn version_one(mounts: &str, own: &str) -> Result<Vec<Hierarchy>, Option<String>> {
    let mut hierarchies: Vec<Hierarchy> = Vec::new();
    for controller in NEEDED.into_iter().chain([WELCOME]) {
        let has = |list: &str| list.split(',').any(|name| name == controller);
        let mount = mounts.lines().find_map(|line| mounted(line, |kind, list| kind == "cgroup" && has(list)));
        let Some(mount) = mount else {
            if controller == WELCOME {
                continue;
            }
            return Err((!hierarchies.is_empty()).then(|| format!("cgroup v1 has no {controller} here")));
        };
        let base = below(&mount, own, |line| {
            let (list, path) = line.split_once(':')?.1.split_once(':')?;
            has(list).then_some(path)
        });
        // Some are mounted together.
        if let Some(known) = hierarchies.iter_mut().find(|known| known.path.parent() == Some(&base)) {
            known.controllers.push(controller.into());
            continue;
        }
        match own::make(&base) {
            Ok((path, lock)) => {
                let controllers = vec![controller.to_owned()];
                hierarchies.push(Hierarchy { version: Version::One, path, controllers, _lock: lock });
            }
            Err(_) if controller == WELCOME => {}
            Err(error) => return Err(Some(format!("cgroup v1 {controller} cannot be written to: {error}"))),
        }
    }
    Ok(hierarchies)
}

/// The mount point of a line of `mountinfo`, with what is mounted there of the hierarchy, if the file
/// system's type and options fit.
fn mounted(line: &str, fits: impl Fn(&str, &str) -> bool) -> Option<(PathBuf, String)> {
    let (mount, kind) = line.split_once(" - ")?;
    let mut kind = kind.split(' ');
    let (kind, options) = (kind.next()?, kind.nth(1)?);
    let mut mount = mount.split(' ').skip(3);
    let (root, point) = (mount.next()?, mount.next()?);
    fits(kind, options).then(|| (point.into(), root.to_owned()))
}

/// The directory of the group that we are in.
fn below((point, root): &(PathBuf, String), own: &str, path: impl Fn(&str) -> Option<&str>) -> PathBuf {
    let path = own.lines().find_map(path).unwrap_or("/");
    let inside = path.strip_prefix(root.trim_end_matches('/')).unwrap_or(path);
    let own = point.join(inside.trim_start_matches('/'));
    // In a container the path may be one that only the host knows.
    if own.is_dir() { own } else { point.clone() }
}
