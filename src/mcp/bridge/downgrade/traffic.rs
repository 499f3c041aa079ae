//! What passes once both sides know each other.

use std::time::Duration;

use super::answers::{self, Answer};
use super::listening::Taken;
use super::requests::{Life, Request};
use super::rounds::{MAX_ROUNDS, Untold, Wanted, returned};
use super::{Downgrade, EMPTY, Stage};
use crate::mcp::bridge::passed::{ForClient, Passed};
use crate::mcp::edits::Edits;
use crate::mcp::error::{Code, Failure};
use crate::mcp::frame::{Frame, Kind, Method};
use crate::mcp::id::RequestId;
use crate::mcp::level::Level;
use crate::mcp::members::members;
use crate::mcp::related::{SUBSCRIPTION, cancelled, subscription};
use crate::mcp::shape::Shape;
use crate::mcp::splice;

/// How long the backend has until it is asked again, if it wants nothing but that.
const PACE: Duration = Duration::from_secs(1);

impl Downgrade {
    /// A request of a client that has begun.
    pub(super) fn ask(&mut self, request: &Frame, id: &RequestId, out: &mut Passed) {
        let method = request.method();
        let outcome = match &*method {
            "logging/setLevel" => self.set_level(request).map(|()| Taken::IsSo),
            "resources/subscribe" => self.listening.change(request, id, true),
            "resources/unsubscribe" => self.listening.change(request, id, false),
            // Methods of the other era, and what only an extension of it has by now.
            "server/discover" | "subscriptions/listen" => no_method(format!(
                "this server has no method `{method}`; use what it offered in `initialize`"
            )),
            _ if method.starts_with("tasks/") => {
                no_method("tasks of 2025-11-25 cannot be had of this server: call the tool without")
            }
            _ => self.send(request, id, &method, out).map(|()| Taken::Later),
        };
        match outcome {
            Ok(Taken::Later) => {}
            Ok(Taken::IsSo) => out.to_client.push(splice::response(id, EMPTY).into()),
            Err(failure) => out.to_client.push(failure.frame(id).into()),
        }
    }

    fn set_level(&mut self, request: &Frame) -> Result<(), Failure> {
        let Stage::Open(envelope) = &mut self.stage else { return Ok(()) };
        let words = || format!("`params.level` must be one of {}", Level::names());
        let level = Level::of(request).ok_or_else(|| Failure::new(Code::InvalidParams, words()))?;
        envelope.set_level(level);
        Ok(())
    }

    /// Sends a request to the backend.
    fn send(
        &mut self,
        request: &Frame,
        id: &RequestId,
        method: &str,
        out: &mut Passed,
    ) -> Result<(), Failure> {
        let Stage::Open(envelope) = &self.stage else { return Ok(()) };
        let shape = Shape::of(method);
        let number = self.numbers.next();
        let sent = match shape.may_ask {
            true => envelope.dress_answering(request, &number, ""),
            false => envelope.dress(request, &number),
        };
        let words = "`params` and `params._meta` must be objects, each member there once";
        let sent = sent.ok_or_else(|| Failure::new(Code::InvalidParams, words))?;
        let mut open = Request::new(id, shape, number);
        // One for which there is no room is sent all the same: few are ever asked about.
        let is_kept = shape.may_ask && self.requests.has_room(request.bytes().len());
        open.original = is_kept.then(|| request.clone());
        self.requests.insert(open);
        out.to_backend.push(sent);
        Ok(())
    }

    /// Sends a request again, with what the backend wanted to know.
    pub(super) fn send_again(&mut self, id: &RequestId, out: &mut Passed) {
        let Stage::Open(envelope) = &self.stage else { return };
        let Some(request) = self.requests.get_mut(id) else { return };
        let told = match &request.life {
            Life::Asking(round) => round.told(),
            Life::Paced(state) => returned(state),
            Life::Sent(_) => return,
        };
        let number = self.numbers.next();
        let again = request.original.as_ref().and_then(|own| envelope.dress_answering(own, &number, &told));
        match again {
            Some(frame) => {
                self.requests.advance(id, Life::Sent(number));
                out.to_backend.push(frame);
            }
            None => self.leave_untold(id, &Untold::TooMuch, out),
        }
    }

    /// The client has answered a question.
    pub(super) fn client_answers(&mut self, question: &RequestId, answer: &Frame, out: &mut Passed) {
        let Some(id) = self.requests.answered(question) else { return };
        let has_room = self.requests.has_room_beside(&id, answer.payload().len());
        let Some(Request { life: Life::Asking(round), .. }) = self.requests.get_mut(&id) else { return };
        let taken = round.answer(question, answer);
        let is_over = round.is_over();
        match taken {
            Err(untold) => self.leave_untold(&id, &untold, out),
            Ok(()) if !has_room => self.leave_untold(&id, &Untold::TooMuch, out),
            Ok(()) if is_over => self.send_again(&id, out),
            Ok(()) => self.requests.weigh(&id),
        }
    }

