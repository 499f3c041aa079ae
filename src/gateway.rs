//! The composition root: settings become parts, leaf to edge; then they run until told to stop.

mod prefetch;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

pub use self::prefetch::{Fetched, Prefetch};

use crate::access::{Gate, Secret};
use crate::backend::Starter;
use crate::catalog::Catalog;
use crate::http::{self, Front, Listening};
use crate::lifecycle::Lifecycle;
use crate::session::Sessions;
use crate::settings::{Settings, Timeouts};

/// A gateway that is ready to run: its address is taken, nothing is served yet.
#[derive(Debug)]
pub struct Gateway {
    front: Arc<Front>,
    starter: Arc<Starter>,
    listening: Listening,
    lifecycle: Lifecycle,
    timeouts: Timeouts,
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
    pub fn build(settings: &Settings, secret: Option<&Secret>) -> anyhow::Result<Self> {
        let catalog = Catalog::load(settings)?;
        let wanted = settings.listen.address;
        let listening = http::bind(wanted).map_err(|error| {
            anyhow::anyhow!("cannot listen on {wanted}: {error}; choose another with --port")
        })?;
        let gate = Gate::new(settings, secret, listening.address).map_err(anyhow::Error::msg)?;
        let lifecycle = Lifecycle::default();
        let bytes = |size: bytesize::ByteSize| usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
        let starter = Arc::new(Starter::new(settings, lifecycle.clone())?);
        for (item, reason) in starter.report().missing() {
            tracing::warn!(item = item.name, purpose = item.purpose, reason, "the sandbox lacks a part");
        }
        let front = Front {
            gate,
            catalog,
            sessions: Sessions::new(settings, starter.clone(), lifecycle.clone()),
            base_path: settings.listen.base_path.clone(),
            max_message: bytes(settings.limits.message),
            heartbeat: settings.timeouts.heartbeat,
            since: Instant::now(),
        };
        let timeouts = settings.timeouts.clone();
        Ok(Self { front: Arc::new(front), starter, listening, lifecycle, timeouts })
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
        self.starter.provide_ahead(self.front.catalog.fetches().into_values());
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
