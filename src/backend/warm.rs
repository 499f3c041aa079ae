//! Children that were started before anybody asked for them, so that whoever does is answered at once. Each is
//! for one session, and was nobody's before.
//!
//! They are started like all others, and nothing is said to them: `initialize` is the client's to send. Who brings
//! variables of its own gets a child of its own making, because these have only their server's.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::child::{Process, Standard};
use super::{Link, StartFailed, Starter};
use crate::catalog::{Fingerprint, Launch};
use crate::ids::ServerName;

/// What is kept ready of each server, by what its children have in common.
#[derive(Debug, Default)]
pub(super) struct Warm {
    shelves: Mutex<HashMap<Fingerprint, Shelf>>,
    /// Something may have to be started.
    lacking: Notify,
    /// Set once there is who does it.
    stoker: OnceLock<()>,
}

/// The children of one server.
#[derive(Debug)]
struct Shelf {
    launch: Launch,
    wanted: usize,
    /// The oldest first. Closed once the child has ended.
    waiting: VecDeque<Claim>,
    /// How many have failed since one was of use.
    failures: u32,
    /// None is started before.
    not_before: Instant,
}

/// Takes a child from whoever minds it. Dropping it ends the child.
type Claim = oneshot::Sender<oneshot::Sender<Standard>>;

/// A child that was started ahead keeps a start slot, and so the next from being started, until it has loaded what
/// it needs. Nothing tells that, but that it is idle for so long.
const IDLE: Duration = Duration::from_millis(20);
/// One that is not is not waited for any longer.
const SETTLED_WITHIN: Duration = Duration::from_secs(2);
/// From the first failure to the next attempt; each further one takes twice as long.
const PAUSE: Duration = Duration::from_secs(1);
const MOST_DOUBLINGS: u32 = 6;
/// How long a child may take to end by itself that nobody has used.
const GRACE: Duration = Duration::from_millis(500);

impl Starter {
    /// From now on keeps as many children as wanted of each of these, and no others. Must be called on the
    /// runtime that minds them for as long as the gateway lives.
    pub fn keep_warm(self: &Arc<Self>, wanted: Vec<(Launch, usize)>) {
        self.warm.want(wanted);
        self.warm.lacking.notify_one();
        if self.warm.stoker.set(()).is_ok() {
            self.equipment.lifecycle.spawn(self.clone().stoke());
        }
    }

    /// The children that wait for a session, by server.
    pub fn warm_count(&self) -> Vec<(ServerName, usize)> {
        let shelves = self.warm.shelves();
        shelves.values().map(|shelf| (shelf.launch.server().clone(), shelf.living())).collect()
    }

    /// A child that runs what the plan would start, if one waits. It is the caller's.
    pub async fn take_warm(&self, plan: &Launch) -> Option<Link> {
        loop {
            let claim = self.warm.take(plan)?;
            let (give, given) = oneshot::channel();
            // One that has ended meanwhile is not given.
            if claim.send(give).is_ok()
                && let Ok(Standard { process, stdin, stdout, needed }) = given.await
            {
                let process = process.moved().ok()?;
                return self.link(plan, Standard { process, stdin, stdout, needed }).ok();
            }
        }
    }

    /// Starts what is lacking, one child after the other.
    async fn stoke(self: Arc<Self>) {
        let lifecycle = self.equipment.lifecycle.clone();
        loop {
            let work = async {
                match self.warm.next(Instant::now()) {
                    Next::Start(launch) => self.start_ahead(launch).await,
                    Next::At(due) => tokio::select! {
                        () = sleep_until(due) => {}
                        () = self.warm.lacking.notified() => {}
                    },
                    Next::Nothing => self.warm.lacking.notified().await,
                }
            };
            tokio::select! {
                () = work => {}
                () = lifecycle.draining() => return self.warm.want(Vec::new()),
            }
        }
    }

