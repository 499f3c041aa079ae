//! Calls in which the backend may ask their client something. Over stdio a question does not say to which call it
//! belongs, so where clients can be asked, one call is open at a time, and the others wait.

use std::time::Duration;

use super::Frame;
use super::answers::{input_required, rewritten, urls_required};
use super::conversation::Conversation;
use super::request_state::{Means, RequestState};
use super::requests::{Carried, Open};
use crate::mcp::bridge::passed::Passed;
use crate::mcp::bridge::waiting::Waiting;
use crate::mcp::error::{Code, Failure, error_frame};
use crate::mcp::frame::Kind;
use crate::mcp::id::RequestId;
use crate::mcp::introduction::Ask;
use crate::mcp::related::cancelled;
use crate::mcp::shape::Shape;

/// The call that is open, and those that wait.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) queue: Waiting,
    pub(super) current: Option<Call>,
    /// Others wait elsewhere for the call that is open to end.
    pub(super) is_wanted: bool,
    /// The backend may still be at work on a call that has ended without its answer.
    pub(super) is_doubtful: bool,
}

/// A call that is open at the backend.
#[derive(Debug)]
pub(super) struct Call {
    /// As the backend calls it.
    pub(super) id: RequestId,
    /// As it came: what is brought back must fit it.
    request: Frame,
    /// How often its client was asked.
    round: u32,
    pub(super) state: State,
}

#[derive(Debug)]
pub(super) enum State {
    /// Its client waits for the answer.
    Running,
    /// The backend has a question. Until then more may come, which its client is asked all at once.
    Gathering { until: Duration },
    /// Its client has been asked, and has still to bring what was asked for.
    Parked { since: Duration, kept: Option<Box<(Open, Frame)>> },
}

/// How long more questions are waited for.
const WINDOW: Duration = Duration::from_millis(50);
/// How long a client may take to bring what it was asked for; and how long where another call waits for its turn.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);
pub(super) const OTHERS_WAIT: Duration = Duration::from_secs(30);

const STALE: &str = "`requestState` is none that this server waits for (any more): send the original request again, \
                     without `requestState` and `inputResponses`";

impl Conversation {
    /// Takes a call of a client, of which this has been read.
    pub(super) fn call(
        &mut self,
        call: &Frame,
        id: &RequestId,
        carried: &Carried<'_>,
        now: Duration,
        out: &mut Passed,
    ) {
        if self.calls.current.is_some() {
            return self.calls.queue.hold(call.clone(), out);
        }
        self.forward(call, id, carried, out);
        let state = match self.questions.is_empty() {
            true => State::Running,
            false => State::Gathering { until: now + WINDOW },
        };
        self.calls.current = Some(Call { id: id.clone(), request: call.clone(), round: 0, state });
    }

    /// The call that was open is not any more. What was asked in it has nobody who could answer.
    pub(super) fn end_call(&mut self, now: Duration, out: &mut Passed) {
        (self.calls.current, self.calls.is_wanted) = (None, false);
        let unasked = self.questions.end_call();
        let reason = "the call in which this was asked has ended";
        out.to_backend.extend(unasked.iter().map(|id| error_frame(id, Code::Internal, reason)));
        while self.calls.current.is_none() {
            let Some(next) = self.calls.queue.pop() else { return };
            let Kind::Request(id, _) = next.kind() else { continue };
            match Carried::read(&next) {
                Ok(carried) => self.call(&next, id, &carried, now, out),
                Err(misfit) => out.to_client.push(misfit.frame(id).into()),
            }
        }
    }

    /// The backend has asked something.
    pub(super) fn settle_questions(&mut self, now: Duration) {
        let Some(call) = &mut self.calls.current else { return };
        match call.state {
            State::Running if !self.questions.is_empty() => {
                call.state = State::Gathering { until: now + WINDOW }
            }
            State::Gathering { .. } if self.questions.is_empty() => call.state = State::Running,
            _ => {}
        }
    }

    /// Asks the client of the call that is open everything that the backend has asked.
    fn ask(&mut self, since: Duration, out: &mut Passed) {
        let Some(call) = &mut self.calls.current else { return };
        let client = self.requests.get_mut(&call.id).and_then(|open| open.client.take());
        let Some(client) = client else { return };
        call.round += 1;
        call.state = State::Parked { since, kept: None };
        let means = Means::Round(call.id.clone(), call.round);
        let state = RequestState::new(means, &call.request).sealed(&self.sides.seal);
        let asked = input_required(&client, &self.questions.ask(), &state, &self.info);
        out.to_client.push(asked.into());
    }

    /// Takes a call that brings something back.
    pub(super) fn bring(
        &mut self,
        retry: &Frame,
        id: &RequestId,
        carried: &Carried<'_>,
        now: Duration,
        out: &mut Passed,
    ) {
        let state = carried.state.and_then(|token| RequestState::read(token, &self.sides.seal));
        match state.filter(|state| state.is_for(retry)).map(|state| state.means) {
            Some(Means::Again(until)) if now < until => self.call(retry, id, carried, now, out),
            Some(Means::Round(call, round)) if self.is_waiting_for(&call, round, now) => {
                self.resume(id, carried, now, out);
            }
            _ => out.to_client.push(error_frame(id, Code::InvalidParams, STALE).into()),
        }
    }

    fn is_waiting_for(&self, id: &RequestId, round: u32, now: Duration) -> bool {
        self.calls.is_parked_at(id, round) && self.calls.next_deadline().is_some_and(|due| now < due)
    }

