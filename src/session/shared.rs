//! Sessions that clients share, because each of their requests stands for itself: a backend is kept warm for all
//! clients of one tenant that would start the same one and can do the same things (protocol.md section 5.1, child
//! keying).

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};

use super::era::Known;
use super::opening::Sessions;
use super::reader::Reader;
use super::refusal::{NotCalled, Undelivered};
use super::task::Task;
use super::{Session, Transport};
use crate::access::{Denied, Opening};
use crate::catalog::{Fingerprint, LaunchPlan, Offer};
use crate::mcp::{Code, Enveloped, Failure, Frame, Mirror, ToolHeaders, list_tools};

/// Who shares a backend: those who would start the same process, with the same capabilities.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ShareKey {
    plan: Fingerprint,
    capabilities: [u8; 32],
}

/// The warm backends. Those who share one may need several: where a backend asks its client something and does not say
/// in which call, it gets one such call at a time.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<HashMap<ShareKey, Vec<Arc<Session>>>>);

/// What is known of a shared backend's tools.
#[derive(Debug, Default)]
pub(super) struct Tools(Mutex<Option<Asked>>);

/// A question to a backend for its tools, and the answer once it is there.
#[derive(Debug)]
struct Asked {
    at: Instant,
    answer: Arc<OnceCell<Arc<ToolHeaders>>>,
}

/// How long a list of tools is believed, if the backend does not say that it has changed.
const TOOLS_LAST: Duration = Duration::from_secs(60);
/// Pages of tools that are read.
const MAX_PAGES: usize = 64;
/// Backends for the same clients. Beyond that, calls wait for their turn.
const MAX_ALIKE: usize = 8;
/// How often a request is taken to another backend because its own has just ended.
const TRIES: usize = 3;

/// A request that waits until it is known which headers it must have. All of them together take no more
/// than the queue to the backend would.
struct Waiting<'s>(&'s Session, usize);

impl<'s> Waiting<'s> {
    fn new(session: &'s Session, size: usize) -> Result<Self, Undelivered> {
        let others = session.waiting.fetch_add(size, Ordering::Relaxed);
        let waiting = Self(session, size);
        if others > session.max_queue { Err(Undelivered::Busy) } else { Ok(waiting) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(self.1, Ordering::Relaxed);
    }
}

impl Shared {
    /// Takes a backend that is ending off the list.
    pub(super) fn remove(&self, key: &ShareKey, session: &Arc<Session>) {
        let mut warm = self.warm();
        let Some(sessions) = warm.get_mut(key) else { return };
        sessions.retain(|own| !Arc::ptr_eq(own, session));
        if sessions.is_empty() {
            warm.remove(key);
        }
    }

    fn of(&self, key: &ShareKey) -> Vec<Arc<Session>> {
        self.warm().get(key).cloned().unwrap_or_default()
    }

    fn warm(&self) -> MutexGuard<'_, HashMap<ShareKey, Vec<Arc<Session>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut tries = TRIES;
        loop {
            let chosen = self.choose(plan, &call, &opening)?;
            let session = &chosen.session;
            if call.tool().is_some() {
                let _waiting = Waiting::new(session, call.frame().bytes().len())?;
                session.tool_headers().await.map_err(NotCalled::Failed)?.check(&call, mirror)?;
            }
            let Some(outcome) = chosen.deliver(call.frame().clone(), plan.offer()) else { continue };
            tries -= 1;
            match outcome {
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
            if tries == 0 {
                return Err(Undelivered::Busy.into());
            }
        }
    }

    /// The backend for this request; started, if there is none that takes it now and there may be another.
    fn choose(
        &self,
        plan: &LaunchPlan,
        call: &Enveloped,
        opening: impl Fn() -> Result<Opening, Denied>,
    ) -> Result<Chosen, NotCalled> {
        let key = ShareKey { plan: plan.fingerprint(), capabilities: *call.capabilities() };
        loop {
            // Looked at outside of the lock that every tenant needs.
            let known = self.shared.of(&key);
            let live: Vec<_> = known.iter().filter(|session| !session.is_ending()).collect();
            if let Some(chosen) = Chosen::among(&live, call) {
                return Ok(chosen);
            }
            let mut warm = self.shared.warm();
            let current = warm.get(&key).map_or(&[][..], Vec::as_slice);
            if !current.iter().map(Arc::as_ptr).eq(known.iter().map(Arc::as_ptr)) {
                continue;
            }
            let started = match live.len() {
                MAX_ALIKE.. => None,
                0 => Some(self.start_shared(plan, key.clone(), call, &opening)?),
                // Where there may be no other, a call waits for its turn.
                _ => self.start_shared(plan, key.clone(), call, &opening).ok(),
            };
            return Ok(match started {
                Some(session) => {
                    warm.entry(key).or_default().push(session.clone());
                    Chosen { session, waits: false }
                }
                None => {
                    let shortest = live.into_iter().min_by_key(|session| session.state().bridge.held());
                    let session = shortest.ok_or(Undelivered::Busy)?.clone();
                    Chosen { session, waits: true }
                }
            });
        }
    }

