//! The owner of a session: starts its backend, carries what the backend says, watches the clock, and tidies
//! up. Three states, one method each: `start`, `serve`, `finish`.

mod clock;
mod ending;
mod era;
mod rights;

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until, timeout};

use self::ending::Listed;
use super::end::End;
use super::era::Evidence;
use super::intake::Intake;
use super::opening::Sessions;
use super::refusal::NotOpened;
use super::registry::Seat;
use super::shared::ShareKey;
use super::{Session, State};
use crate::access::Standing;
use crate::audit::{self, Event};
use crate::backend::{Inlet, Link, Provisions, StartSlot, Starter};
use crate::catalog::{Launch, Means};
use crate::ids::{RequestTag, SessionTag};
use crate::mcp::Era;
use crate::telemetry::{self, Cause, Span};

/// Everything that lives as long as the session.
pub(super) struct Task {
    session: Arc<Session>,
    /// What it rests on.
    standing: Standing,
    sessions: Sessions,
    tag: SessionTag,
    opened: Instant,
    /// When the backend ran.
    started: Instant,
    /// Until the backend runs: the span of that, and the request that it happens for.
    opening: Span,
    opened_by: Option<RequestTag>,
    /// Whether the backend has answered anything yet.
    answered: bool,
    /// What others have been told of the backend's era, and whether that includes what it says of itself.
    learned: Option<(Era, bool)>,
    /// There may be lines that were read and not taken.
    has_lines: bool,
    /// Held from before the start until the backend has shown life.
    slot: Option<StartSlot>,
    slot_until: Instant,
    listed: Listed,
    /// Nobody is found to be late until then.
    lenient_until: Instant,
    /// When unread messages are looked through for readers that have stalled.
    stall_check: Instant,
    /// Given back when the last process is gone.
    _seat: Seat,
}

/// Waits until the session has begun, or hears why it has not.
type Opener = oneshot::Sender<Result<(), NotOpened>>;

/// Lines of the backend in one go; then others on this worker get their turn. And how many until clients must have
/// room for more.
const LINES_PER_TURN: usize = 512;
const LINES_AT_ONCE: usize = 32;
/// Reads from a backend that has ended: what a pipe can hold.
const READS_AT_THE_END: usize = 16;

impl Task {
    /// From here on the session is open. `shared_as` is what others find it by, if it is shared.
    pub(super) fn new(
        session: Arc<Session>,
        seat: Seat,
        sessions: &Sessions,
        shared_as: Option<ShareKey>,
    ) -> Self {
        let opened = Instant::now();
        Self {
            tag: session.tag,
            opening: session.trace_opening(),
            opened_by: telemetry::request(),
            standing: session.plan.permit().follow(session.plan.server()),
            listed: Listed::new(session.clone(), sessions.clone(), shared_as),
            session,
            sessions: sessions.clone(),
            opened,
            started: opened,
            answered: false,
            learned: None,
            has_lines: false,
            slot: None,
            slot_until: opened,
            lenient_until: opened,
            stall_check: opened,
            _seat: seat,
        }
    }

    /// Whether clients share the session, which then is nobody's own.
    fn is_shared(&self) -> bool {
        self.listed.shared_as.is_some()
    }

    /// Runs the session. `opener` hears once the command runs, or has to wait until others have been started: a
    /// failure is then told on the stream.
    pub(super) async fn run(self, opener: Option<Opener>) {
        let cause = Cause::session(self.session.of());
        cause.clone().scope(self.live(opener, &cause)).await;
    }

    async fn live(mut self, mut opener: Option<Opener>, cause: &Cause) {
        let (end, link) = loop {
            let starting = cause.on_account_of(self.opened_by.take());
            // Boxed, so that a session that runs does not keep room for what starting it took.
            let started = Box::pin(starting.scope(self.start(&mut opener))).await;
            let opening = std::mem::take(&mut self.opening);
            let mut link = match started {
                Ok(link) => link,
                Err(end) => {
                    opening.fail();
                    break (self.tell(end, opener.take()), None);
                }
            };
            drop(opening);
            opener.take().map(|opener| opener.send(Ok(())));
            let end = self.serve(&mut link).await;
            if !self.begins_again(&end, &link).await {
                break (end, Some(link));
            }
            Box::pin(self.put_away(link)).await;
        };
        Box::pin(self.finish(end, link)).await;
    }

    /// Tells whoever opened the session, if it is still there, why it does not begin. Why it ends then.
    fn tell(&mut self, end: End, opener: Option<Opener>) -> End {
        let Some(opener) = opener else { return end };
        let server = self.session.plan.server().clone();
        let reason = end.reason(&server, &self.sessions.timeouts, None, None);
        let told = match end {
            End::NotStarted(failed) => opener.send(Err(NotOpened::Start(server, failed))),
            End::Unprovided => opener.send(Err(NotOpened::Fetching(server))),
            End::Drained => opener.send(Err(NotOpened::Draining)),
            end => return end,
        };
        match told {
            // It has left meanwhile.
            Err(Err(NotOpened::Start(_, failed))) => End::NotStarted(failed),
            _ => End::NotOpened(reason),
        }
    }

    /// What the server finds in its home. Whoever waits for it here keeps no slot from others.
    async fn provide(&self, launch: &Launch) -> Result<Provisions, End> {
        let lifecycle = &self.sessions.lifecycle;
        let providing = timeout(self.sessions.timeouts.start, self.sessions.starter.provide(launch));
        tokio::select! {
            biased;
            () = lifecycle.finishing() => Err(End::Drained),
            provided = providing => match provided {
                Ok(Ok(provisions)) => Ok(provisions),
                // Which is why a fetch fails, too.
                _ if lifecycle.is_draining() => Err(End::Drained),
                Ok(Err(failed)) => Err(End::NotStarted(failed)),
                Err(_) => Err(End::Unprovided),
            },
            // What is there already is of use to a session that is kept; what has to be fetched is not.
            () = lifecycle.draining() => Err(End::Drained),
        }
    }

