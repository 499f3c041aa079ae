//! The owner of a session: starts its backend, carries what the backend says, watches the clock, and tidies
//! up. Three states, one method each: `start`, `serve`, `finish`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::end::{End, for_people};
use super::exchange::FromBackend;
use super::intake::{Said, read_line};
use super::registry::Seat;
use super::{Session, Sessions, State};
use crate::backend::{Line, Link, Sent, StartFailed, StartSlot, Starter};
use crate::catalog::LaunchPlan;
use crate::ids::SessionTag;
use crate::mcp::Code;

/// Everything that lives as long as the session.
pub(super) struct Task {
    session: Arc<Session>,
    plan: LaunchPlan,
    sessions: Sessions,
    tag: SessionTag,
    opened: Instant,
    /// Whether the backend has answered anything yet.
    answered: bool,
    /// Held from before the start until the backend has shown life.
    slot: Option<StartSlot>,
    slot_until: Instant,
    /// Given back when the last process is gone.
    _seat: Seat,
}

/// Reads from the backend in one go; then others on this worker get their turn.
const READS_PER_TURN: usize = 8;
/// How long a session outlives a server that failed before it was asked anything.
const LAST_CHANCE: Duration = Duration::from_secs(3);

impl Task {
    pub(super) fn new(session: Arc<Session>, plan: LaunchPlan, seat: Seat, sessions: &Sessions) -> Self {
        let opened = Instant::now();
        Self {
            tag: session.id.tag(),
            session,
            plan,
            sessions: sessions.clone(),
            opened,
            answered: false,
            slot: None,
            slot_until: opened,
            _seat: seat,
        }
    }

    /// Runs the session. `started` hears whether the command runs.
    pub(super) async fn run(
        mut self,
        slot: Option<StartSlot>,
        started: oneshot::Sender<Result<(), StartFailed>>,
    ) {
        let _listed = Listed(self.session.clone(), self.sessions.clone());
        let (end, link) = match self.start(slot).await {
            Ok(mut link) => {
                let _ = started.send(Ok(()));
                (self.serve(&mut link).await, Some(link))
            }
            // Whoever opened it may still be there to be told; else its client is, on the stream.
            Err(End::NotStarted(failed)) => match started.send(Err(failed)) {
                Err(Err(failed)) => (End::NotStarted(failed), None),
                _ => (End::ClientLeft, None),
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
        self.slot_until = Instant::now() + Starter::SLOT_HOLD;
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
        if draining && state.exchange.is_idle() {
            return Err(End::Drained);
        }
        self.expire_requests(&mut state, now);
        state.flush();
        let timeouts = &self.sessions.timeouts;
        if now >= state.outbox.progress() + timeouts.heartbeat {
            state.outbox.beat(now);
        }
        if self.slot.is_some() && (self.answered || now >= self.slot_until) {
            self.slot = None;
        }
        let start_due = state.first_request.filter(|_| !self.answered).map(|at| at + timeouts.start);
        let stall_due = state.outbox.stalled_since().map(|at| at + timeouts.stalled_reader);
        let mut wake_at = state.outbox.progress() + timeouts.heartbeat;
        if wake_at <= now {
            wake_at = now + timeouts.heartbeat;
        }
        for (due, end) in [
            (start_due, End::NoAnswer),
            (stall_due, End::Stalled),
            (Some(state.last_message + timeouts.idle), End::Idle),
            (Some(self.opened + timeouts.lifetime), End::Lifetime),
        ] {
            match due {
                Some(due) if due <= now => return Err(end),
                Some(due) => wake_at = wake_at.min(due),
                None => {}
            }
        }
        wake_at = self.slot.as_ref().map_or(wake_at, |_| wake_at.min(self.slot_until));
        wake_at = state.exchange.next_deadline().map_or(wake_at, |due| wake_at.min(due));
        state.task_wakes_at = wake_at;
        Ok(Turn { room: state.outbox.has_room(), blocked: !state.to_backend.is_empty(), wake_at })
    }

    fn expire_requests(&self, state: &mut State, now: Instant) {
        let timeouts = &self.sessions.timeouts;
        if state.exchange.next_deadline().is_none_or(|due| due > now) {
            return;
        }
        let limit = for_people(timeouts.request);
        let reason = format!("the server {} did not answer within {limit}", self.plan.server());
        for (error, cancelled) in state.exchange.expire(now, &reason) {
            state.outbox.push(error, now);
            state.forward([cancelled]);
        }
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
        for frame in frames {
            self.answered = true;
            match frame {
                Said::Message(frame) => match state.exchange.backend_says(frame) {
                    FromBackend::Forward(frame) => state.outbox.push(frame, now),
                    FromBackend::Reply(frames) => drop::<Sent>(state.forward(frames)),
                    FromBackend::Answer(frames) => frames.into_iter().for_each(|f| state.outbox.push(f, now)),
                    FromBackend::Drop => {
                        tracing::debug!(session = %self.tag, "an answer that nobody waits for")
                    }
                },
                Said::TooLong(error) => {
                    if let FromBackend::Forward(error) = state.exchange.backend_says(error) {
                        state.outbox.push(error, now);
                    }
                }
            }
        }
        state.outbox.has_room()
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
        let last_words = link.as_ref().and_then(|link| link.process.last_words());
        let (server, timeouts) = (self.plan.server(), &self.sessions.timeouts);
        let reason = end.reason(server, timeouts, exit, last_words.as_deref());
        self.sessions.registry.remove(&self.session.id);
        self.close(&reason);
        self.slot = None;
        if let Some(Link { outlet, inlet, process }) = link.take() {
            drop((outlet, inlet));
            process.stop(self.sessions.timeouts.eof, self.sessions.timeouts.term).await;
        }
        // Without the server's last words, which may hold anything.
        let reason = end.reason(self.plan.server(), &self.sessions.timeouts, exit, None);
        tracing::info!(session = %self.tag, server = %self.plan.server(), reason, "session ended");
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

    fn close(&self, reason: &str) {
        let now = Instant::now();
        let mut state = self.session.state();
        state.ended = true;
        state.outlet = None;
        state.to_backend.clear();
        for error in state.exchange.fail_all(Code::Internal, reason) {
            state.outbox.push(error, now);
        }
        state.outbox.close();
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
    /// Resolves once the client's stream is gone.
    async fn abandoned(&self) {
        while !self.state().abandoned {
            self.work.notified().await;
        }
    }
}

/// Whatever happens to the task, a panic included: the session is found no more and its stream ends.
struct Listed(Arc<Session>, Sessions);

impl Drop for Listed {
    fn drop(&mut self) {
        self.1.registry.remove(&self.0.id);
        let mut state = self.0.state();
        state.ended = true;
        state.outlet = None;
        let errors = state.exchange.fail_all(Code::Internal, "the session failed inside the gateway");
        errors.into_iter().for_each(|error| state.outbox.push(error, Instant::now()));
        state.outbox.close();
    }
}
