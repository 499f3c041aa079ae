//! What the operator is told of sessions: those that live, and what became of those that do not any more.
//!
//! Its lock is taken when a session begins, when its backend starts, when it ends, and by who looks; never on the
//! way of a message.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::figures::{Distribution, Queues, Times, Traffic};
use super::{Session, Transport};
use crate::audit::seconds_since_1970;
use crate::ids::{ServerName, SessionId, TenantId};

/// The book of all sessions.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    /// All that have a task, from their opening until nothing of them is left.
    live: HashMap<SessionId, Arc<Session>>,
    past: Totals,
}

/// What there has been since the gateway started, by server and by tenant.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Sessions of a server over a transport.
    pub sessions: BTreeMap<(ServerName, Transport), Account>,
    /// Starts of a server's backends.
    pub starts: BTreeMap<ServerName, Starts>,
    /// Sessions of a tenant.
    pub tenants: BTreeMap<TenantId, TenantAccount>,
}

/// What there has been of one server over one transport.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Sessions that were opened.
    pub opened: u64,
    /// Sessions that have ended, by why.
    pub ended: BTreeMap<&'static str, u64>,
    /// What has passed through them.
    pub traffic: Traffic,
    /// How long their calls took.
    pub times: Times,
    /// What waits in those that live.
    pub queues: Queues,
}

/// What there has been of one tenant.
#[derive(Clone, Copy, Debug, Default)]
pub struct TenantAccount {
    /// Sessions that were opened.
    pub opened: u64,
    /// What has passed through them.
    pub traffic: Traffic,
}

/// How the backends of one server have begun.
#[derive(Clone, Debug, Default)]
pub struct Starts {
    /// Backends that ran.
    pub started: u64,
    /// Sessions that failed because of their backend: it could not be started, or gave no answer, or crashed.
    pub failed: u64,
    /// From when a session was opened until its backend ran.
    pub ready: Distribution,
    /// From when a backend was asked something first until it answered.
    pub answered: Distribution,
    /// The last failures, oldest first.
    pub failures: VecDeque<Trouble>,
}

/// How a session failed because of its backend.
#[derive(Clone, Debug, Serialize)]
pub struct Trouble {
    /// When, in seconds since 1970.
    pub at: u64,
    /// Whose session it was.
    pub tenant: String,
    /// Its tag.
    pub session: String,
    /// What happened.
    pub reason: String,
    /// What the backend wrote to stderr last, without the values of its environment.
    pub stderr: Vec<String>,
}

/// So many failures of each server are kept.
const FAILURES: usize = 5;

impl Ledger {
    /// A task has begun to tend the session.
    pub(super) fn tend(&self, session: &Arc<Session>) {
        let mut books = self.books();
        books.live.insert(session.id.clone(), session.clone());
        books.past.account(session).opened += 1;
        books.past.tenants.entry(session.plan.tenant().clone()).or_default().opened += 1;
    }

    /// Nothing of it is left.
    pub(super) fn leave(&self, session: &Session, why: &'static str) {
        let mut books = self.books();
        if books.live.remove(&session.id).is_none() {
            return;
        }
        let account = books.past.account(session);
        account.add(session);
        *account.ended.entry(why).or_default() += 1;
        let tenant = books.past.tenants.entry(session.plan.tenant().clone()).or_default();
        tenant.traffic += session.figures.traffic();
    }

    /// A backend of this server runs, so long after it was wanted.
    pub(super) fn started(&self, session: &Session, after: Duration) {
        let mut books = self.books();
        let starts = books.past.starts(session);
        starts.started += 1;
        starts.ready.observe(after);
    }

    /// It has answered for the first time, so long after it was asked.
    pub(super) fn answered(&self, session: &Session, after: Duration) {
        self.books().past.starts(session).answered.observe(after);
    }

    /// It has failed its session.
    pub(super) fn failed(&self, session: &Session, reason: &str, stderr: &[String]) {
        let trouble = Trouble {
            at: seconds_since_1970(),
            tenant: session.plan.tenant().to_string(),
            session: session.tag.to_string(),
            reason: session.plan.conceal(reason),
            stderr: stderr.iter().map(|line| session.plan.conceal(line)).collect(),
        };
        let mut books = self.books();
        let starts = books.past.starts(session);
        starts.failed += 1;
        starts.failures.push_back(trouble);
        if starts.failures.len() > FAILURES {
            starts.failures.pop_front();
        }
    }

    /// All sessions that have a task.
    pub(super) fn live(&self) -> Vec<Arc<Session>> {
        self.books().live.values().cloned().collect()
    }

    /// What there has been so far, with what those have that live. Never less than it was before: nobody ends between
    /// the two, or what a reader still takes of a session that has ended would be seen once and then no more.
    pub(super) fn totals(&self) -> Totals {
        let books = self.books();
        let mut totals = books.past.clone();
        for session in books.live.values() {
            let account = totals.account(session);
            account.add(session);
            account.queues += session.figures.queues();
            let tenant = totals.tenants.entry(session.plan.tenant().clone()).or_default();
            tenant.traffic += session.figures.traffic();
        }
        totals
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Totals {
    fn account(&mut self, session: &Session) -> &mut Account {
        self.sessions.entry((session.plan.server().clone(), session.transport)).or_default()
    }

    fn starts(&mut self, session: &Session) -> &mut Starts {
        self.starts.entry(session.plan.server().clone()).or_default()
    }
}

impl Account {
    /// With what there has been over another transport.
    pub fn join(&mut self, other: Self) {
        self.opened += other.opened;
        self.traffic += other.traffic;
        self.queues += other.queues;
        self.times.join(&other.times);
        for (why, count) in other.ended {
            *self.ended.entry(why).or_default() += count;
        }
    }

    fn add(&mut self, session: &Session) {
        self.traffic += session.figures.traffic();
        session.figures.add_times(&mut self.times);
    }
}
