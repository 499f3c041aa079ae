//! What this host can do: each part of the sandbox is put in force once, for a process that then does
//! nothing. What fails is left out from then on and reported, or stops the start if it was asked for by name.

mod part;

use std::io;
use std::path::Path;
use std::sync::Arc;

use self::part::{LANDLOCK, NAMESPACES, NO_NETWORK, Part, SECCOMP};
use super::accounts::nobody_has;
use super::calls::Denied;
use super::cgroup::Groups;
use super::confinement::Confinement;
use super::files::{self, Files};
use super::namespaces::SHARED_PLACES;
use super::platform;
use super::remedy::{self, Obstacle};
use super::report::{Demand, Item, Lack, METADATA, Report, State};
use super::sweeper::Sweeper;
use super::uids::Uids;
use crate::backend::child::Spawner;
use crate::backend::unprepared::Unprepared;
use crate::settings::{self, NetworkAccess, Profile, UidRange};

/// What was found.
pub(super) struct Found {
    pub(super) common: Confinement,
    pub(super) uids: Option<Arc<Uids>>,
    pub(super) groups: Option<Groups>,
    pub(super) report: Report,
}

struct Rehearsal<'r> {
    settings: &'r settings::Sandbox,
    homes: &'r Path,
    spawner: &'r Spawner,
    is_root: bool,
    common: Confinement,
    items: Vec<Item>,
}

/// Where the locks of user ids are: one place for all gateways of a machine.
const LOCKS: &str = "/run/lockgate";
/// What a program may use where no group limits a session: node does not start with less.
const LEAST_DATA: u64 = 1 << 30;
const NOT_ROOT: &str = "the gateway does not run as root";

pub(super) fn rehearse(
    settings: &settings::Sandbox,
    homes: &Path,
    spawner: &Spawner,
    sweeper: &Sweeper,
) -> Result<Found, Unprepared> {
    let mut rehearsal = Rehearsal {
        settings,
        homes,
        spawner,
        is_root: rustix::process::geteuid().is_root(),
        common: Confinement::default(),
        items: Vec::new(),
    };
    let uids = rehearsal.uids(sweeper)?;
    let groups = rehearsal.groups();
    rehearsal.limits(uids.is_some(), groups.is_some());
    rehearsal.files()?;
    rehearsal.calls()?;
    rehearsal.namespaces()?;
    rehearsal.network()?;
    rehearsal.metadata(uids.is_some());
    rehearsal.platform(uids.is_some());
    let Rehearsal { common, items, .. } = rehearsal;
    let report = Report { profile: settings.profile, network: settings.network, items };
    match report.unmet() {
        None => Ok(Found { common, uids, groups, report }),
        Some(Demand { key, value, reasons }) => {
            Err(Unprepared::Lacking { key, value, reasons, report: Box::new(report) })
        }
    }
}

