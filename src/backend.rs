//! What answers a session. One kind for now, a supervised child; a remote endpoint becomes a second arm
//! with the same [`Link`].

mod child;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use self::child::{Exit, Inlet, Line, Outlet, Sent, StartFailed, Unprepared, is_launcher, launch};

use self::child::{Containers, Homes, Process, Spawner, Standard};
use crate::catalog::{Engine, LaunchPlan};
use crate::lifecycle::Lifecycle;

/// Starts backends, so many at once.
#[derive(Debug)]
pub struct Starter {
    spawner: Spawner,
    /// Before the directory whose lock says whose they are.
    containers: Containers,
    homes: Homes,
    slots: Arc<Semaphore>,
    lifecycle: Lifecycle,
    max_line: usize,
}

/// The right to start one backend now. Held until the backend has shown life, so that a crowd of cold
/// starts does not bring the machine to its knees.
#[derive(Debug)]
pub struct StartSlot {
    _permit: OwnedSemaphorePermit,
}

/// A running backend.
#[derive(Debug)]
pub struct Link {
    /// Messages towards the backend.
    pub outlet: Outlet,
    /// Messages from the backend.
    pub inlet: Inlet,
    /// Its life.
    pub process: Process,
}

impl Starter {
    /// Prepares directories and the thread that spawns.
    ///
    /// # Errors
    /// If the host lets us have neither.
    pub fn new(slots: usize, max_line: usize, lifecycle: Lifecycle) -> Result<Self, Unprepared> {
        let (spawner, homes) = (Spawner::start()?, Homes::prepare()?);
        Ok(Self {
            containers: Containers::new(&homes, spawner.clone(), lifecycle.clone()),
            spawner,
            homes,
            slots: Arc::new(Semaphore::new(slots)),
            lifecycle,
            max_line,
        })
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

    /// Starts the backend of a plan. Cancelling leaves nothing behind.
    ///
    /// # Errors
    /// With the step that failed.
    pub async fn start(&self, plan: &LaunchPlan, _slot: &StartSlot) -> Result<Link, StartFailed> {
        let home = self.homes.create()?;
        let Standard { process, stdin, stdout } =
            Process::start(&self.spawner, plan, home, &self.containers, &self.lifecycle).await?;
        Ok(Link { outlet: Outlet::new(stdin), inlet: Inlet::new(stdout, self.max_line), process })
    }

    /// Removes, in the background, the containers of gateways that were killed. Must be called on a runtime.
    pub fn sweep_containers(&self, engines: Vec<Engine>) {
        self.containers.sweep(engines);
    }

    /// Reaps orphans of children that ended before them. Must be called on the main thread, which is where
    /// the kernel hands orphans to.
    pub fn reap_orphans(&self) {
        child::reap_orphans();
    }

    /// Ends every child at once, without waiting.
    pub fn kill_all(&self) {
        self.spawner.kill_all();
    }

    /// How long a slot is held at most: long enough for a package runner to start, short enough that a
    /// server that never answers does not keep others out.
    pub const SLOT_HOLD: Duration = Duration::from_secs(10);
}
