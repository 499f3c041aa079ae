//! Sessions that clients share, because each of their requests stands for itself: a backend is kept warm for all
//! clients of one tenant that would start the same one and can do the same things (protocol.md section 5.1, child
//! keying). Those who share one may need several: where a backend may ask its client something and does not say in
//! which call, it gets one such call at a time.

mod starting;
mod tools;
mod turn;

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

pub(super) use self::tools::Tools;

use self::starting::Starting;
use self::tools::Waiting;
use self::turn::Turn;
use super::era::Known;
use super::opening::Sessions;
use super::reader::Reader;
use super::refusal::{NotCalled, NotOpened, Undelivered};
use super::task::Task;
use super::{Session, Transport};
use crate::access::{Denied, Opening};
use crate::catalog::{Fingerprint, LaunchPlan};
use crate::mcp::{Enveloped, Mirror};

/// Who shares a backend: those who would start the same process, with the same capabilities.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ShareKey {
    plan: Fingerprint,
    capabilities: [u8; 32],
}

/// The warm backends.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<HashMap<ShareKey, Siblings>>);

/// The backends for the same clients.
#[derive(Clone, Debug, Default)]
struct Siblings {
    sessions: Vec<Arc<Session>>,
    /// One of them may take another call now, or is gone.
    freed: Arc<Notify>,
    /// Open as long as somebody starts another.
    starting: Option<watch::Receiver<()>>,
}

/// Backends at work for the same clients, and all of them, with those that wait for a client. Beyond that, calls wait
/// for their turn.
const MAX_AT_WORK: usize = 8;
const MAX_SIBLINGS: usize = 32;
/// How long a call waits for its turn before another backend is started: longer than most calls take, and shorter than
/// most starts.
const SHORTLY: Duration = Duration::from_millis(250);
/// How often a request is taken to another backend because its own has just ended.
const TRIES: usize = 3;

impl Shared {
    /// Takes a backend that is ending off the list.
    pub(super) fn remove(&self, key: &ShareKey, session: &Arc<Session>) {
        let mut warm = self.warm();
        let Some(siblings) = warm.get_mut(key) else { return };
        siblings.sessions.retain(|own| !Arc::ptr_eq(own, session));
        siblings.freed.notify_waiters();
        if siblings.is_forgotten() {
            warm.remove(key);
        }
    }

    fn siblings(&self, key: &ShareKey) -> Siblings {
        self.warm().get(key).cloned().unwrap_or_default()
    }

    fn warm(&self) -> MutexGuard<'_, HashMap<ShareKey, Siblings>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Siblings {
    fn live(&self) -> Vec<&Arc<Session>> {
        self.sessions.iter().filter(|session| !session.is_ending()).collect()
    }

    fn is_starting(&self) -> bool {
        self.starting.as_ref().is_some_and(|starting| starting.has_changed().is_ok())
    }

    /// Whether there is nothing to be known of them.
    fn is_forgotten(&self) -> bool {
        self.sessions.is_empty() && !self.is_starting()
    }

    /// Resolves once nobody starts another.
    async fn started(&self) {
        let mut starting = self.starting.clone();
        while let Some(starting) = &mut starting
            && starting.changed().await.is_ok()
        {}
    }
}