    fn start_shared(
        &self,
        plan: &LaunchPlan,
        key: ShareKey,
        call: &Enveloped,
        opening: impl Fn() -> Result<Opening, Denied>,
    ) -> Result<Arc<Session>, NotCalled> {
        let _opening = opening()?;
        let verdict = self.verdicts.get(&key.plan, Instant::now());
        let (era, profile) = verdict.map_or((None, None), |verdict| (Some(verdict.era), verdict.profile));
        let known = Known { era: plan.era().or(era), profile, introduction: call.introduction().clone() };
        let (session, seat) = self.seat(plan.clone(), Transport::Stateless, known)?;
        self.registry.count();
        let task = Task::new(session.clone(), seat, self, Some(key));
        self.lifecycle.spawn(task.run(None));
        Ok(session)
    }
}

/// The session, of those that share a key, whose backend a request goes to.
struct Chosen {
    session: Arc<Session>,
    /// Its turn may come later.
    waits: bool,
}

impl Chosen {
    /// One of these, if one takes the request now. Who brings back what a backend has asked for must come to that one.
    fn among(sessions: &[&Arc<Session>], call: &Enveloped) -> Option<Self> {
        let asked = |state| sessions.iter().find(|session| session.state().bridge.has_asked(state));
        if let Some(session) = call.state().and_then(asked) {
            return Some(Self { session: Arc::clone(session), waits: true });
        }
        let takes = |session: &&&Arc<Session>| !call.may_be_asked() || !session.state().bridge.is_taken();
        let session = Arc::clone(sessions.iter().find(takes)?);
        Some(Self { session, waits: !call.may_be_asked() })
    }

    /// Hands the request over; `None` if another has come first, whose turn it is now.
    fn deliver(&self, frame: Frame, offer: &Offer) -> Option<Result<Option<Reader>, Undelivered>> {
        let state = self.session.state();
        if !self.waits && state.bridge.is_taken() {
            return None;
        }
        Some(self.session.deliver_in(state, [frame], None, offer))
    }
}

impl Session {
    /// Whether nothing is taken any more.
    fn is_ending(&self) -> bool {
        let state = self.state();
        state.ended || state.abandoned
    }

    /// The headers that this backend's tools want repeated; asked for once, by whoever comes first. If it
    /// refuses to tell, or has ended, its answer to the call itself will say more; one that says nothing
    /// must not make us skip the check.
    async fn tool_headers(self: &Arc<Self>) -> Result<Arc<ToolHeaders>, Failure> {
        let answer = {
            let mut tools = self.tools.0.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            match &*tools {
                Some(asked) if now < asked.at + TOOLS_LAST => asked.answer.clone(),
                _ => tools.insert(Asked { at: now, answer: Arc::default() }).answer.clone(),
            }
        };
        let listing = async { self.list_tools().await.map(Arc::new).ok_or(()) };
        let known = timeout(self.start_timeout, answer.get_or_try_init(|| listing)).await;
        let silent = |_| {
            let reason = format!("the server {} did not tell which tools it has", self.plan.server());
            Failure::new(Code::Internal, reason)
        };
        known.map(|known| known.cloned().unwrap_or_default()).map_err(silent)
    }

    async fn list_tools(self: &Arc<Self>) -> Option<ToolHeaders> {
        let mut headers = ToolHeaders::default();
        let mut cursor = None;
        for _ in 0..MAX_PAGES {
            let question = list_tools(cursor.as_deref());
            let mut reader = self.deliver([question], None, &Offer::EVERYTHING).ok()??;
            let answer = reader.next().await?.frames.pop().filter(|answer| !answer.is_error())?;
            cursor = headers.add_page(&answer);
            if cursor.is_none() {
                break;
            }
        }
        Some(headers)
    }

    /// The backend has said that its tools are others now.
    pub(super) fn forget_tools(&self) {
        *self.tools.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
