//! What passes between a session's clients and its backend, by way of what stands between the two.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::exchange::{FromBackend, FromClient, Said, Unfit};
use super::outbox::StreamId;
use super::{Reader, Session, State, Transport, Undelivered};
use crate::backend::Sent;
use crate::catalog::Offer;
use crate::mcp::{Code, ForClient, Frame, Kind, Method, Passed, error_frame};

impl Session {
    /// Takes messages of the client: they have reached the backend or wait for it in order. `revision` is
    /// the protocol version that the request's header named, the sign of a client that has reconnected; `offer`
    /// is what the request may use and see, of what the session may.
    ///
    /// `arrived` is when all of them were there, for the operator's figures.
    ///
    /// Where each request has a stream of its own, its reader comes back. Several messages are a batch:
    /// then only a fault of the first stops it; a later request with one is answered on the stream.
    ///
    /// # Errors
    /// If the first cannot be taken; then nothing of any was.
    pub fn deliver(
        self: &Arc<Self>,
        frames: impl IntoIterator<Item = Frame>,
        revision: Option<&str>,
        offer: &Offer,
        arrived: Instant,
    ) -> Result<Option<Reader>, Undelivered> {
        let now = Instant::now();
        let mut state = self.state();
        if state.ended || state.abandoned {
            return Err(Undelivered::NoSession);
        }
        if state.to_backend.bytes() >= self.max_queue || !state.outbox.has_room() {
            return Err(Undelivered::Busy);
        }
        let mut own = None;
        let (mut blocked, mut asked) = (false, 0);
        for (position, frame) in frames.into_iter().enumerate() {
            let asks = match frame.kind() {
                Kind::Request(id, _) => Some(id.clone()),
                _ => None,
            };
            if asks.is_some() && self.transport != Transport::Sse && own.is_none() {
                let stream = state.outbox.open(now);
                // Some are answered here, at once; the others of a batch come all the same.
                state.exchange.keep_open(stream);
                own = Some(stream);
            }
            let length = frame.bytes().len();
            let (frame, span) = self.trace(frame);
            let stream = own.unwrap_or(StreamId::LISTENING);
            let said = Said { frame, stream, revision, now, offer, span };
            match (self.take(&mut state, said), asks) {
                (Ok(stuck), asks) => {
                    self.figures.client_said(length, asks.is_some());
                    blocked |= stuck;
                    asked += usize::from(asks.is_some());
                }
                (Err(fault), _) if position == 0 => {
                    if let Some(stream) = own {
                        state.exchange.let_close(stream);
                        state.outbox.forget(stream, None);
                    }
                    return Err(fault);
                }
                (Err(fault), Some(id)) => {
                    let error = error_frame(&id, Code::InvalidRequest, &fault.to_string());
                    let _ = state.outbox.push(own.unwrap_or(StreamId::LISTENING), error, now);
                }
                (Err(_), None) => {}
            }
        }
        if let Some(stream) = own
            && !state.exchange.let_close(stream)
        {
            state.outbox.complete(stream);
        }
        let reader = own.and_then(|stream| state.outbox.attach(stream, None, now).ok());
        let wake = self.note(&mut state, now);
        if asked > 0 {
            self.figures.handed_over(Instant::now().saturating_duration_since(arrived), asked);
        }
        drop(state);
        if blocked || wake {
            self.work.notify_one();
        }
        Ok(reader.map(|place| Reader::new(self.clone(), place)))
    }

    /// Takes one message. Says whether the backend has not taken everything yet.
    fn take(&self, state: &mut State, said: Said<'_>) -> Result<bool, Undelivered> {
        let now = said.now;
        let is_request = matches!(said.frame.kind(), Kind::Request(..));
        if is_request && self.lifecycle.is_finishing() {
            return Err(Undelivered::Draining);
        }
        let not_begun = || Undelivered::NotBegun(self.tag).to_string();
        let ruling = state.exchange.client_says(said, not_begun);
        let ruling = ruling.map_err(|unfit| match unfit {
            Unfit::DuplicateId => Undelivered::DuplicateId,
            Unfit::NotBegun => Undelivered::NotBegun(self.tag),
            Unfit::Begun => Undelivered::Begun(self.tag),
            Unfit::TooMuch => Undelivered::Busy,
        })?;
        Ok(match ruling {
            FromClient::Forward(frame) | FromClient::Hold(Some(frame)) => {
                self.forward(state, [frame], now) != Sent::All
            }
            FromClient::Answer(addressed) => {
                let _ = state.address(addressed, now);
                false
            }
            FromClient::Cancel(frame, addressed) => {
                let _ = state.address(addressed, now);
                self.forward(state, [frame], now) != Sent::All
            }
            FromClient::Hold(None) | FromClient::Drop => false,
        })
    }