    /// The backend has answered a request of ours.
    pub(super) fn backend_answers(
        &mut self,
        number: &RequestId,
        answer: &Frame,
        now: Duration,
        out: &mut Passed,
    ) {
        if matches!(&self.stage, Stage::Discovering(opening) if opening.number == *number) {
            return self.discovered(answer, now, out);
        }
        if self.listening.is_open(number) {
            return self.listening.ended(number, Some(answer), now, out);
        }
        let Some(request) = self.requests.leg(number) else { return self.nobody_asked(number, answer, out) };
        let id = request.id.clone();
        match answers::read(request, answer) {
            Answer::Last(frame) => {
                self.requests.settle(&id, out);
                out.to_client.push(frame.into());
            }
            Answer::Wants(wanted) => match self.input(&id, &wanted, now, out) {
                Ok(()) => {}
                Err(untold) => self.leave_untold(&id, &untold, out),
            },
            Answer::Untold(untold) => self.leave_untold(&id, &untold, out),
        }
    }

    /// What the client said beside an `initialize` that was refused went to the backend as it was, and so comes the
    /// answer. No other is of use to anybody.
    fn nobody_asked(&self, id: &RequestId, answer: &Frame, out: &mut Passed) {
        if self.refusal.is_some() && !self.numbers.is_ours(id) && !self.expects(id) {
            out.to_client.push(answer.clone().into());
        }
    }

    /// The backend wants to know something before it answers.
    fn input(
        &mut self,
        id: &RequestId,
        wanted: &Wanted<'_>,
        now: Duration,
        out: &mut Passed,
    ) -> Result<(), Untold> {
        let Stage::Open(envelope) = &self.stage else { return Ok(()) };
        let has_room = self.requests.has_room_beside(id, wanted.weighs());
        let Some(request) = self.requests.get_mut(id) else { return Ok(()) };
        request.rounds += 1;
        if request.rounds > MAX_ROUNDS {
            return Err(Untold::Endless);
        }
        if request.original.is_none() || !has_room {
            return Err(Untold::TooMuch);
        }
        if let (true, Some(state)) = (wanted.is_silent(), wanted.state) {
            self.requests.pace(id, state.into(), now + PACE);
            return Ok(());
        }
        let (round, questions) = wanted.put(&envelope.introduction, || self.requests.next_question())?;
        self.requests.advance(id, Life::Asking(round));
        out.to_client.extend(questions.into_iter().map(|question| ForClient::about(id, question)));
        Ok(())
    }

    /// The request ends, because the backend is not told what it wants to know.
    fn leave_untold(&mut self, id: &RequestId, untold: &Untold, out: &mut Passed) {
        if let Some(request) = self.requests.settle(id, out) {
            out.to_client.push(untold.answer(&request.id, request.shape).into());
        }
    }

    /// The client does not wait for a request any more. Nor does the backend work on it, unless it waits itself.
    pub(super) fn drop_request(&mut self, id: &RequestId, reason: &str, out: &mut Passed) {
        if let Some(Request { life: Life::Sent(number), .. }) = self.requests.settle(id, out) {
            out.to_backend.push(cancelled(&number, reason));
        }
    }

    /// The backend says something that nobody has asked for.
    pub(super) fn backend_tells(&mut self, frame: Frame, now: Duration, out: &mut Passed) {
        // It may call off nothing but a subscription.
        if let Kind::Notification(Method::Cancelled(number)) = frame.kind() {
            return number.iter().for_each(|number| self.listening.ended(number, None, now, out));
        }
        if let Some(number) = subscription(&frame) {
            return self.listening_tells(&number, &frame, now, out);
        }
        // Progress comes under the client's own token, and a line of the log under none: the session finds out where
        // they belong, as with any backend.
        out.to_client.push(frame.into());
    }

    /// A message of a subscription, as the client knows it.
    fn listening_tells(&mut self, number: &RequestId, frame: &Frame, now: Duration, out: &mut Passed) {
        if frame.method() == "notifications/subscriptions/acknowledged" {
            return self.listening.acknowledged(number, frame, now, out);
        }
        if !self.listening.counts(number) {
            return;
        }
        let mut edits = Edits::of(frame);
        if let Ok([Some(meta)]) = members(frame.payload(), ["_meta"])
            && edits.reshape(meta, |name| name == SUBSCRIPTION, "").is_ok()
        {
            out.to_client.push(edits.done(None).into());
        }
    }
}

fn no_method(words: impl Into<String>) -> Result<Taken, Failure> {
    Err(Failure::new(Code::NoMethod, words))
}