    async fn start_ahead(self: &Arc<Self>, launch: Launch) {
        let process = launch.process();
        let started = async {
            let provisions = self.provide(&launch).await?;
            let slot = self.slot().await;
            let site = self.homes.site()?;
            let started = Process::start(&self.equipment, &launch, site, provisions).await?;
            Ok::<_, StartFailed>((started, slot))
        };
        match started.await {
            Ok((child, slot)) => {
                let (claim, claimed) = oneshot::channel();
                let busy = child.process.processor_time();
                self.warm.put(&process, claim);
                self.equipment.lifecycle.spawn(self.clone().mind(process, launch, child, claimed));
                let _ = timeout(SETTLED_WITHIN, settled(busy)).await;
                drop(slot);
            }
            Err(error) => {
                tracing::warn!(server = %launch.server(), %error, "a child could not be started ahead");
                self.warm.failed(&process);
            }
        }
    }

    /// Has a child until somebody takes it, or it is wanted no more, or has ended.
    async fn mind(
        self: Arc<Self>,
        process: Fingerprint,
        launch: Launch,
        mut child: Standard,
        claimed: oneshot::Receiver<oneshot::Sender<Standard>>,
    ) {
        tokio::select! {
            taker = claimed => {
                // Whoever asked may have left meanwhile.
                let left = match taker {
                    Ok(taker) => taker.send(child).err(),
                    Err(_) => Some(child),
                };
                if let Some(Standard { process, stdin, stdout, .. }) = left {
                    drop((stdin, stdout));
                    process.stop(GRACE, GRACE).await;
                }
                self.warm.lacking.notify_one();
            }
            exit = child.process.exited() => {
                child.process.hear_out().await;
                let last_lines = child.process.last_lines(|text| launch.conceal(text)).join(" | ");
                tracing::warn!(server = %launch.server(), %exit, last_lines, "a child that was started ahead has ended");
                child.process.stop(Duration::ZERO, Duration::ZERO).await;
                self.warm.failed(&process);
            }
        }
    }
}

/// Until a child uses no processor time any more.
async fn settled(busy: impl Fn() -> Option<u64>) {
    let mut before = None;
    while let Some(now) = busy()
        && before.replace(now) != Some(now)
    {
        sleep(IDLE).await;
    }
}

/// What is to be started next.
enum Next {
    Start(Launch),
    At(Instant),
    Nothing,
}

impl Warm {
    fn want(&self, wanted: Vec<(Launch, usize)>) {
        let mut shelves = self.shelves();
        let mut before = std::mem::take(&mut *shelves);
        for (launch, wanted) in wanted {
            let process = launch.process();
            let shelf = before.remove(&process).unwrap_or_else(|| Shelf::new(launch.clone()));
            let mut shelf = Shelf { launch, wanted, ..shelf };
            shelf.waiting.truncate(wanted);
            shelves.insert(process, shelf);
        }
    }

    fn next(&self, now: Instant) -> Next {
        let shelves = self.shelves();
        let lacking = shelves.values().filter(|shelf| shelf.living() < shelf.wanted);
        match lacking.min_by_key(|shelf| shelf.not_before) {
            Some(shelf) if shelf.not_before <= now => Next::Start(shelf.launch.clone()),
            Some(shelf) => Next::At(shelf.not_before),
            None => Next::Nothing,
        }
    }

    /// If it is wanted no more, dropping its claim ends it.
    fn put(&self, process: &Fingerprint, claim: Claim) {
        if let Some(shelf) = self.shelves().get_mut(process).filter(|shelf| shelf.living() < shelf.wanted) {
            shelf.waiting.push_back(claim);
        }
    }

    fn take(&self, plan: &Launch) -> Option<Claim> {
        let mut shelves = self.shelves();
        if shelves.is_empty() {
            return None;
        }
        let shelf = shelves.get_mut(&plan.process())?;
        shelf.waiting.retain(|claim| !claim.is_closed());
        let claim = shelf.waiting.pop_front()?;
        shelf.failures = 0;
        Some(claim)
    }

    fn failed(&self, process: &Fingerprint) {
        if let Some(shelf) = self.shelves().get_mut(process) {
            shelf.not_before = Instant::now() + PAUSE * 2u32.pow(shelf.failures.min(MOST_DOUBLINGS));
            shelf.failures += 1;
        }
        self.lacking.notify_one();
    }

    fn shelves(&self) -> MutexGuard<'_, HashMap<Fingerprint, Shelf>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn new(launch: Launch) -> Self {
        Self { launch, wanted: 0, waiting: VecDeque::new(), failures: 0, not_before: Instant::now() }
    }

    fn living(&self) -> usize {
        self.waiting.iter().filter(|claim| !claim.is_closed()).count()
    }
}
