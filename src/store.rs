//! What nodes share: a Valkey or Redis server that counts for all of them.
//!
//! One task ([`Store::run`]) holds the one connection, connects again when it is lost, and registers this node every
//! second; whoever else asks something ([`Store::call`]) waits for 250 ms at most, and for nothing at all from then on
//! until the task has been answered again. What is lost with the store is told to it again ([`Told::again`]): it keeps
//! nothing that a session needs, so none ends because of it. Everything is done by scripts with the store's own clock.

mod figures;
mod heartbeat;
mod line;
#[cfg(test)]
pub(crate) mod server;
mod told;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

pub use redis::{FromRedisValue, Script, ToRedisArgs};

pub use self::figures::{Decision, Figures, View};
pub use self::told::Told;

use self::figures::Counts;
use self::line::Door;
use crate::settings::{self, WhileAway};

/// The handle that everybody holds who shares something. Clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

/// The store cannot be reached, or could not be a moment ago, or does not do what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store that the nodes of this gateway share cannot be reached")]
pub struct Away;

/// Where live nodes are registered: a sorted set of [`Store::member`], by when they were seen last, in milliseconds
/// since 1970 by the store's clock.
pub const NODES: &str = "{lockgate}:nodes";
/// A node that was not seen for so long is gone.
pub const GONE_AFTER: Duration = Duration::from_secs(10);

/// What is told to all nodes: a hash of counts.
const TOLD: &str = "{lockgate}:told";
/// The secrets that were revoked, as settings hold them.
const REVOKED: &str = "{lockgate}:revoked";
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_millis(250);

struct Shared {
    door: Door,
    while_away: WhileAway,
    /// The node's name.
    node: String,
    /// The same with what tells this start from others.
    member: String,
    /// Present while the store answers. Held for moments.
    line: Mutex<Option<MultiplexedConnection>>,
    /// Who has found that it does not answer tells the task.
    lost: Notify,
    nodes: AtomicUsize,
    told: watch::Sender<Told>,
    counts: Counts,
}

impl Store {
    /// The store of these settings, if there is one. Nothing is asked yet. `node` is this node's name.
    ///
    /// # Errors
    /// With the key, the reason and a remedy; never with the password.
    pub fn new(
        settings: &settings::Store,
        password: Option<&str>,
        node: &str,
    ) -> Result<Option<Self>, String> {
        let Some(place) = settings.place().map_err(|reason| format!("store.url {reason}"))? else {
            return Ok(None);
        };
        let door = Door::new(place, password, &settings.ca)?;
        let mut incarnation = [0; 8];
        getrandom::fill(&mut incarnation).map_err(|error| format!("no random numbers: {error}"))?;
        let incarnation = u64::from_ne_bytes(incarnation);
        Ok(Some(Self(Arc::new(Shared {
            door,
            while_away: settings.away,
            node: node.to_owned(),
            member: format!("{node}#{incarnation:016x}"),
            line: Mutex::new(None),
            lost: Notify::new(),
            nodes: AtomicUsize::new(1),
            told: watch::Sender::new(Told::default()),
            counts: Counts::default(),
        }))))
    }

    /// Runs a script in the store. `args` may be a tuple, each part of it being one argument.
    ///
    /// # Errors
    /// If it is not answered within 250 ms, or with something else than `T`, or the store was out of reach when it was
    /// asked something last.
    pub async fn call<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[&str],
        args: impl ToRedisArgs,
    ) -> Result<T, Away> {
        let mut asked = script.prepare_invoke();
        keys.iter().for_each(|key| {
            asked.key(*key);
        });
        asked.arg(args);
        let Some(mut line) = self.0.line().clone() else {
            self.0.counts.kept_away();
            return Err(Away);
        };
        let begun = Instant::now();
        match timeout(PATIENCE, asked.invoke_async(&mut line)).await {
            Ok(Ok(value)) => {
                self.0.counts.answered(begun.elapsed());
                return Ok(value);
            }
            // It does answer. Whether it is of use is for the heartbeat to find out.
            Ok(Err(error)) if !line::is_broken(&error) => self.0.counts.refused(&error),
            _ => {
                self.0.counts.failed();
                self.0.line().take();
                self.0.lost.notify_one();
            }
        }
        Err(Away)
    }

    /// Whether it is out of reach now.
    pub fn is_away(&self) -> bool {
        self.0.line().is_none()
    }

    /// What becomes of a limit that it could not be asked about, which is counted: this node decides by itself.
    ///
    /// # Errors
    /// If `store.away` has it that nobody does.
    pub fn alone(&self) -> Result<(), Away> {
        match self.0.while_away {
            WhileAway::Alone => {
                self.decided(Decision::Alone);
                Ok(())
            }
            WhileAway::Refuse => {
                self.decided(Decision::Refused);
                Err(Away)
            }
        }
    }

    /// How many nodes live, this one among them, as it was heard last.
    pub fn nodes(&self) -> usize {
        self.0.nodes.load(Relaxed)
    }

    /// What this node is known by in the store: its name, `#`, and what tells this start of it from others.
    pub fn member(&self) -> &str {
        &self.0.member
    }

    /// Follows what other nodes have told, and whether what was told is to be told again.
    pub fn told(&self) -> watch::Receiver<Told> {
        self.0.told.subscribe()
    }

    /// Counts who has decided on a request or a session.
    pub fn decided(&self, by: Decision) {
        self.0.counts.decided(by);
    }

    /// What was counted.
    pub fn figures(&self) -> Figures {
        self.0.counts.figures()
    }

    /// What there is to be seen of it.
    pub fn view(&self) -> View {
        let up = !self.is_away();
        let away_seconds = self.0.counts.away_for().filter(|_| !up).map(|time| time.as_secs());
        View { at: self.0.door.to_string(), up, away_seconds, nodes: self.nodes() }
    }
}

impl Shared {
    fn line(&self) -> MutexGuard<'_, Option<MultiplexedConnection>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.0.door)
    }
}
