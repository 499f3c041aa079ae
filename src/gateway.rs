//! The composition root: settings become parts, leaf to edge; then they run until told to stop.

mod cluster;
mod ending;
mod look_in;
mod news;
mod operator;
mod prefetch;
mod reload;
mod servers;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

pub use self::cluster::node_name;
pub use self::ending::Outcome;
pub use self::operator::AdminListener;
pub use self::prefetch::{Fetch, Prefetch};
pub use self::reload::Load;

use self::cluster::{Joined, join};
use self::ending::{Signals, kept, stop};
use self::look_in::LookingIn;
use self::news::{Reloads, follow_revocations};
use self::reload::Reloader;
use crate::access::{Gate, Machine, Secrets};
use crate::admin::{Admin, Controls, Orders, Tries};
use crate::backend::{self, Report, Starter};
use crate::catalog::Catalog;
use crate::doctor::Examiner;
use crate::http::{self, Bodies, Connections, Front, Listening, Policy, Refusals};
use crate::lifecycle::Lifecycle;
use crate::session::Sessions;
use crate::settings::{Profile, Settings, Timeouts};
use crate::store::Store;

/// A gateway that is ready to run: its address is taken, nothing is served yet.
#[derive(Debug)]
pub struct Gateway {
    front: Arc<Front>,
    reloader: Reloader,
    starter: Arc<Starter>,
    listening: Listening,
    /// Present if there is a secret for it.
    admin: Option<(Arc<Admin>, Listening)>,
    /// Where other nodes reach this one, if there are any.
    joining: Option<Listening>,
    /// What the operator wants done.
    orders: Orders,
    /// What it shares with other nodes, if it does.
    store: Option<Store>,
    machine: Machine,
    lifecycle: Lifecycle,
    timeouts: Timeouts,
    /// How long sessions go on being used when the drain has begun.
    kept: Duration,
}

/// How often limiter keys are looked through, and addresses that this machine may have got.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// How long a start waits for what there is to say of servers: a file system may hang.
const LOOK_WITHIN: Duration = Duration::from_secs(1);
/// What ending takes beyond the timeouts: the kill, and a directory to remove.
const SLACK: Duration = Duration::from_secs(2);

impl Gateway {
    /// Puts everything together and takes the addresses. `admin` says whether the operator's is needed; `load` reads
    /// the settings again when they have changed.
    ///
    /// # Errors
    /// With what is wrong and what to do, for people.
    pub fn build(
        settings: &Settings,
        secrets: Secrets<'_>,
        store: Option<Store>,
        admin: AdminListener,
        load: Load,
    ) -> anyhow::Result<Self> {
        let catalog = Catalog::load(settings)?;
        let wanted = settings.listen.address;
        let listening = http::bind(wanted).map_err(|error| {
            anyhow::anyhow!("cannot listen on {wanted}: {error}; choose another with --port")
        })?;
        let machine = Machine::default();
        look_at(&machine);
        let lifecycle = Lifecycle::default();
        let gate = Gate::new(settings, secrets, listening.address, &machine).map_err(anyhow::Error::msg)?;
        let gate = gate.sharing(store.clone(), &lifecycle);
        let guarded = admin.guard(settings, &gate)?;
        let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let starter = Arc::new(Starter::new(settings, lifecycle.clone())?);
        tell(starter.report());
        let (cluster, joining) = join(settings, secrets.cluster, &lifecycle)?;
        let sessions = Sessions::new(settings, starter.clone(), lifecycle.clone(), cluster.mint());
        let sessions = sessions.sharing(store.clone());
        let bodies = Bodies::new(settings);
        let (sender, policy) = watch::channel(Arc::new(Policy { gate, catalog, sessions, bodies }));
        let others = Reloads::new(store.clone());
        let reloader =
            Reloader::new(load, settings.clone(), sender, starter.clone(), others, lifecycle.clone());
        let front = Arc::new(Front {
            policy,
            base_path: settings.listen.base_path.clone(),
            connections: Connections::new(&settings.limits, descriptors.unwrap_or(u64::MAX)),
            heartbeat: settings.timeouts.heartbeat,
            refusals: Refusals::default(),
            cluster: Arc::new(cluster),
            since: Instant::now(),
        });
        let timeouts = settings.timeouts.clone();
        let (controls, orders) = Controls::new();
        let base = settings.listen.base(listening.address);
        let tries = Tries::new(base, !settings.listen.public_url.is_empty())?;
        let examiner = Examiner::new(starter.clone(), lifecycle.clone());
        let admin = guarded.map(|(gate, listening)| {
            (Arc::new(Admin::new(gate, front.clone(), store.clone(), controls, examiner, tries)), listening)
        });
        let kept = kept(settings);
        Ok(Self {
            front,
            reloader,
            starter,
            listening,
            admin,
            joining,
            orders,
            store,
            machine,
            lifecycle,
            timeouts,
            kept,
        })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.listening.address
    }

