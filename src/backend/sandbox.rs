//! What a session's processes are kept from: other sessions, the gateway, and the host.
//!
//! [`Sandbox::prepare`] finds out what this host can do, by doing each part once, and from then on every
//! session gets exactly that. [`Sandbox::share`] is one session's share of it, and [`Share::make`] makes it: a
//! user id, a control group, rules for files and system calls. The launcher puts it in force;
//! [`Confined::sweep`] ends whatever the session has left, before its leader is reaped and its user id rests.
//!
//! `rehearsal` does each part once, `report` is what came of it, `remedy` what would help, `reach` (with
//! `script`) what keeps sessions from a server's program. `confinement` is what the launcher is told; its parts
//! are `cgroup`, `files` (Landlock), `calls` (seccomp), `namespaces` and, with `netlink`, `platform`.
//! `surroundings` are the files that a command needs. `uids` are the sessions' users, `accounts` everybody
//! else's; `sweeper` ends what is a session's, `processes` finds it.

mod accounts;
mod calls;
mod cgroup;
mod confinement;
mod files;
mod namespaces;
pub(super) mod netlink;
mod platform;
mod processes;
mod reach;
mod rehearsal;
mod remedy;
mod report;
mod script;
mod surroundings;
mod sweeper;
mod uids;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Gid, Uid};

#[cfg(test)]
pub(super) use self::platform::metadata;
pub use self::reach::Barrier;
pub use self::report::{Item, Lack, Report, State};
pub use self::sweeper::{is_sweeper, sweep};
pub use self::uids::{Exhausted, UidCount};

pub(super) use self::confinement::Confinement;
pub(super) use self::namespaces::{furnish, leave_host, leave_network};
pub(super) use self::processes::MARK;

use self::cgroup::{Group, Groups};
use self::files::Files;
use self::reach::{Reach, Visitor};
use self::rehearsal::Found;
use self::surroundings::Common;
use self::sweeper::Sweeper;
use self::uids::{Lease, Uids};
use super::aside::{ENDS, STARTS};
use super::child::{Abandoned, Spawner};
use super::unprepared::Unprepared;
use crate::catalog::Launch;
use crate::settings;

/// The sandbox of this gateway.
#[derive(Debug)]
pub(super) struct Sandbox {
    /// What each session gets, but for what is its own.
    common: Confinement,
    /// What no session is shown as a whole.
    places: Arc<Common>,
    uids: Option<Arc<Uids>>,
    groups: Option<Arc<Groups>>,
    sweeper: Sweeper,
    report: Report,
}

/// One session's share, of which nothing but its user id is there yet.
pub(super) struct Share {
    home: PathBuf,
    groups: Option<Arc<Groups>>,
    lease: Option<Lease>,
    sweeper: Sweeper,
}

/// One session's share. Dropping it sweeps too, without waiting.
#[derive(Debug)]
pub(super) struct Confined {
    home: PathBuf,
    group: Option<Group>,
    lease: Option<Lease>,
    sweeper: Sweeper,
    swept: bool,
}

impl Sandbox {
    /// Finds out what the host can do. `homes` is where the private directories will lie.
    pub(super) fn prepare(
        settings: &settings::Sandbox,
        homes: &Path,
        spawner: &Spawner,
    ) -> Result<Self, Unprepared> {
        let sweeper = Sweeper::start(homes.to_owned()).map_err(Unprepared::Sweeper)?;
        let Found { common, uids, groups, report } = rehearsal::rehearse(settings, homes, spawner, &sweeper)?;
        let own = homes.parent().into_iter().chain([&*settings.templates]);
        let (places, groups) = (Arc::new(Common::of_host(own)), groups.map(Arc::new));
        Ok(Self { common, places, uids, groups, sweeper, report })
    }

    /// Ends what gateways have left running that are no more.
    pub(super) fn end_all_of(&self, abandoned: &Abandoned) -> Result<(), Unprepared> {
        self.sweeper.find_now(abandoned.roots()).map_err(Unprepared::Sweeper)
    }

    /// What is in force.
    pub(super) fn report(&self) -> &Report {
        &self.report
    }

    /// Removes what belongs to no session.
    pub(super) fn leave(&self) {
        self.groups.iter().for_each(|groups| groups.leave());
    }

    /// How the user ids are used; `None` where sessions have none of their own.
    pub(super) fn uid_count(&self) -> Option<UidCount> {
        self.uids.as_ref().map(|uids| uids.count())
    }

