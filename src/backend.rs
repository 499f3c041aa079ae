//! What answers a session: a supervised child or a remote server, behind the same [`Link`].
//!
//! `link` is what a session has of its backend, `backlog` what it has still to say to it. `remote` is the
//! conversation with a remote server. `child` is the process and what belongs to it, `sandbox` what it is kept from,
//! `templates` the packages that it finds. `warm` are children that nobody has asked for yet. `unprepared` is why
//! there can be none of it on this host. `tree` removes what it leaves on disk, `aside` does what blocks,
//! `handover` carries values and descriptors between our own processes. `usage` is what children use of the
//! host. `addresses` are those by which sessions, too, reach the gateway.

mod addresses;
mod aside;
mod backlog;
mod child;
mod handover;
mod link;
mod remote;
mod sandbox;
mod templates;
mod tree;
mod unprepared;
mod usage;
mod warm;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use self::addresses::own_addresses;
pub use self::backlog::Backlog;
pub use self::child::{Exit, Framer, Line, StartFailed, Unrehearsed, is_launcher, launch};
pub use self::link::{Inlet, Life, Link, Outlet, Sent};
pub use self::remote::{Forbidden, Misplaced, http_client};
pub use self::sandbox::{Barrier, Exhausted, Item, Lack, Report, State, UidCount, is_sweeper, sweep};
pub use self::templates::{Amount, NotFetched, Provisions};
pub use self::unprepared::Unprepared;
pub use self::usage::Usage;

use self::aside::STARTS;
use self::child::{Containers, Equipment, Homes, Process, Spawner, Standard, Stdin, Stdout, search_path};
use self::remote::Remotes;
use self::sandbox::Sandbox;
use self::templates::Templates;
use self::warm::Warm;
use crate::catalog::{Endpoint, Engine, Launch};
use crate::ids::ServerName;
use crate::lifecycle::Lifecycle;
use crate::settings::Settings;

/// Starts backends, so many at once.
#[derive(Debug)]
pub struct Starter {
    /// Before the directory whose lock says that it is ours.
    equipment: Equipment,
    homes: Homes,
    templates: Templates,
    slots: Arc<Semaphore>,
    warm: Warm,
    remotes: Remotes,
    max_line: usize,
}

/// The right to start one backend now. Held until the backend has shown life, so that a crowd of cold
/// starts does not bring the machine to its knees.
#[derive(Debug)]
pub struct StartSlot {
    _permit: OwnedSemaphorePermit,
}

impl Starter {
    /// Prepares directories, the sandbox and the thread that spawns. What a gateway that was killed has
    /// left running has ended when this comes back.
    ///
    /// # Errors
    /// If the host lets us not have what is needed or asked for.
    pub fn new(settings: &Settings, lifecycle: Lifecycle) -> Result<Self, Unprepared> {
        let spawner = Spawner::start()?;
        let (homes, abandoned) = Homes::prepare()?;
        let sandbox = Sandbox::prepare(&settings.sandbox, homes.root(), &spawner)?;
        sandbox.end_all_of(&abandoned)?;
        abandoned.remove();
        let containers = Containers::new(&homes, spawner.clone(), lifecycle.clone());
        Ok(Self {
            equipment: Equipment { spawner, sandbox, containers, lifecycle },
            homes,
            templates: Templates::prepare(settings)?,
            slots: Arc::new(Semaphore::new(settings.limits.starts)),
            warm: Warm::default(),
            remotes: Remotes::new(settings),
            max_line: usize::try_from(settings.limits.line.as_u64()).unwrap_or(usize::MAX),
        })
    }

    /// What sessions are kept from, and what the host cannot do.
    pub fn report(&self) -> &Report {
        self.equipment.sandbox.report()
    }

    /// How the user ids of sessions are used; `None` where they have none of their own.
    pub fn uid_count(&self) -> Option<UidCount> {
        self.equipment.sandbox.uid_count()
    }