impl Sessions {
    /// Takes a request that stands for itself to a backend: to a warm one if there is one, else to a new
    /// one, for which `opening` is asked. Dropping the reader cancels the request. It sees
    /// and uses of the backend what the plan offers, whoever else shares it.
    ///
    /// # Errors
    /// If the request does not fit, or there is no backend for it.
    pub async fn call(
        &self,
        plan: &LaunchPlan,
        call: Enveloped,
        mirror: &Mirror<'_>,
        opening: impl AsyncFn() -> Result<Opening, Denied>,
    ) -> Result<Reader, NotCalled> {
        plan.offer().check(call.frame())?;
        for tries in (0..TRIES).rev() {
            let turn = self.turn(plan, &call, &opening).await?;
            let session = turn.session();
            if call.tool().is_some() {
                let headers = match turn.comes_back() {
                    true => session.known_tool_headers(),
                    false => {
                        let _waiting = Waiting::new(session, call.frame().bytes().len())?;
                        session.tool_headers().await.map_err(NotCalled::Failed)?
                    }
                };
                headers.check(&call, mirror)?;
            }
            match session.deliver([call.frame().clone()], None, plan.offer(), Instant::now()) {
                Ok(Some(reader)) => return reader.called_by(plan).map_err(NotCalled::Lost),
                Ok(None) | Err(Undelivered::NoSession) => {
                    let failure =
                        session.state().failure.clone().filter(|_| call.tool().is_some() || tries == 0);
                    if let Some(failure) = failure {
                        return Err(NotCalled::Failed(failure));
                    }
                }
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(Undelivered::Busy.into())
    }

    /// A backend that takes this request now. Started, if there is none and may be another; else waited for.
    async fn turn(
        &self,
        plan: &LaunchPlan,
        call: &Enveloped,
        opening: impl AsyncFn() -> Result<Opening, Denied>,
    ) -> Result<Turn, NotCalled> {
        let key = ShareKey { plan: plan.fingerprint(), capabilities: *call.capabilities() };
        let patience = plan.timeout().unwrap_or(self.timeouts.request);
        let too_late = wait((!patience.is_zero()).then(|| Instant::now() + patience));
        tokio::pin!(too_late);
        let mut since = None;
        loop {
            // Looked at outside of the lock that every tenant needs.
            let known = self.shared.siblings(&key);
            if let Some(turn) = Turn::choose(&known.live(), call) {
                return Ok(turn);
            }
            let freed = known.freed.notified();
            tokio::pin!(freed);
            // From here on, nothing that happens is missed.
            freed.as_mut().enable();
            let live = known.live();
            if let Some(turn) = Turn::choose(&live, call) {
                return Ok(turn);
            }
            let begins = live.iter().any(|session| session.state().bridge.is_beginning());
            let has_room = self.has_room(plan, &live);
            let shortly =
                if live.iter().any(|session| session.is_at_work()) { SHORTLY } else { Duration::ZERO };
            // One that begins may take everything at once, or be free soon.
            let due = (!begins && has_room).then(|| *since.get_or_insert_with(Instant::now) + shortly);
            let may_start = live.is_empty() || due.is_some_and(|due| due <= Instant::now());
            if may_start && known.is_starting() {
                tokio::select! {
                    () = known.started() => continue,
                    () = freed => continue,
                    () = &mut too_late => return Err(Undelivered::Busy.into()),
                    () = self.lifecycle.draining() => return Err(NotOpened::Draining.into()),
                }
            }
            if may_start && self.start_shared(plan, &key, call, &known, &opening).await? {
                continue;
            }
            // Another cannot be had.
            if !has_room || may_start {
                live.iter().for_each(|session| session.hurry());
            }
            tokio::select! {
                () = freed => {}
                () = wait(due.filter(|_| !may_start)) => {}
                () = &mut too_late => return Err(Undelivered::Busy.into()),
                () = self.lifecycle.finishing() => return Err(NotOpened::Draining.into()),
            }
        }
    }

    /// Whether there may be another beside these. Nobody is told if not.
    fn has_room(&self, plan: &LaunchPlan, live: &[&Arc<Session>]) -> bool {
        let at_work = live.iter().filter(|session| session.is_at_work()).count();
        at_work < MAX_AT_WORK
            && live.len() < MAX_SIBLINGS
            && !self.lifecycle.is_draining()
            && self.registry.has_seat(plan, &self.limits)
    }

    /// Starts another backend, unless somebody else has done so. Says whether there may be one that is free now.
    async fn start_shared(
        &self,
        plan: &LaunchPlan,
        key: &ShareKey,
        call: &Enveloped,
        known: &Siblings,
        opening: impl AsyncFn() -> Result<Opening, Denied>,
    ) -> Result<bool, NotCalled> {
        let Some(starting) = Starting::begin(&self.shared, key, known) else { return Ok(true) };
        let is_first = known.sessions.iter().all(|session| session.is_ending());
        // Who has one that is busy can wait for it.
        let opened = match opening().await {
            Ok(_opening) => self.open_shared(plan, key, call).await,
            Err(denied) => Err(denied.into()),
        };
        match opened {
            Ok(session) => {
                starting.done(session);
                Ok(true)
            }
            Err(fault) if is_first => Err(fault),
            Err(_) => Ok(false),
        }
    }

    async fn open_shared(
        &self,
        plan: &LaunchPlan,
        key: &ShareKey,
        call: &Enveloped,
    ) -> Result<Arc<Session>, NotCalled> {
        let verdict = self.verdicts.get(&key.plan, Instant::now());
        let (era, profile) = verdict.map_or((None, None), |verdict| (Some(verdict.era), verdict.profile));
        let known = Known { era: plan.era().or(era), profile, introduction: call.introduction().clone() };
        let (session, seat) = self.seat(plan.clone(), Transport::Stateless, known).await?;
        self.registry.count();
        let task = Task::new(session.clone(), seat, self, Some(key.clone()));
        self.lifecycle.spawn(task.run(None));
        Ok(session)
    }
}

/// Until then; for ever, if that is never.
async fn wait(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => pending().await,
    }
}

impl Session {
    /// Whether nothing is taken any more.
    fn is_ending(&self) -> bool {
        let state = self.state();
        state.ended || state.abandoned
    }

    /// Whether it takes calls, and does not wait for a client in the middle of one.
    fn is_at_work(&self) -> bool {
        let state = self.state();
        !state.bridge.is_parked() && !state.bridge.is_spent()
    }

    /// Tells whoever waits for this backend, or one like it, when it may take another call.
    fn shared_with(&self, freed: &Arc<Notify>) {
        let _ = self.freed.set(freed.clone());
    }

    /// Others wait for it: who keeps it without using it does so for a while only.
    fn hurry(&self) {
        self.state().bridge.hurry();
        self.work.notify_one();
    }
}
