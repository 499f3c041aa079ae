//! What a session finds out of the era that its backend speaks.

use tokio::time::Instant;

use super::super::State;
use super::super::end::End;
use super::super::era::{Evidence, Verdict};
use super::Task;
use crate::backend::{Exit, Link};

impl Task {
    /// Whether the backend has ended over the question which era it speaks: some do. Then another is started, and not
    /// asked.
    pub(super) async fn begins_again(&mut self, end: &End, link: &Link) -> bool {
        let is_over = matches!(end, End::BackendExited(_) | End::BackendClosed);
        if !is_over || !self.session.state().bridge.may_begin_again() {
            return false;
        }
        // That a remote server is out of reach says nothing of its era.
        if self.exit_of(end, Some(link)).await == Some(Exit::Lost) {
            return false;
        }
        let (session, now) = (self.session.clone(), Instant::now());
        let mut state = session.state();
        let Some(first) = state.bridge.begin_again(session.age(now)) else { return false };
        state.outlet = None;
        state.to_backend.clear();
        session.pass(&mut state, first, now);
        self.learn(&state, Evidence::Silence);
        drop(state);
        (self.answered, self.has_lines) = (false, false);
        true
    }

    /// Ends what is left of a backend in whose place another is started.
    pub(super) async fn put_away(&mut self, link: Link) {
        let Link { outlet, inlet, life } = link;
        drop((outlet, inlet));
        self.slot = None;
        life.stop(self.sessions.timeouts.eof, self.sessions.timeouts.term).await;
    }

    /// Keeps what has become known of the backend, for others who would start the same.
    pub(super) fn learn(&mut self, state: &State, evidence: Evidence) {
        let Some(era) = state.bridge.shown() else { return };
        let profile = state.bridge.profile();
        let learned = Some((era, profile.is_some()));
        if std::mem::replace(&mut self.learned, learned) != learned {
            let verdict = Verdict { era, profile: profile.cloned() };
            self.sessions.verdicts.set(self.session.plan.fingerprint(), verdict, evidence, Instant::now());
            // Whoever waited for that may start another now.
            self.session.freed.get().into_iter().for_each(|freed| freed.notify_waiters());
        }
    }
}