    /// Notes that the client has said something. Says whether the task must look at the clock anew.
    fn note(&self, state: &mut State, now: Instant) -> bool {
        state.last_message = now;
        if state.first_request.is_none() && state.exchange.has_begun() {
            state.first_request = Some(now);
        }
        let start_due = state.first_request.map(|at| at + self.start_timeout);
        let dues = [state.exchange.next_deadline(), start_due, self.bridge_due(state)].into_iter().flatten();
        dues.filter(|due| *due > now).min().is_some_and(|due| due < state.task_wakes_at)
    }

    /// Takes messages that clients may send to the backend, and hands over what it takes now.
    pub(super) fn forward(
        &self,
        state: &mut State,
        frames: impl IntoIterator<Item = Frame>,
        now: Instant,
    ) -> Sent {
        for frame in frames {
            if state.bridge.is_direct() {
                state.to_backend.push(frame);
            } else {
                let passed = state.bridge.client_says(frame, self.age(now));
                self.pass(state, passed, now);
            }
        }
        state.flush()
    }

    /// Takes a message of the backend to whom it is for.
    pub(super) fn hear(&self, state: &mut State, frame: Frame, now: Instant) {
        self.figures.backend_said(&frame);
        if matches!(frame.kind(), Kind::Notification(Method::ToolsChanged)) {
            self.forget_tools();
        }
        if state.bridge.is_direct() {
            self.tell(state, frame.into(), now);
        } else {
            let passed = state.bridge.backend_says(frame, self.age(now));
            self.pass(state, passed, now);
        }
    }

    /// Passes on what is due by itself.
    pub(super) fn tick(&self, state: &mut State, now: Instant) {
        if state.bridge.next_deadline().is_some_and(|due| due <= self.age(now)) {
            let passed = state.bridge.tick(self.age(now));
            self.pass(state, passed, now);
        }
    }

    /// Passes on what the bridge wants passed on.
    pub(super) fn pass(&self, state: &mut State, passed: Passed, now: Instant) {
        for frame in passed.to_backend {
            // A backend that does not even read what it has needs no answers to what it asks.
            let is_answer = matches!(frame.kind(), Kind::Response(_));
            if !is_answer || state.to_backend.bytes() < self.max_queue {
                state.to_backend.push(frame);
            }
        }
        for said in passed.to_client {
            self.tell(state, said, now);
        }
        self.tell_if_free(state);
    }

    /// Tells whoever waits for it that the backend takes another call, if it does.
    pub(super) fn tell_if_free(&self, state: &State) {
        if let Some(freed) = self.freed.get()
            && !state.bridge.is_taken()
        {
            freed.notify_waiters();
        }
    }

    /// Puts what a backend says, in its clients' era, where they will find it.
    fn tell(&self, state: &mut State, said: ForClient, now: Instant) {
        let asks = match said.frame.kind() {
            Kind::Request(id, _) => Some(id.clone()),
            _ => None,
        };
        let listening = state.outbox.is_listened_to();
        match state.exchange.backend_says(said, listening) {
            FromBackend::Forward(addressed) => {
                if let Some(asked_at) = addressed.asked_at {
                    self.figures.answered(now.saturating_duration_since(asked_at));
                }
                if let (Some(id), Some(event)) = (asks, state.address(addressed, now)) {
                    state.exchange.park(id, event, now + self.patience);
                }
            }
            FromBackend::Reply(frames) => drop::<Sent>(self.forward(state, frames, now)),
            FromBackend::Refuse(_) if state.to_backend.bytes() >= self.max_queue => {}
            FromBackend::Refuse(frame) => drop::<Sent>(self.forward(state, [frame], now)),
            FromBackend::Answer(answers) => {
                for answer in answers {
                    let _ = state.address(answer, now);
                }
            }
            FromBackend::Drop => tracing::debug!(session = %self.tag, "a message that nobody waits for"),
        }
    }

    /// When the bridge has something to do by itself.
    pub(super) fn bridge_due(&self, state: &State) -> Option<Instant> {
        state.bridge.next_deadline().map(|due| self.opened + due)
    }

    /// How long the session has lasted.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.opened)
    }
}