impl Rehearsal<'_> {
    fn uids(&mut self, sweeper: &Sweeper) -> Result<Option<Arc<Uids>>, Unprepared> {
        const PURPOSE: &str = "a user of its own for each session";
        if self.settings.profile == Profile::Off {
            self.note("uid", PURPOSE, State::NotWanted);
            return Ok(None);
        }
        if !self.is_root {
            let weaker = "all sessions are one user, kept apart by landlock at most, and what escapes from one is found by a variable that it can remove";
            let reason = format!("{NOT_ROOT}: {weaker}");
            self.note("uid", PURPOSE, State::Missing(Lack { reason, remedy: remedy::own_user() }));
            return Ok(None);
        }
        let range = self.settings.uids;
        nobody_has(range)?;
        let uids = Uids::prepare(range, Path::new(LOCKS), sweeper.clone())?;
        uids.rehearse(|uid| {
            let trial = Confinement { uid: Some(uid), powerless: true, ..Confinement::default() };
            // Without users of their own, sessions would run as root.
            let tried = self.spawner.rehearse(self.homes, trial);
            tried.map_err(|reason| part::without_users(reason, self.homes))
        })?;
        self.note("uid", PURPOSE, State::InForce(format!("{range}, and a sweep by uid at the end")));
        Ok(Some(Arc::new(uids)))
    }

    fn groups(&mut self) -> Option<Groups> {
        const PURPOSE: &str = "limits of memory, processes and processor for each session";
        if self.settings.profile == Profile::Off {
            self.note("cgroup", PURPOSE, State::NotWanted);
            return None;
        }
        match Groups::prepare(self.settings) {
            Ok(groups) => {
                let limits = format!(
                    "{}; {} MiB, {} processes",
                    groups.describe(),
                    self.settings.memory.as_u64() >> 20,
                    self.settings.processes
                );
                self.note("cgroup", PURPOSE, State::InForce(limits));
                Some(groups)
            }
            Err(reason) => {
                let remedy = remedy::groups(self.is_root);
                self.note("cgroup", PURPOSE, State::Missing(Lack { reason, remedy }));
                None
            }
        }
    }

    /// What needs no privilege, and so cannot be missing.
    fn limits(&mut self, own_user: bool, grouped: bool) {
        const PURPOSE: &str = "no core files, no new privileges, death with the gateway";
        if self.settings.profile == Profile::Off {
            self.note("process", PURPOSE, State::InForce("always".into()));
            return;
        }
        let memory = self.settings.memory.as_u64();
        self.common.modest = true;
        self.common.powerless = true;
        // The kernel counts by user, so this would count the gateway's own.
        self.common.max_processes = own_user.then_some(self.settings.processes);
        self.common.max_data = (!grouped).then_some(LEAST_DATA.max(memory.saturating_mul(2)));
        let form = match (own_user, grouped) {
            (_, true) => "and the first to go when memory is short",
            (true, false) => "processes by user, memory by process",
            (false, false) => "memory by process, processes without limit",
        };
        self.note("process", PURPOSE, State::InForce(form.into()));
    }

    fn files(&mut self) -> Result<(), Unprepared> {
        let files = Files::with(["/proc/self/exe".into()]);
        let trial = Confinement { files: Some(with_home(files, self.homes)), ..Confinement::default() };
        let form = || format!("Landlock {}", files::version().map_or("?".into(), |abi| format!("ABI {abi}")));
        if self.part(&LANDLOCK, trial, form)? {
            self.common.files = Some(Files::default());
        }
        Ok(())
    }

    fn calls(&mut self) -> Result<(), Unprepared> {
        let strict = self.settings.profile == Profile::Strict;
        let denied = if strict { Denied::Dangerous } else { Denied::Lasting };
        let trial = Confinement { denied: Some(denied), ..Confinement::default() };
        let form = || if strict { "and none that break out" } else { "IPC objects and keys" }.to_owned();
        if self.part(&SECCOMP, trial, form)? {
            self.common.denied = Some(denied);
        }
        Ok(())
    }

    fn namespaces(&mut self) -> Result<(), Unprepared> {
        if self.settings.profile != Profile::Strict {
            self.note(NAMESPACES.name, NAMESPACES.purpose, State::NotWanted);
            return Ok(());
        }
        let trial = Confinement { namespaces: true, ..Confinement::default() };
        let form = || "pid, mount, ipc, uts; everything else read-only".into();
        self.common.namespaces = self.part(&NAMESPACES, trial, form)?;
        if let Some(files) = self.common.files.as_mut().filter(|_| self.common.namespaces) {
            // What is shared elsewhere is the session's own now.
            files.writable.extend(SHARED_PLACES.map(Into::into));
        }
        Ok(())
    }

    fn network(&mut self) -> Result<(), Unprepared> {
        if self.settings.network == NetworkAccess::Full {
            self.note(NO_NETWORK.name, NO_NETWORK.purpose, State::NotWanted);
            return Ok(());
        }
        let trial = Confinement { no_network: true, ..Confinement::default() };
        self.common.no_network = self.part(&NO_NETWORK, trial, || "loopback only".into())?;
        Ok(())
    }

    /// What a cloud tells every process of the machine.
    fn metadata(&mut self, own_users: bool) {
        const PURPOSE: &str = "no credentials from a cloud's metadata service";
        let state = match self.settings.profile {
            Profile::Off => State::NotWanted,
            Profile::Default | Profile::Strict => {
                self.by_uid(own_users, platform::keep_from_metadata, Obstacle::metadata)
            }
        };
        self.note(METADATA, PURPOSE, state);
    }

    /// What else the machine's platform would let a session do.
    fn platform(&mut self, own_users: bool) {
        const PURPOSE: &str = "no identity and no private network of Fly.io";
        if platform::is_fly() && self.settings.profile != Profile::Off {
            let state = self.by_uid(own_users, platform::keep_from_fly, Obstacle::platform);
            self.note("platform", PURPOSE, state);
        }
    }

    /// Closes something to the users of sessions, if they have their own.
    fn by_uid(
        &self,
        own_users: bool,
        close: fn(UidRange) -> io::Result<()>,
        remedy: fn(&Obstacle) -> String,
    ) -> State {
        if !own_users {
            let reason = "sessions have no users of their own".into();
            return State::Missing(Lack { reason, remedy: remedy::own_user() });
        }
        match close(self.settings.uids) {
            Ok(()) => State::InForce("by uid".into()),
            Err(error) => State::Missing(self.explain(error, remedy)),
        }
    }

    /// Tries one part. Says whether it is in force from now on: only what the part itself meets with can tell
    /// that the host does not permit it.
    fn part(
        &mut self,
        part: &Part,
        trial: Confinement,
        form: impl Fn() -> String,
    ) -> Result<bool, Unprepared> {
        let state = match self.settings.profile {
            Profile::Off => State::NotWanted,
            Profile::Default | Profile::Strict => match self.spawner.rehearse(self.homes, trial) {
                Ok(()) => State::InForce(form()),
                Err(reason) => State::Missing(self.explain(part.obstacle(reason)?, part.remedy)),
            },
        };
        let in_force = matches!(state, State::InForce(_));
        self.note(part.name, part.purpose, state);
        Ok(in_force)
    }

    fn explain(&self, error: io::Error, remedy: fn(&Obstacle) -> String) -> Lack {
        let obstacle = Obstacle { is_root: self.is_root, error };
        Lack { reason: obstacle.reason(), remedy: remedy(&obstacle) }
    }

    fn note(&mut self, name: &'static str, purpose: &'static str, state: State) {
        self.items.push(Item { name, purpose, state });
    }
}

fn with_home(mut files: Files, home: &Path) -> Files {
    files.writable.push(home.to_owned());
    files
}
