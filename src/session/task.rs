//! The owner of a session: starts its backend, carries what the backend says, watches the clock, and tidies
//! up. Three states, one method each: `start`, `serve`, `finish`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::end::{End, for_people};
use super::era::Evidence;
use super::exchange::{FromBackend, wrong_era};
use super::intake::{Said, read_line};
use super::opening::Sessions;
use super::registry::Seat;
use super::shared::ShareKey;
use super::{Session, State, Transport};
use crate::backend::{Line, Link, Sent, StartFailed, StartSlot, Starter};
use crate::catalog::LaunchPlan;
use crate::ids::SessionTag;
use crate::mcp::{Code, Era, Failure, Frame, Kind, Method};

/// Everything that lives as long as the session.
pub(super) struct Task {
    session: Arc<Session>,
    plan: LaunchPlan,
    sessions: Sessions,
    tag: SessionTag,
    opened: Instant,
    /// When the backend ran.
    started: Instant,
    /// Whether the backend has answered anything yet.
    answered: bool,
    /// Held from before the start until the backend has shown life.
    slot: Option<StartSlot>,
    slot_until: Instant,
    /// By what others find the session, if it is shared.
    shared_as: Option<ShareKey>,
    /// When unread messages are looked through for readers that have stalled.
    stall_check: Instant,
    /// Given back when the last process is gone.
    _seat: Seat,
}

/// Reads from the backend in one go; then others on this worker get their turn.
const READS_PER_TURN: usize = 8;
/// How long a session outlives a server that failed before it was asked anything.
const LAST_CHANCE: Duration = Duration::from_secs(3);
/// Into how many parts `timeouts.stalled_reader` is cut to look for stalled readers.
const STALL_CHECKS: u32 = 8;
/// How long a server may take to show its era.
const PROBE: Duration = Duration::from_secs(10);

impl Task {
    pub(super) fn new(session: Arc<Session>, plan: LaunchPlan, seat: Seat, sessions: &Sessions) -> Self {
        let opened = Instant::now();
        Self {
            tag: session.id.tag(),
            session,
            plan,
            sessions: sessions.clone(),
            opened,
            started: opened,
            answered: false,
            slot: None,
            slot_until: opened,
            shared_as: None,
            stall_check: opened,
            _seat: seat,
        }
    }

    /// Others find the session by this.
    pub(super) fn shared_as(mut self, key: ShareKey) -> Self {
        self.shared_as = Some(key);
        self
    }

    /// Runs the session. `started` hears whether the command runs.
    pub(super) async fn run(
        mut self,
        slot: Option<StartSlot>,
        started: Option<oneshot::Sender<Result<(), StartFailed>>>,
    ) {
        let _listed = Listed(self.session.clone(), self.sessions.clone(), self.shared_as.clone());
        let (end, link) = match self.start(slot).await {
            Ok(mut link) => {
                started.map(|started| started.send(Ok(())));
                (self.serve(&mut link).await, Some(link))
            }
            // Whoever opened it may still be there to be told; else its client is, on the stream.
            Err(End::NotStarted(failed)) => match started {
                Some(started) => match started.send(Err(failed)) {
                    Err(Err(failed)) => (End::NotStarted(failed), None),
                    _ => (End::ClientLeft, None),
                },
                None => (End::NotStarted(failed), None),
            },
            Err(end) => (end, None),
        };
        self.finish(end, link).await;
    }

    async fn start(&mut self, slot: Option<StartSlot>) -> Result<Link, End> {
        let session = self.session.clone();
        let starter = self.sessions.starter.clone();
        let starting = async {
            let slot = match slot {
                Some(slot) => slot,
                None => starter.slot().await,
            };
            let link = starter.start(&self.plan, &slot).await;
            (slot, link)
        };
        let (slot, link) = tokio::select! {
            outcome = starting => outcome,
            () = session.abandoned() => return Err(End::ClientLeft),
            () = self.sessions.lifecycle.ending() => return Err(End::ShutDown),
        };
        self.slot = Some(slot);
        self.started = Instant::now();
        self.slot_until = self.started + Starter::SLOT_HOLD;
        let link = link.map_err(|failed| {
            tracing::warn!(session = %self.tag, server = %self.plan.server(), error = %failed, "server not started");
            End::NotStarted(failed)
        })?;
        let (session, server, tenant) = (self.tag, self.plan.server(), self.plan.tenant());
        tracing::info!(%session, %server, %tenant, "session opened");
        let mut state = self.session.state();
        state.outlet = Some(link.outlet.clone());
        state.flush();
        drop(state);
        Ok(link)
    }

