//! How a session ends: nobody waits in vain, and nothing is left.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::super::end::End;
use super::super::opening::Sessions;
use super::super::shared::ShareKey;
use super::super::{Session, State};
use super::Task;
use crate::audit::{self, Event};
use crate::backend::{Exit, Link};
use crate::mcp::{Code, Failure};

/// How long a session outlives a server that failed before it was asked anything.
const LAST_CHANCE: Duration = Duration::from_secs(3);

/// What a server that does not end is killed with.
const SIGKILL: i32 = 9;

/// That a session is open, which the operator hears when this is made. Whatever happens to the task, a panic
/// included, and even if it never runs: the session is found no more, its streams end, and the operator hears of it.
pub(super) struct Listed {
    session: Arc<Session>,
    sessions: Sessions,
    pub(super) shared_as: Option<ShareKey>,
    /// Why it has ended, and the word for it.
    ended: String,
    why: &'static str,
}

const FAILED: &str = "the session failed inside the gateway";

impl Listed {
    pub(super) fn new(session: Arc<Session>, sessions: Sessions, shared_as: Option<ShareKey>) -> Self {
        audit::record(Event::SessionOpened(session.of()));
        sessions.registry.ledger.tend(&session);
        Self { session, sessions, shared_as, ended: FAILED.into(), why: "failed" }
    }

    fn unlist(&self) {
        match &self.shared_as {
            Some(key) => self.sessions.shared.remove(key, &self.session),
            None => self.sessions.registry.remove(&self.session.id),
        }
    }
}

impl Task {
    /// Nobody waits in vain, nothing is left: errors for what is open, the end of the stream, then the end
    /// of the processes.
    pub(super) async fn finish(mut self, end: End, mut link: Option<Link>) {
        let exit = self.exit_of(&end, link.as_ref()).await;
        if !self.answered && exit.is_some() && !self.is_shared() {
            self.wait_for_somebody_to_tell().await;
        }
        if let Some(link) = link.as_mut().filter(|_| exit.is_some()) {
            link.life.hear_out().await;
        }
        let last_words = link.as_ref().and_then(|link| link.life.last_words(str::to_owned));
        let (server, timeouts) = (self.session.plan.server(), &self.sessions.timeouts);
        let reason = end.reason(server, timeouts, exit, last_words.as_deref());
        self.note_failure(&end, exit, link.as_ref());
        let failure = Failure::new(Code::Internal, reason);
        self.listed.unlist();
        self.close(&failure, &end);
        self.slot = None;
        if let Some(Link { outlet, inlet, life }) = link.take() {
            drop((outlet, inlet));
            let last = life.stop(self.sessions.timeouts.eof, self.sessions.timeouts.term).await;
            // What has ended by such a signal before was not asked by us.
            if exit.is_none() && last == Exit::Signal(SIGKILL) {
                audit::record(Event::ServerKilled(self.session.of()));
            }
        }
        self.listed.why = end.word();
        // Without the server's last words, which may hold anything.
        self.listed.ended = end.reason(self.session.plan.server(), &self.sessions.timeouts, exit, None);
    }

    /// Tells the operator if it was the backend that ended the session, and not as backends should.
    fn note_failure(&self, end: &End, exit: Option<Exit>, link: Option<&Link>) {
        if !end.is_failure(exit) {
            return;
        }
        let reason = match end {
            End::NotStarted(failed) => failed.to_string(),
            end => end.reason(self.session.plan.server(), &self.sessions.timeouts, exit, None),
        };
        let stderr =
            link.map(|link| link.life.last_lines(|text| self.session.plan.conceal(text))).unwrap_or_default();
        self.sessions.registry.ledger.failed(&self.session, &reason, &stderr);
    }

    /// How the backend has ended, if it has.
    pub(super) async fn exit_of(&self, end: &End, link: Option<&Link>) -> Option<Exit> {
        match (end, link) {
            (End::BackendExited(exit), _) => Some(*exit),
            // Closing stdout is what most do on their way out.
            (End::BackendClosed, Some(link)) => {
                timeout(self.sessions.timeouts.eof, link.life.exited()).await.ok()
            }
            _ => None,
        }
    }

    /// A server that fails at once is gone before its client has asked it anything, and a stream that just
    /// ends tells nobody why.
    async fn wait_for_somebody_to_tell(&self) {
        let session = self.session.clone();
        session.state().outlet = None;
        let told = async {
            while {
                let state = session.state();
                state.exchange.is_idle() && !state.abandoned
            } {
                session.work.notified().await;
            }
        };
        tokio::select! {
            _ = timeout(LAST_CHANCE, told) => {}
            () = self.sessions.lifecycle.finishing() => {}
        }
    }

    fn close(&self, failure: &Failure, end: &End) {
        let by_us = matches!(end, End::Drained | End::ShutDown);
        let mut state = self.session.state();
        state.to_backend.clear();
        let last = state.bridge.ends();
        self.session.pass(&mut state, last, Instant::now());
        state.sent_away = by_us && self.sessions.lifecycle.others_go_on();
        if by_us || matches!(end, End::Lifetime) {
            let now = Instant::now();
            for end in state.exchange.end_subscriptions() {
                let _ = state.address(end, now);
            }
        }
        state.close(failure);
    }
}

impl State {
    /// Takes nothing any more; whoever waits hears why.
    fn close(&mut self, failure: &Failure) {
        let now = Instant::now();
        self.ended = true;
        self.outlet = None;
        self.failure.get_or_insert_with(|| failure.clone());
        for error in self.exchange.fail_all(failure) {
            let _ = self.address(error, now);
        }
        self.outbox.close();
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.unlist();
        self.sessions.registry.ledger.leave(&self.session, self.why);
        self.session.state().close(&Failure::new(Code::Internal, FAILED));
        audit::record(Event::SessionEnded(self.session.of(), &self.ended));
    }
}
