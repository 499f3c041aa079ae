//! The containers of sessions (security.md T41). A container is no descendant of the client that starts it:
//! it belongs to a daemon and goes on when its client is killed. So each gets labels when it is made, and
//! is removed by them: when its session has ended, or by the next gateway if this one was killed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::engine::{self, Unasked};
use super::home::random_name;
use super::homes::Homes;
use super::launcher::Orders;
use super::marks::{Left, Mark};
use super::process::Exit;
use super::spawner::Spawner;
use crate::catalog::{ContainerRun, Engine, Launch};
use crate::lifecycle::Lifecycle;

/// What this gateway's containers are made and removed with. Clones are the same.
#[derive(Clone, Debug)]
pub(in crate::backend) struct Containers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The random name that is on every container.
    gateway: String,
    mark: Mark,
    spawner: Spawner,
    lifecycle: Lifecycle,
}

/// The container of one session, from before it is made. Call [`Container::remove`] in the end; dropping it
/// leaves that to a task, for the case of a panic or a cancelled start.
#[derive(Debug)]
pub(super) struct Container {
    run: ContainerRun,
    removal: Option<Removal>,
}

/// What is to be done when the client has ended.
#[derive(Debug)]
struct Removal {
    containers: Containers,
    engine: Engine,
    label: String,
    /// The client writes the container's id here once the daemon has made it.
    note: PathBuf,
}

/// When the daemon is asked: the client may have been killed while its request was still on the way, so
/// that the container is made later.
const PAUSES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(3),
    Duration::from_secs(4),
];
/// The same when the gateway has no more time.
const SHORT_PAUSE: Duration = Duration::from_millis(200);
/// All attempts together.
const PATIENCE: Duration = Duration::from_secs(30);
const SESSION: &str = "lockgate.session";
const GATEWAY: &str = "lockgate.gateway";

impl Containers {
    pub(in crate::backend) fn new(homes: &Homes, spawner: Spawner, lifecycle: Lifecycle) -> Self {
        let gateway = homes.root().file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self(Arc::new(Shared { gateway, mark: Mark::new(homes.root()), spawner, lifecycle }))
    }

    /// The container that a plan is about to start, if it starts one.
    pub(super) fn expect(&self, plan: &Launch, home: &Path) -> io::Result<Option<Container>> {
        let Some(run) = plan.container() else { return Ok(None) };
        let label = format!("{SESSION}={}", random_name()?);
        self.0.mark.add()?;
        let note = home.join(".container");
        let removal = Removal { containers: self.clone(), engine: run.engine().clone(), label, note };
        Ok(Some(Container { run: run.clone(), removal: Some(removal) }))
    }

    /// Removes, in the background, what gateways have left that were killed.
    pub(in crate::backend) fn sweep(&self, engines: Vec<Engine>) {
        let left = self.0.mark.left_by_others();
        if engines.is_empty() || left.is_empty() {
            return;
        }
        let this = self.clone();
        self.0.lifecycle.spawn(async move {
            tokio::select! {
                () = this.remove_left(&engines, left) => {}
                // The marks stay for the next start.
                () = this.0.lifecycle.draining() => {}
            }
        });
    }

    async fn remove_left(&self, engines: &[Engine], left: Vec<Left>) {
        for left in left {
            let label = format!("{GATEWAY}={}", left.gateway);
            let mut gone = true;
            for engine in engines {
                gone &= self.remove(engine, &label, false).await;
            }
            if gone {
                left.remove();
            }
        }
        tracing::info!("containers of gateways that were killed have been looked for");
    }

    /// Removes what has this label, and says whether nothing of it is left. `made` if nothing will be made
    /// any more.
    async fn remove(&self, engine: &Engine, label: &str, made: bool) -> bool {
        let outcome = timeout(PATIENCE, self.attempt(engine, label, made)).await;
        let Err(error) = outcome.unwrap_or(Err(Unasked::Silent)) else { return true };
        let program = engine.program.display();
        tracing::warn!(%program, label, %error, "containers may be left: the daemon cannot be asked to remove them");
        false
    }

    async fn attempt(&self, engine: &Engine, label: &str, mut made: bool) -> Result<(), Unasked> {
        let mut outcome = Ok(());
        for pause in PAUSES {
            self.pause(pause).await;
            outcome = self.look(engine, label, &mut made).await;
            if made && outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            () = self.0.lifecycle.ending() => sleep(pause.min(SHORT_PAUSE)).await,
        }
    }

    async fn look(&self, engine: &Engine, label: &str, made: &mut bool) -> Result<(), Unasked> {
        let ids = engine::list(&self.0.spawner, engine, label).await?;
        if ids.is_empty() {
            return Ok(());
        }
        *made = true;
        engine::remove(&self.0.spawner, engine, &ids).await?;
        tracing::info!(label, count = ids.len(), "containers removed");
        Ok(())
    }
}

impl Container {
    /// Adds the labels, and has the client configured as it is for whoever runs the gateway: what removes
    /// the container must find the same daemon.
    pub(super) fn adapt(&self, orders: &mut Orders) {
        let Some(removal) = &self.removal else { return };
        let gateway = format!("{GATEWAY}={}", removal.containers.0.gateway);
        let options = [
            format!("--label={}", removal.label),
            format!("--label={gateway}"),
            format!("--cidfile={}", removal.note.display()),
        ];
        orders.argv = self.run.with(&orders.argv, options);
        if let Some((_, value)) = orders.environment.iter_mut().find(|(name, _)| name == "HOME") {
            *value = engine::home();
        }
    }

    /// Removes the container if it is still there. The client has ended like this.
    pub(super) async fn remove(mut self, exit: Exit) {
        if let Some(removal) = self.removal.take() {
            removal.run(exit).await;
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Without a runtime the gateway is at its end, and the mark stays.
        if let Some(removal) = self.removal.take().filter(|_| tokio::runtime::Handle::try_current().is_ok()) {
            let lifecycle = removal.containers.0.lifecycle.clone();
            lifecycle.spawn(async move { removal.run(Exit::Unknown).await });
        }
    }
}

impl Removal {
    async fn run(self, exit: Exit) {
        let Self { containers, engine, label, note } = self;
        // The status of the client is that of the container.
        let made = exit == Exit::Status(0) || note.metadata().is_ok_and(|note| note.len() > 0);
        if containers.remove(&engine, &label, made).await {
            containers.0.mark.take();
        }
    }
}
