//! The composition root: settings become parts, leaf to edge; then they run until told to stop.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use crate::access::{AdminGate, Gate, Operator, Secret};
use crate::backend::Starter;
use crate::catalog::Catalog;
use crate::http::{self, Admin, Front, Listening};
use crate::lifecycle::Lifecycle;
use crate::session::Sessions;
use crate::settings::{AdminAddress, Settings, Timeouts};

/// A gateway that is ready to run: its address is taken, nothing is served yet.
#[derive(Debug)]
pub struct Gateway {
    front: Arc<Front>,
    starter: Arc<Starter>,
    listening: Listening,
    /// Present if there is a secret for it.
    admin: Option<(Arc<Admin>, Listening)>,
    lifecycle: Lifecycle,
    timeouts: Timeouts,
}

/// The secrets that are no part of the settings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Secrets<'s> {
    /// Of the tenant `default`.
    pub tenant: Option<&'s Secret>,
    /// Of the operator.
    pub admin: Option<&'s Secret>,
}

/// How a gateway came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should: drained, nothing left.
    Stopped,
    /// A second signal, of this number, cut the drain short.
    Forced(i32),
    /// The listener failed, or something would not end.
    Failed,
}

/// How often limiter keys are looked through.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// What ending takes beyond the timeouts: the kill, and a directory to remove.
const SLACK: Duration = Duration::from_secs(2);

impl Gateway {
    /// Puts everything together and takes the address.
    ///
    /// # Errors
    /// With what is wrong and what to do, for people.
    pub fn build(settings: &Settings, secrets: Secrets<'_>) -> anyhow::Result<Self> {
        let catalog = Catalog::load(settings)?;
        let wanted = settings.listen.address;
        let listening = http::bind(wanted).map_err(|error| {
            anyhow::anyhow!("cannot listen on {wanted}: {error}; choose another with --port")
        })?;
        let gate = Gate::new(settings, secrets.tenant, listening.address).map_err(anyhow::Error::msg)?;
        let guarded = guard_admin(settings, secrets.admin, &gate)?;
        let lifecycle = Lifecycle::default();
        let bytes = |size: bytesize::ByteSize| usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
        let starter = Arc::new(Starter::new(settings, lifecycle.clone())?);
        tell(&starter, &catalog);
        let front = Arc::new(Front {
            gate,
            catalog,
            sessions: Sessions::new(settings, starter.clone(), lifecycle.clone()),
            base_path: settings.listen.base_path.clone(),
            max_message: bytes(settings.limits.message),
            heartbeat: settings.timeouts.heartbeat,
            since: Instant::now(),
        });
        let (timeouts, limits) = (settings.timeouts.clone(), settings.limits.clone());
        let admin = guarded
            .map(|(gate, listening)| (Arc::new(Admin { gate, front: front.clone(), limits }), listening));
        Ok(Self { front, starter, listening, admin, lifecycle, timeouts })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.listening.address
    }

    /// Serves until a signal, then drains. Must run on the main thread, which adopts orphans.
    ///
    /// # Errors
    /// If the host refuses what every gateway needs.
    pub async fn run(self) -> anyhow::Result<Outcome> {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        let mut signals = Signals::listen()?;
        let mut server = http::serve(self.listening, &self.front, self.timeouts.stalled_reader)?;
        let handle = server.handle();
        let _tidy = self.lifecycle.spawn_bound(tidy(self.front.clone(), self.starter.clone())?);
        // Until the very end: it shows how a shutdown gets on.
        let _admin = match self.admin {
            Some((admin, listening)) => {
                let server = http::serve_admin(listening, &admin, self.timeouts.stalled_reader)?;
                Some(self.lifecycle.spawn_bound(look_in(server, admin)))
            }
            None => None,
        };
        self.starter.sweep_containers(self.front.catalog.engines());
        tokio::select! {
            result = &mut server => {
                tracing::error!(error = ?result.err(), "the listener ended by itself");
                self.starter.kill_all();
                return Ok(Outcome::Failed);
            }
            number = signals.next() => tracing::info!(signal = number, "draining"),
        }
        let last = self.timeouts.eof + self.timeouts.term + SLACK;
        let drained = self.lifecycle.shut_down(self.timeouts.drain, last);
        Ok(tokio::select! {
            gone = stop(drained, server, handle) => if gone { Outcome::Stopped } else { Outcome::Failed },
            number = signals.next() => {
                tracing::warn!(signal = number, "second signal: ending at once");
                self.starter.kill_all();
                Outcome::Forced(number)
            }
        })
    }
}