    /// The client of the parked call is back, with another request.
    fn resume(&mut self, client: &RequestId, carried: &Carried<'_>, now: Duration, out: &mut Passed) {
        let Some(call) = &mut self.calls.current else { return };
        let State::Parked { since, kept } = std::mem::replace(&mut call.state, State::Running) else {
            return;
        };
        let id = call.id.clone();
        let answers = self.questions.answer(carried.responses);
        if let Some(kept) = kept {
            out.to_backend.extend(answers);
            let (open, answer) = *kept;
            self.deliver(&answer, &open, client, now, out);
            return self.end_call(now, out);
        }
        self.set_level(carried.level, out);
        // Who brings nothing gains no time.
        let since = if answers.is_empty() { since } else { now };
        out.to_backend.extend(answers);
        if let Some(open) = self.requests.get_mut(&id) {
            // The backend reports progress only if it was asked to in the first place.
            (open.client, open.wants_progress) = (Some(client.clone()), carried.wants_progress);
            open.level = carried.level;
        }
        if !self.questions.is_empty() {
            self.ask(since, out);
        }
    }

    /// The backend has answered a request of clients.
    pub(super) fn answered(&mut self, answer: &Frame, id: &RequestId, now: Duration, out: &mut Passed) {
        let Some(open) = self.requests.remove(id) else { return };
        if let Some(client) = &open.client {
            self.deliver(answer, &open, client, now, out);
            if self.is_current(id) {
                self.end_call(now, out);
            }
        } else if let Some(Call { state: State::Parked { kept, .. }, .. }) = &mut self.calls.current {
            // Only a parked call has nobody who waits for it.
            *kept = Some(Box::new((open, answer.clone())));
        }
    }

    /// Gives a client the answer to its request.
    fn deliver(&self, answer: &Frame, open: &Open, client: &RequestId, now: Duration, out: &mut Passed) {
        let urls = urls_required(answer).filter(|_| open.shape.may_ask);
        let frame = match urls {
            Some(urls) => self.ask_for_urls(&urls, client, now),
            None => rewritten(answer, open.shape, &self.info, client),
        };
        out.to_client.push(frame.into());
    }

    /// What asks a client to see to these before it sends its request again.
    fn ask_for_urls(&self, urls: &[&str], client: &RequestId, now: Duration) -> Frame {
        let can = |url: &&str| self.sides.introduction.can_be_asked(Ask::Elicitation, url).unwrap_or(false);
        let Some(call) = self.calls.current.as_ref().filter(|_| urls.iter().all(can)) else {
            let reason = "the server wants the client to open a URL first; only a client can that declares the \
                          capability `elicitation.url`";
            let required = serde_json::json!({ "requiredCapabilities": { "elicitation": { "url": {} } } });
            return Failure { data: Some(required), ..Failure::new(Code::MissingCapability, reason) }
                .frame(client);
        };
        let state = RequestState::new(Means::Again(now + PATIENCE), &call.request).sealed(&self.sides.seal);
        let asked = urls
            .iter()
            .enumerate()
            .map(|(n, url)| format!(r#""url{}":{{"method":"elicitation/create","params":{url}}}"#, n + 1));
        let asked = format!("{{{}}}", asked.collect::<Vec<_>>().join(","));
        input_required(client, &asked, &state, &self.info)
    }

    /// The client of this request waits no more. What the backend calls the request, if it has it.
    pub(super) fn abandon(&mut self, client: &RequestId) -> Option<RequestId> {
        let current = self.calls.current.as_ref().map(|call| &call.id);
        let own = current
            .into_iter()
            .chain([client])
            .find(|id| self.requests.get(id).is_some_and(|open| open.client.as_ref() == Some(client)))?;
        let own = own.clone();
        self.requests.remove(&own);
        Some(own)
    }

    /// Whether this is the call that is open.
    pub(super) fn is_current(&self, id: &RequestId) -> bool {
        self.calls.current.as_ref().is_some_and(|call| call.id == *id)
    }

    /// Does what is due of the call that is open.
    pub(super) fn tick_call(&mut self, now: Duration, out: &mut Passed) {
        if self.calls.next_deadline().is_none_or(|due| now < due) {
            return;
        }
        let Some(call) = &mut self.calls.current else { return };
        match &call.state {
            State::Gathering { .. } => {
                if self.questions.is_empty() {
                    call.state = State::Running;
                } else {
                    self.ask(now, out);
                }
            }
            State::Parked { kept, .. } => {
                let id = call.id.clone();
                if kept.is_none() {
                    self.calls.is_doubtful = true;
                    self.requests.remove(&id);
                    out.to_backend
                        .push(cancelled(&id, "the client has not come back with what it was asked for"));
                }
                self.end_call(now, out);
            }
            State::Running => {}
        }
    }
}

impl Calls {
    pub(super) fn is_parked(&self) -> bool {
        matches!(&self.current, Some(Call { state: State::Parked { .. }, .. }))
    }

    /// Whether the call that is open waits for what this round has asked.
    pub(super) fn is_parked_at(&self, id: &RequestId, round: u32) -> bool {
        self.is_parked() && self.current.as_ref().is_some_and(|call| call.id == *id && call.round == round)
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        match self.current.as_ref()?.state {
            State::Running => None,
            State::Gathering { until } => Some(until),
            State::Parked { since, .. } if self.is_wanted || !self.queue.is_empty() => {
                Some(since + OTHERS_WAIT)
            }
            State::Parked { since, .. } => Some(since + PATIENCE),
        }
    }
}

/// Whether a request is one in which the backend may ask something.
pub(in crate::mcp::bridge) fn may_ask(request: &Frame) -> bool {
    Shape::of(&request.method()).may_ask
}
