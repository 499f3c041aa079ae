//! Sessions that clients share, because each of their requests stands for itself: a backend is kept warm for all
//! clients of one tenant that would start the same one and can do the same things (protocol.md section 5.1, child
//! keying). Those who share one may need several: where a backend may ask its client something and does not say in
//! which call, it gets one such call at a time.

mod tools;
mod turn;

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

pub(super) use self::tools::Tools;

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
        if siblings.sessions.is_empty() {
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
        opening: impl Fn() -> Result<Opening, Denied>,
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
        opening: impl Fn() -> Result<Opening, Denied>,
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
            if may_start && self.start_shared(plan, &key, call, &known, &opening)? {
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
            && self.registry.seat(plan, &self.limits).is_ok()
    }

    /// Starts another backend, unless somebody else has done so. Says whether there may be one that is free now.
    fn start_shared(
        &self,
        plan: &LaunchPlan,
        key: &ShareKey,
        call: &Enveloped,
        known: &Siblings,
        opening: impl Fn() -> Result<Opening, Denied>,
    ) -> Result<bool, NotCalled> {
        let mut warm = self.shared.warm();
        let sessions = warm.get(key).map_or(&[][..], |siblings| siblings.sessions.as_slice());
        if !sessions.iter().map(Arc::as_ptr).eq(known.sessions.iter().map(Arc::as_ptr)) {
            return Ok(true);
        }
        let is_first = known.sessions.iter().all(|session| session.is_ending());
        // Who has one that is busy can wait for it.
        let opened =
            opening().map_err(NotCalled::from).and_then(|_opening| self.open_shared(plan, key, call));
        match opened {
            Ok(session) => {
                let siblings = warm.entry(key.clone()).or_default();
                // Whoever waited for it looks at it first.
                session.shared_with(&siblings.freed);
                siblings.sessions.push(session);
                Ok(true)
            }
            Err(fault) if is_first => Err(fault),
            Err(_) => Ok(false),
        }
    }

    fn open_shared(
        &self,
        plan: &LaunchPlan,
        key: &ShareKey,
        call: &Enveloped,
    ) -> Result<Arc<Session>, NotCalled> {
        let verdict = self.verdicts.get(&key.plan, Instant::now());
        let (era, profile) = verdict.map_or((None, None), |verdict| (Some(verdict.era), verdict.profile));
        let known = Known { era: plan.era().or(era), profile, introduction: call.introduction().clone() };
        let (session, seat) = self.seat(plan.clone(), Transport::Stateless, known)?;
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