    async fn start(&mut self, opener: &mut Option<Opener>) -> Result<Link, End> {
        let session = self.session.clone();
        let starter = self.sessions.starter.clone();
        let starting = async {
            let launch = match session.plan.means() {
                Means::Launch(launch) => launch,
                // Nothing is started, so nothing is waited for.
                Means::Endpoint(endpoint) => {
                    return starter.reach(endpoint).map(|link| (None, link)).map_err(End::NotStarted);
                }
            };
            if let Some(link) = starter.take_warm(launch).await {
                return Ok((None, link));
            }
            let provisions = self.provide(launch).await?;
            let slot = match starter.try_slot() {
                Some(slot) => slot,
                None => {
                    opener.take().map(|opener| opener.send(Ok(())));
                    starter.slot().await
                }
            };
            let link = starter.start(launch, provisions, &slot).await.map_err(End::NotStarted)?;
            Ok((Some(slot), link))
        };
        let started = tokio::select! {
            outcome = starting => outcome,
            () = session.abandoned() => return Err(End::ClientLeft),
            end = rights::lost(self.standing.clone(), self.is_shared()) => return Err(end),
            () = self.sessions.lifecycle.ending() => return Err(End::ShutDown),
        };
        let (slot, link) = started.inspect_err(|end| {
            if let End::NotStarted(failed) = end {
                tracing::warn!(session = %self.tag, server = %session.plan.server(), error = %failed, "server not started");
            }
        })?;
        self.slot = slot;
        self.started = Instant::now();
        session.figures.runs(link.life.process());
        self.sessions.registry.ledger.started(&session, self.started.saturating_duration_since(self.opened));
        self.slot_until = self.started + Starter::SLOT_HOLD;
        if matches!(session.plan.means(), Means::Launch(_)) {
            audit::record(Event::ServerStarted(session.of()));
        }
        let mut state = session.state();
        state.task_wakes_at = self.started;
        state.bridge.backend_runs(session.age(self.started));
        state.outlet = Some(link.outlet.clone());
        state.flush();
        drop(state);
        Ok(link)
    }

    async fn serve(&mut self, link: &mut Link) -> End {
        let session = self.session.clone();
        let Link { outlet, inlet, life } = link;
        // Each is made once and not for each message.
        let (timer, exited, work) = (sleep_until(self.opened), life.exited(), session.work.notified());
        tokio::pin!(timer, exited, work);
        loop {
            let turn = match self.look_around() {
                Ok(turn) => turn,
                Err(end) => return end,
            };
            if turn.wake_at < timer.deadline() || timer.is_elapsed() {
                timer.as_mut().reset(turn.wake_at);
            }
            tokio::select! {
                biased;
                () = inlet.read(), if turn.room && !self.has_lines => {
                    self.carry(inlet);
                    if inlet.has_ended() && !self.has_lines {
                        return End::BackendClosed;
                    }
                }
                // Others on this worker get their turn.
                () = yield_now(), if turn.room && self.has_lines => self.carry(inlet),
                exit = &mut exited => {
                    self.carry_the_rest(inlet).await;
                    return End::BackendExited(exit);
                }
                () = outlet.ready(), if turn.blocked => drop(session.state().flush()),
                () = &mut work => work.set(session.work.notified()),
                () = &mut timer => {}
            }
        }
    }

    /// Tells the operator how long the backend took to answer anything.
    fn note_first_answer(&self, state: &State, now: Instant) {
        let asked = state.first_request.map_or(self.started, |asked| asked.max(self.started));
        self.sessions.registry.ledger.answered(&self.session, now.saturating_duration_since(asked));
    }

    /// The backend is gone: what it had written is still in the pipe. More than that holds comes from
    /// somebody else.
    async fn carry_the_rest(&mut self, inlet: &mut Inlet) {
        for _ in 0..READS_AT_THE_END {
            while self.has_lines {
                self.carry(inlet);
                yield_now().await;
            }
            if !inlet.try_read() {
                return;
            }
            self.has_lines = true;
        }
    }

    /// Hands what was read of the backend to where it belongs: no more than is soon done.
    fn carry(&mut self, inlet: &mut Inlet) {
        let (session, now) = (self.session.clone(), Instant::now());
        for _ in 0..LINES_PER_TURN / LINES_AT_ONCE {
            let mut intake = Intake::new(self.sessions.limits.line, self.tag);
            let lines = std::iter::from_fn(|| inlet.next_line()).take(LINES_AT_ONCE);
            let count = lines.map(|line| intake.take(line)).count();
            self.has_lines = count == LINES_AT_ONCE;
            let mut state = session.state();
            if !self.answered && !intake.frames.is_empty() {
                self.answered = true;
                self.note_first_answer(&state, now);
            }
            for frame in intake.frames {
                session.hear(&mut state, frame, now);
            }
            self.learn(&state, Evidence::Answer);
            // One line may be told to many clients.
            if !self.has_lines || !state.outbox.has_room() {
                return;
            }
        }
    }
}

impl Session {
    /// Resolves once the client wants no more of the session.
    async fn abandoned(&self) {
        while !self.state().abandoned {
            self.work.notified().await;
        }
    }
}