    async fn serve(&mut self, link: &mut Link) -> End {
        let session = self.session.clone();
        let lifecycle = self.sessions.lifecycle.clone();
        let timer = sleep_until(self.opened);
        tokio::pin!(timer);
        let mut draining = false;
        loop {
            let turn = match self.look_around(draining) {
                Ok(turn) => turn,
                Err(end) => return end,
            };
            if turn.wake_at < timer.deadline() || timer.is_elapsed() {
                timer.as_mut().reset(turn.wake_at);
            }
            tokio::select! {
                biased;
                () = link.inlet.ready(), if turn.room => {
                    self.carry(link);
                    if link.inlet.has_ended() {
                        return End::BackendClosed;
                    }
                }
                exit = link.process.exited() => {
                    self.carry_the_rest(link);
                    return End::BackendExited(exit);
                }
                () = link.outlet.ready(), if turn.blocked => drop(session.state().flush()),
                () = session.work.notified() => {}
                () = &mut timer => {}
                () = lifecycle.draining(), if !draining => draining = true,
                () = lifecycle.ending() => return End::ShutDown,
            }
        }
    }

    /// Looks at everything that is not a message: who left, whose time is up, what can go on.
    fn look_around(&mut self, draining: bool) -> Result<Turn, End> {
        let now = Instant::now();
        let session = self.session.clone();
        let mut state = session.state();
        if state.abandoned {
            return Err(End::ClientLeft);
        }
        if state.exchange.shown() == Some(Era::Handshake) {
            return Err(End::OtherEra);
        }
        if draining && state.exchange.is_idle() {
            return Err(End::Drained);
        }
        self.expire_requests(&mut state, now);
        state.flush();
        if self.slot.is_some() && (self.answered || now >= self.slot_until) {
            self.slot = None;
        }
        let mut wake_at = self.next_end(&state, now)?;
        wake_at = wake_at.min(self.check_stalled(&mut state, now)?);
        wake_at = self.slot.as_ref().map_or(wake_at, |_| wake_at.min(self.slot_until));
        wake_at = state.exchange.next_deadline().map_or(wake_at, |due| wake_at.min(due));
        state.task_wakes_at = wake_at;
        Ok(Turn { room: state.outbox.has_room(), blocked: !state.to_backend.is_empty(), wake_at })
    }