    /// What keeps the sessions of a server from running it, if something does.
    pub fn barrier(&self, plan: &Launch) -> Option<Barrier> {
        self.equipment.sandbox.barrier(plan, &search_path())
    }

    /// What keeps sessions from these servers, by name. Looking at their files may take long.
    pub async fn barriers(self: &Arc<Self>, plans: Vec<Launch>) -> Vec<(ServerName, Barrier)> {
        let this = self.clone();
        let look = move |plan: &Launch| Some((plan.server().clone(), this.barrier(plan)?));
        STARTS.until_done(move || plans.iter().filter_map(look).collect()).await.unwrap_or_default()
    }

    /// A slot if one is free now.
    pub fn try_slot(&self) -> Option<StartSlot> {
        self.slots.clone().try_acquire_owned().ok().map(|permit| StartSlot { _permit: permit })
    }

    /// Waits for a slot; first come, first served.
    pub async fn slot(&self) -> StartSlot {
        match self.slots.clone().acquire_owned().await {
            Ok(permit) => StartSlot { _permit: permit },
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Starts the backend of a plan, with what was [provided](Self::provide) for it. Cancelling leaves
    /// nothing behind.
    ///
    /// # Errors
    /// With the step that failed.
    pub async fn start(
        &self,
        plan: &Launch,
        provisions: Provisions,
        _slot: &StartSlot,
    ) -> Result<Link, StartFailed> {
        let started = Process::start(&self.equipment, plan, self.homes.site()?, provisions).await?;
        Ok(self.link(plan, started)?)
    }

    /// What the caller talks to the backend by, on the caller's runtime from now on.
    fn link(&self, plan: &Launch, started: Standard) -> io::Result<Link> {
        let Standard { process, stdin, stdout, needed } = started;
        let unproven = plan.needed().is_none().then(|| (plan.clone(), needed));
        let stdin = Stdin::new(pipe::Sender::from_owned_fd(stdin)?);
        let stdout = Stdout::new(pipe::Receiver::from_owned_fd(stdout)?, self.max_line, unproven);
        Ok(Link::to_child(process, stdin, stdout))
    }

    /// Begins a conversation with a remote server, on the caller's runtime. Nothing is sent before there is
    /// something to say. Cancelling leaves nothing behind.
    ///
    /// # Errors
    /// If no server may be where it is.
    pub fn reach(&self, endpoint: &Endpoint) -> Result<Link, StartFailed> {
        Ok(self.remotes.reach(endpoint.clone(), &self.equipment.lifecycle)?)
    }

    /// Removes, in the background, the containers of gateways that were killed. Must be called on a runtime.
    pub fn sweep_containers(&self, engines: Vec<Engine>) {
        self.equipment.containers.sweep(engines);
    }

    /// Has the next session's process wait from now on, half started. To be called once nothing changes any more
    /// that a process inherits: where the gateway's control group is, and whom its orphans go to.
    pub fn stand_by(&self) {
        self.equipment.spawner.stand_by();
    }

    /// Reaps orphans of children that ended before them. Must be called on the main thread, which is where
    /// the kernel hands orphans to.
    pub fn reap_orphans(&self) {
        child::reap_orphans();
    }

    /// Ends every child at once, without waiting.
    pub fn kill_all(&self) {
        self.equipment.spawner.kill_all();
    }

    /// Leaves what sessions have left on disk to the next start, which sweeps it: for who has no time.
    pub fn abandon(&self) {
        self.homes.abandon();
    }

    /// Removes what the gateway has made for itself; no session may be left. `Drop` is not enough: when a
    /// gateway has stopped, its workers may hold parts of it until the process is gone.
    pub fn leave(&self) {
        self.equipment.sandbox.leave();
        self.homes.leave();
    }

    /// How long a slot is held at most: long enough for a package runner to start, short enough that a
    /// server that never answers does not keep others out.
    pub const SLOT_HOLD: Duration = Duration::from_secs(10);
}