    /// Where the operator looks in, if that is possible.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|(_, listening)| listening.address)
    }

    /// Serves until a signal, then drains. Must run on the main thread, which adopts orphans.
    ///
    /// # Errors
    /// If the host refuses what every gateway needs.
    pub async fn run(self) -> anyhow::Result<Outcome> {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        // Of a gateway that somebody started by hand, a hang-up says that the terminal is gone.
        let by_hand = std::io::stdin().is_terminal();
        let mut signals = Signals::listen(by_hand)?;
        let looking = self.reloader.look_after_all();
        let drain = self.orders.drain();
        let reloads = self.reloader.follow(!by_hand, self.orders.reloads)?;
        // Now that signals are handled: one that is ignored, as `nohup` has it, would be so in every child.
        self.starter.stand_by();
        let mut looking = self.lifecycle.spawn_bound(looking);
        // What is wrong with a server is best told before clients come.
        let _ = timeout(LOOK_WITHIN, &mut looking).await;
        let _following = self.lifecycle.spawn_bound(self.front.policy().sessions.clone().follow());
        let _reloads = self.lifecycle.spawn_bound(reloads);
        let _sharing = self.store.clone().map(|store| {
            let follow = follow_revocations(store.clone(), self.front.clone());
            (self.lifecycle.spawn_bound(follow), self.lifecycle.spawn_bound(store.run()))
        });
        let _rights = self.lifecycle.spawn_bound(follow_rights(self.front.clone()));
        let address = self.listening.address;
        let mut server = http::serve(self.listening, &self.front, self.timeouts.stalled_reader)?;
        let handle = server.handle();
        let joined = self
            .joining
            .map(|listening| {
                Joined::begin(listening, &self.front, self.timeouts.stalled_reader, &self.lifecycle)
            })
            .transpose()?;
        // From here on a signal does what it should.
        tracing::info!(%address, "listening");
        let _tidy = self.lifecycle.spawn_bound(tidy(self.front.clone(), self.starter.clone(), self.machine)?);
        // Until the very end: it shows how a shutdown gets on.
        let looking_in = match self.admin {
            Some((admin, listening)) => {
                Some(LookingIn::begin(admin, listening, self.timeouts.stalled_reader, &self.lifecycle)?)
            }
            None => None,
        };
        tokio::select! {
            result = &mut server => {
                tracing::error!(error = ?result.err(), "the listener ended by itself");
                self.starter.kill_all();
                return Ok(Outcome::Failed);
            }
            number = signals.next() => tracing::info!(signal = number, "draining"),
            () = drain => tracing::info!("draining, as the operator wants"),
        }
        let last = self.timeouts.eof + self.timeouts.term + SLACK;
        let drained = self.lifecycle.shut_down(self.kept, self.timeouts.drain, last);
        let outcome = tokio::select! {
            gone = stop(drained, server, handle, joined, looking_in) => if gone { Outcome::Stopped } else { Outcome::Failed },
            number = signals.next() => {
                tracing::warn!(signal = number, "second signal: ending at once");
                self.starter.kill_all();
                self.starter.abandon();
                Outcome::Forced(number)
            }
        };
        self.starter.leave();
        if let Some(store) = &self.store {
            store.leave().await;
        }
        Ok(outcome)
    }
}

/// What an operator should know who looks at the log only.
fn tell(report: &Report) {
    let (profile, network) = (report.profile, report.network);
    tracing::info!(%profile, %network, in_force = report.in_force(), "sandbox");
    tell_missing(report);
}

fn tell_missing(report: &Report) {
    if report.profile == Profile::Off && rustix::process::geteuid().is_root() {
        tracing::warn!(
            "sandbox.profile is \"off\" and the gateway is root, so every session is root on this machine; use \
             \"default\", or run the gateway as another user"
        );
    }
    for (item, lack) in report.missing() {
        let (reason, remedy) = (&lack.reason, &lack.remedy);
        tracing::warn!(item = item.name, purpose = item.purpose, reason, remedy, "the sandbox lacks a part");
    }
}

/// Which addresses sessions, too, may call from.
fn look_at(machine: &Machine) {
    match backend::own_addresses() {
        Ok(addresses) => machine.set(addresses),
        Err(error) => tracing::warn!(%error, "the host does not tell this machine's addresses"),
    }
}

/// Reaps orphans whenever a child ends; now and then, forgets limiter keys and looks for new addresses.
fn tidy(
    front: Arc<Front>,
    starter: Arc<Starter>,
    machine: Machine,
) -> std::io::Result<impl Future<Output = ()>> {
    let mut children = signal(SignalKind::child())?;
    let mut timer = tokio::time::interval(TIDY_EVERY);
    Ok(async move {
        loop {
            tokio::select! {
                _ = children.recv() => starter.reap_orphans(),
                _ = timer.tick() => {
                    front.policy().gate.forget_idle_keys();
                    look_at(&machine);
                }
            }
        }
    })
}

/// Has the sessions look whether they may go on, whenever somebody's rights have changed.
async fn follow_rights(front: Arc<Front>) {
    let mut changes = front.policy().gate.changes();
    loop {
        changes.next().await;
        front.policy().sessions.look_around();
    }
}
