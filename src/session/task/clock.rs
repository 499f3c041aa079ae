//! What a session does because time passes.

use std::time::Duration;

use tokio::time::Instant;

use super::super::end::{End, for_people};
use super::super::{State, Transport};
use super::Task;

/// Into how many parts the patience with readers is cut to look for stalled ones.
const STALL_CHECKS: u32 = 8;
/// How long a reader may take nothing while other clients of the same backend wait for it to do so.
const OTHERS_WAIT: Duration = Duration::from_secs(2);

/// Who is woken so much too late was stopped, or the whole machine was. What has come meanwhile is looked at
/// first, so that nobody is blamed for it.
const OVERSLEPT: Duration = Duration::from_millis(500);
/// How long it may take others to catch up.
const LENIENCE: Duration = Duration::from_secs(1);

/// What `serve` does next.
pub(super) struct Turn {
    /// The client takes more.
    pub(super) room: bool,
    /// The backend has not taken everything.
    pub(super) blocked: bool,
    /// When something is due.
    pub(super) wake_at: Instant,
}

impl Task {
    /// Looks at everything that is not a message: who left, whose time is up, what can go on.
    pub(super) fn look_around(&mut self) -> Result<Turn, End> {
        let session = self.session.clone();
        let mut state = session.state();
        let turn = self.consider(&mut state);
        // Under the same lock, so that no request comes in between only to fail.
        state.ended |= turn.is_err();
        turn
    }

    fn consider(&mut self, state: &mut State) -> Result<Turn, End> {
        let now = Instant::now();
        if self.sessions.lifecycle.is_ending() {
            return Err(End::ShutDown);
        }
        if state.abandoned {
            return Err(End::ClientLeft);
        }
        if state.dismissed {
            return Err(End::Dismissed);
        }
        self.review(state, now)?;
        if let Some(refusal) = state.bridge.refusal() {
            return Err(End::Refused(Some(refusal.message.clone())));
        }
        if state.exchange.is_refused() {
            return Err(End::Refused(None));
        }
        if state.bridge.is_spent() && state.exchange.is_quiet() {
            return Err(End::Spent);
        }
        if self.sessions.lifecycle.is_finishing() && state.exchange.is_idle() {
            return Err(End::Drained);
        }
        // Once, or whoever is late all the time would never judge anybody.
        if now >= state.task_wakes_at + OVERSLEPT && self.lenient_until < state.task_wakes_at {
            self.lenient_until = now + LENIENCE;
        }
        state.flush();
        if self.slot.is_some() && (self.answered || now >= self.slot_until) {
            self.slot = None;
        }
        let due = if now < self.lenient_until { self.lenient_until } else { self.next_due(state, now)? };
        let wake_at = self.slot.as_ref().map_or(due, |_| due.min(self.slot_until));
        state.task_wakes_at = wake_at;
        Ok(Turn { room: state.outbox.has_room(), blocked: !state.to_backend.is_empty(), wake_at })
    }

    /// Does what is due, and says when something is next.
    fn next_due(&mut self, state: &mut State, now: Instant) -> Result<Instant, End> {
        self.expire_requests(state, now);
        self.session.tick(state, now);
        state.flush();
        let next = self.next_end(state, now)?.min(self.check_stalled(state, now)?);
        let dues = state.exchange.next_deadline().into_iter().chain(self.session.bridge_due(state));
        Ok(dues.fold(next, Instant::min))
    }

    /// When the session ends by itself, if nothing happens; an error if it is time.
    fn next_end(&self, state: &State, now: Instant) -> Result<Instant, End> {
        let timeouts = &self.sessions.timeouts;
        let waited_since = state.first_request.filter(|_| !self.answered).map(|at| at.max(self.started));
        let start_due = waited_since.map(|at| at + timeouts.start);
        let (idle, may_idle) = match self.is_shared() {
            true => (timeouts.warm, state.exchange.is_quiet() && !state.bridge.is_parked()),
            false => (timeouts.idle, true),
        };
        let idle_due = may_idle.then(|| state.last_message + idle);
        // A shared backend has no client whose session it could end in the middle.
        let is_over = !self.is_shared() || state.exchange.is_idle();
        let lifetime_due = is_over.then(|| self.opened + timeouts.lifetime);
        let mut next = now + timeouts.lifetime;
        for (due, end) in
            [(start_due, End::NoAnswer), (idle_due, End::Idle(idle)), (lifetime_due, End::Lifetime)]
        {
            match due {
                Some(due) if due <= now => return Err(end),
                Some(due) => next = next.min(due),
                None => {}
            }
        }
        Ok(next)
    }

    /// Cuts off clients that take nothing, now and then. When to look again.
    fn check_stalled(&mut self, state: &mut State, now: Instant) -> Result<Instant, End> {
        let mut limit = self.sessions.timeouts.stalled_reader;
        if !state.outbox.is_waiting() {
            return Ok(now + limit);
        }
        if self.is_shared() && !state.outbox.has_room() && state.outbox.has_several_readers() {
            limit = limit.min(OTHERS_WAIT);
        }
        if self.stall_check <= now {
            let cut = now.checked_sub(limit).is_some_and(|since| state.outbox.cut_stalled(since));
            if cut && self.session.transport == Transport::Sse {
                return Err(End::Stalled);
            }
            self.stall_check = now + limit / STALL_CHECKS;
        }
        self.stall_check = self.stall_check.min(now + limit / STALL_CHECKS);
        Ok(self.stall_check)
    }

    fn expire_requests(&self, state: &mut State, now: Instant) {
        let timeouts = &self.sessions.timeouts;
        if state.exchange.next_deadline().is_none_or(|due| due > now) {
            return;
        }
        let limit = for_people(self.session.plan.timeout().unwrap_or(timeouts.request));
        let reason = format!("the server {} did not answer within {limit}", self.session.plan.server());
        for (error, cancelled) in state.exchange.expire(now, &reason) {
            let _ = state.address(error, now);
            self.session.forward(state, cancelled, now);
        }
        let State { exchange, outbox, .. } = state;
        let answers = exchange.answer_parked(now, |event| outbox.is_unread(event));
        self.session.forward(state, answers, now);
    }
}