    /// What keeps the sessions of a server from running it, if something does.
    pub(super) fn barrier(&self, plan: &Launch, search: &str) -> Option<Barrier> {
        let is_own = self.uids.is_some() && plan.container().is_none();
        let visitor = if is_own { Visitor::Stranger } else { Visitor::Gateway };
        let own_places = self.common.namespaces && plan.container().is_none();
        Reach { plan, visitor, own_places }.barrier(search)
    }

    /// What the command of this plan needs to read. Found out anew until it has run once.
    pub(super) async fn needed(&self, plan: &Launch, search: &str) -> Arc<[PathBuf]> {
        if self.common.files.is_none() || plan.container().is_some() {
            return Arc::default();
        }
        if let Some(known) = plan.needed() {
            return known;
        }
        let (places, plan, search) = (self.places.clone(), plan.clone(), search.to_owned());
        let found = STARTS.until_done(move || places.needed(plan.program(), plan.argv(), &search)).await;
        found.unwrap_or_default().into_iter().collect()
    }

    /// One session's share, and what its launcher is told. `home` will be its private directory.
    pub(super) async fn share(
        &self,
        plan: &Launch,
        home: &Path,
        needed: &[PathBuf],
    ) -> Result<(Share, Confinement), Exhausted> {
        let (home, sweeper) = (home.to_owned(), self.sweeper.clone());
        if plan.container().is_some() {
            // The command is the client of a daemon whose socket no session may reach.
            return Ok((Share { home, sweeper, groups: None, lease: None }, Confinement::default()));
        }
        let lease = match &self.uids {
            Some(uids) => Some(uids.lease().await?),
            None => None,
        };
        let mut confinement = self.common.clone();
        confinement.uid = lease.as_ref().map(Lease::uid);
        // Packages come from somewhere.
        confinement.no_network &= plan.fetch_key().is_none();
        if let Some(common) = confinement.files.take() {
            let mut files = Files::with(needed.iter().cloned());
            files.readable.extend(plan.readable().iter().cloned());
            files.writable.extend(plan.writable().iter().cloned().chain(common.writable));
            files.writable.push(home.clone());
            confinement.files = Some(files);
        }
        Ok((Share { home, sweeper, groups: self.groups.clone(), lease }, confinement))
    }
}

/// Between the attempts to sweep: a host that has no process or thread left has one a little later.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5)];

impl Share {
    /// Makes the control group, and the private directory, which is there by now, its user's. Blocks.
    pub(super) fn make(self, confinement: &mut Confinement) -> io::Result<Confined> {
        let Self { home, groups, lease, sweeper } = self;
        let name = home.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let group = groups.map(|groups| groups.create(name)).transpose()?;
        confinement.doors = group.as_ref().map(Group::doors).unwrap_or_default();
        if let Some(lease) = &lease {
            give(&home, lease.uid())?;
        }
        Ok(Confined { home, group, lease, sweeper, swept: false })
    }
}

impl Confined {
    /// The session's user, if it has one of its own.
    pub(super) fn uid(&self) -> Option<u32> {
        self.lease.as_ref().map(Lease::uid)
    }

    /// Ends every process of the session, and waits until they are gone.
    pub(super) async fn sweep(&mut self) {
        let mut pauses = PAUSES.into_iter();
        while let Err(error) = self.try_sweep().await {
            tracing::error!(%error, "a session could not be swept");
            let Some(pause) = pauses.next() else { break };
            tokio::time::sleep(pause).await;
        }
        if let Some(group) = self.group.take() {
            let removed = ENDS.until_done(|| group.remove()).await;
            if let Some(Err(error)) = removed {
                tracing::warn!(%error, "a session's control group could not be removed");
            }
        }
    }

    async fn try_sweep(&mut self) -> io::Result<()> {
        // Once it is asked for, it is done, whether anybody waits for it or not.
        self.swept = true;
        let swept = match &self.lease {
            Some(lease) => self.sweeper.kill(lease.uid()).await,
            None => self.sweeper.find(self.home.clone()).await,
        };
        self.swept = swept.is_ok();
        swept
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        if !self.swept {
            self.sweeper.later(self.lease.as_ref().map(Lease::uid), self.home.clone());
        }
    }
}

/// Makes a directory somebody's own.
fn give(path: &Path, uid: u32) -> io::Result<()> {
    Ok(rustix::fs::chown(path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid)))?)
}