/// Takes the address of the admin listener, if there is a secret for it.
fn guard_admin(
    settings: &Settings,
    secret: Option<&Secret>,
    tenants: &Gate,
) -> anyhow::Result<Option<(AdminGate, Listening)>> {
    let (wanted, secret) = match (settings.admin.address, secret) {
        (AdminAddress::At(address), Some(secret)) => (address, secret),
        (AdminAddress::Off, _) => return Ok(None),
        (AdminAddress::At(_), None) => {
            tracing::info!("the admin listener is off; set LOCKGATE_ADMIN_SECRET to switch it on");
            return Ok(None);
        }
    };
    let listening = http::bind(wanted).map_err(|error| {
        anyhow::anyhow!(
            "cannot listen on {wanted} for the operator: {error}; set admin.address to another, or to \"\" for none"
        )
    })?;
    let gate = AdminGate::new(settings, secret, tenants, listening.address).map_err(anyhow::Error::msg)?;
    tracing::info!(address = %listening.address, "the admin listener is on");
    Ok(Some((gate, listening)))
}

/// What an operator should know who looks at the log only.
fn tell(starter: &Starter, catalog: &Catalog) {
    let report = starter.report();
    let (profile, network) = (report.profile, report.network);
    tracing::info!(%profile, %network, in_force = report.in_force(), "sandbox");
    for (item, lack) in report.missing() {
        let (reason, remedy) = (&lack.reason, &lack.remedy);
        tracing::warn!(item = item.name, purpose = item.purpose, reason, remedy, "the sandbox lacks a part");
    }
    for plan in catalog.trials(&Operator::at_the_command_line()) {
        if let Some(barrier) = starter.barrier(&plan) {
            tracing::warn!("servers.{}: {barrier}", plan.server());
        }
    }
}

/// Sessions first: their tasks live on the workers. Then the workers, which have nothing left to do.
async fn stop(drained: impl Future<Output = bool>, server: Server, handle: ServerHandle) -> bool {
    let serving = async {
        let _ = server.await;
    };
    let stopping = async {
        let gone = drained.await;
        handle.stop(true).await;
        gone
    };
    tokio::join!(serving, stopping).1
}

/// Reaps orphans whenever a child ends, and forgets limiter keys now and then.
fn tidy(front: Arc<Front>, starter: Arc<Starter>) -> std::io::Result<impl Future<Output = ()>> {
    let mut children = signal(SignalKind::child())?;
    let mut timer = tokio::time::interval(TIDY_EVERY);
    Ok(async move {
        loop {
            tokio::select! {
                _ = children.recv() => starter.reap_orphans(),
                _ = timer.tick() => front.gate.forget_idle_keys(),
            }
        }
    })
}

/// Serves the operator. Sessions go on without.
async fn look_in(server: Server, admin: Arc<Admin>) {
    let mut timer = tokio::time::interval(TIDY_EVERY);
    tokio::pin!(server);
    loop {
        tokio::select! {
            result = &mut server => {
                tracing::error!(error = ?result.err(), "the admin listener ended by itself");
                return;
            }
            _ = timer.tick() => admin.gate.forget_idle_keys(),
        }
    }
}

/// What asks a gateway to stop. A hang-up does too: the terminal it belonged to is gone.
struct Signals([(Signal, i32); 3]);

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let listen = |kind: SignalKind| Ok::<_, std::io::Error>((signal(kind)?, kind.as_raw_value()));
        Ok(Self([
            listen(SignalKind::terminate())?,
            listen(SignalKind::interrupt())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    async fn next(&mut self) -> i32 {
        let [(terminate, one), (interrupt, two), (hangup, three)] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => *one,
            _ = interrupt.recv() => *two,
            _ = hangup.recv() => *three,
        }
    }
}

impl From<Outcome> for ExitCode {
    /// 0 for a stop, 1 for a failure, 128 and the signal for a forced end.
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Stopped => Self::SUCCESS,
            Outcome::Failed => Self::FAILURE,
            Outcome::Forced(number) => Self::from(128u8.saturating_add(u8::try_from(number).unwrap_or(0))),
        }
    }
}