    /// When the session ends by itself, if nothing happens; an error if it is time.
    fn next_end(&self, state: &State, now: Instant) -> Result<Instant, End> {
        let timeouts = &self.sessions.timeouts;
        let start_due = state.first_request.filter(|_| !self.answered).map(|at| at + timeouts.start);
        let probe_due = state.exchange.is_probing().then(|| self.started + PROBE);
        let (idle, may_idle) = match self.shared_as {
            Some(_) => (timeouts.warm, state.exchange.is_quiet()),
            None => (timeouts.idle, true),
        };
        let idle_due = may_idle.then(|| state.last_message + idle);
        // A shared backend has no client whose session it could end in the middle.
        let is_over = self.shared_as.is_none() || state.exchange.is_idle();
        let lifetime_due = is_over.then(|| self.opened + timeouts.lifetime);
        let mut next = now + timeouts.lifetime;
        for (due, end) in [
            (probe_due, End::OtherEra),
            (start_due, End::NoAnswer),
            (idle_due, End::Idle(idle)),
            (lifetime_due, End::Lifetime),
        ] {
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
        let limit = self.sessions.timeouts.stalled_reader;
        if !state.outbox.is_waiting() {
            return Ok(now + limit);
        }
        if self.stall_check <= now {
            let cut = now.checked_sub(limit).is_some_and(|since| state.outbox.cut_stalled(since));
            if cut && self.session.transport == Transport::Sse {
                return Err(End::Stalled);
            }
            self.stall_check = now + limit / STALL_CHECKS;
        }
        Ok(self.stall_check)
    }

    fn expire_requests(&self, state: &mut State, now: Instant) {
        let timeouts = &self.sessions.timeouts;
        if state.exchange.next_deadline().is_none_or(|due| due > now) {
            return;
        }
        let limit = for_people(timeouts.request);
        let reason = format!("the server {} did not answer within {limit}", self.plan.server());
        for (error, cancelled) in state.exchange.expire(now, &reason) {
            state.address(error, now);
            state.forward([cancelled]);
        }
        let listening = state.outbox.is_listened_to();
        let answers = state.exchange.answer_parked(now, listening);
        state.forward(answers);
    }

    /// Carries what the backend has said, for one turn.
    fn carry(&mut self, link: &mut Link) {
        for _ in 0..READS_PER_TURN {
            let came = link.inlet.read();
            let lines: Vec<Line> = std::iter::from_fn(|| link.inlet.next_line()).collect();
            let room = self.take(lines);
            if !came || !room {
                return;
            }
        }
    }

    /// The backend is gone: what it had written is still in the pipe, no more than that holds.
    fn carry_the_rest(&mut self, link: &mut Link) {
        while link.inlet.read() {
            let lines = std::iter::from_fn(|| link.inlet.next_line()).collect();
            self.take(lines);
        }
    }

    /// Hands the lines of a backend to where they belong. Says whether there is room for more.
    fn take(&mut self, lines: Vec<Line>) -> bool {
        let session = self.session.clone();
        let frames: Vec<_> =
            lines.into_iter().flat_map(|line| read_line(line, self.sessions.limits.line, self.tag)).collect();
        let now = Instant::now();
        let mut state = session.state();
        for said in frames {
            self.answered = true;
            let (Said::Message(frame) | Said::TooLong(frame)) = said;
            self.hear(&mut state, frame, now);
        }
        state.outbox.has_room()
    }

    fn hear(&self, state: &mut State, frame: Frame, now: Instant) {
        if matches!(frame.kind(), Kind::Notification(Method::ToolsChanged)) {
            self.session.forget_tools();
        }
        let listening = state.outbox.is_listened_to();
        let patience = self.sessions.timeouts.stalled_reader;
        match state.exchange.backend_says(frame, listening, now, patience) {
            FromBackend::Forward(addressed) => state.address(addressed, now),
            FromBackend::Reply(frames) => drop::<Sent>(state.forward(frames)),
            FromBackend::Answer(answers) => answers.into_iter().for_each(|a| state.address(a, now)),
            FromBackend::Drop => tracing::debug!(session = %self.tag, "a message that nobody waits for"),
        }
    }

    /// Nobody waits in vain, nothing is left: errors for what is open, the end of the stream, then the end
    /// of the processes.
    async fn finish(mut self, end: End, mut link: Option<Link>) {
        let exit = match (&end, &link) {
            (End::BackendExited(exit), _) => Some(*exit),
            // Closing stdout is what most do on their way out.
            (End::BackendClosed, Some(link)) => {
                timeout(self.sessions.timeouts.eof, link.process.exited()).await.ok()
            }
            _ => None,
        };
        if !self.answered && exit.is_some() {
            self.wait_for_somebody_to_tell().await;
        }
        if let Some(link) = link.as_mut().filter(|_| exit.is_some()) {
            link.process.hear_out().await;
        }
        let last_words = link.as_ref().and_then(|link| link.process.last_words());
        let (server, timeouts) = (self.plan.server(), &self.sessions.timeouts);
        let reason = end.reason(server, timeouts, exit, last_words.as_deref());
        let failure = self.judge(&end).unwrap_or_else(|| Failure::new(Code::Internal, reason));
        unlist(&self.session, &self.sessions, self.shared_as.as_ref());
        self.close(&failure);
        self.slot = None;
        if let Some(Link { outlet, inlet, process }) = link.take() {
            drop((outlet, inlet));
            process.stop(self.sessions.timeouts.eof, self.sessions.timeouts.term).await;
        }
        // Without the server's last words, which may hold anything.
        let reason = end.reason(self.plan.server(), &self.sessions.timeouts, exit, None);
        tracing::info!(session = %self.tag, server = %self.plan.server(), reason, "session ended");
    }

    /// Keeps what has become known of the server's era. What clients are told, if that is it.
    fn judge(&self, end: &End) -> Option<Failure> {
        let state = self.session.state();
        let silent = state.exchange.is_probing()
            && matches!(end, End::OtherEra | End::BackendExited(_) | End::BackendClosed);
        let (era, evidence) = match state.exchange.shown() {
            Some(era) => (era, Evidence::Answer),
            None if silent => (Era::Handshake, Evidence::Silence),
            None => return None,
        };
        drop(state);
        self.sessions.verdicts.set(self.plan.fingerprint(), era, evidence, Instant::now());
        (era == Era::Handshake).then(wrong_era)
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
            () = self.sessions.lifecycle.draining() => {}
        }
    }

    fn close(&self, failure: &Failure) {
        let mut state = self.session.state();
        state.to_backend.clear();
        state.close(failure);
    }
}

/// What `serve` does next.
struct Turn {
    /// The client takes more.
    room: bool,
    /// The backend has not taken everything.
    blocked: bool,
    /// When something is due.
    wake_at: Instant,
}

impl Session {
    /// Resolves once the client wants no more of the session.
    async fn abandoned(&self) {
        while !self.state().abandoned {
            self.work.notified().await;
        }
    }
}

impl State {
    /// Takes nothing any more; whoever waits hears why.
    fn close(&mut self, failure: &Failure) {
        let now = Instant::now();
        self.ended = true;
        self.outlet = None;
        for error in self.exchange.fail_all(failure) {
            self.address(error, now);
        }
        self.outbox.close();
    }
}

/// Whatever happens to the task, a panic included: the session is found no more and its streams end.
struct Listed(Arc<Session>, Sessions, Option<ShareKey>);

impl Drop for Listed {
    fn drop(&mut self) {
        unlist(&self.0, &self.1, self.2.as_ref());
        self.0.state().close(&Failure::new(Code::Internal, "the session failed inside the gateway"));
    }
}

fn unlist(session: &Arc<Session>, sessions: &Sessions, shared_as: Option<&ShareKey>) {
    match shared_as {
        Some(key) => sessions.shared.remove(key, session),
        None => sessions.registry.remove(&session.id),
    }
}
