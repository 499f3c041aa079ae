//! The way of a client's request to the backend, once the conversation is open, and how it is called off.

use std::time::Duration;

use super::conversation::Conversation;
use super::requests::{Carried, Open};
use super::{Frame, opening};
use crate::mcp::bridge::passed::Passed;
use crate::mcp::error::{Code, error_frame};
use crate::mcp::frame::{Kind, Method};
use crate::mcp::id::RequestId;
use crate::mcp::level::Level;
use crate::mcp::related::{cancelled, reason};
use crate::mcp::shape::Shape;
use crate::mcp::splice;

impl Conversation {
    /// Takes a request of a client.
    pub(super) fn take(&mut self, frame: &Frame, now: Duration, out: &mut Passed) {
        let Kind::Request(id, method) = frame.kind() else { return };
        match (method, &*frame.method()) {
            (Method::Listen, _) => {
                let listened = self.subscriptions.listen((id, frame), &self.profile, now, &mut self.ids, out);
                listened.unwrap_or_else(|misfit| out.to_client.push(misfit.frame(id).into()));
            }
            (_, "server/discover") => {
                out.to_client.push(opening::discovered(id, &self.profile, &self.sides.server).into());
            }
            (_, name) if name.starts_with("tasks/") => {
                let reason = "tasks of protocol version 2025-11-25, which this server speaks, are not carried over to \
                              2026-07-28: call the tool without";
                out.to_client.push(error_frame(id, Code::NoMethod, reason).into());
            }
            (_, name) => match Carried::read(frame) {
                Err(misfit) => out.to_client.push(misfit.frame(id).into()),
                Ok(carried) => self.carry(frame, id, Shape::of(name), &carried, now, out),
            },
        }
    }

    /// Takes a request that is not for us, of which this has been read.
    fn carry(
        &mut self,
        request: &Frame,
        id: &RequestId,
        shape: Shape,
        carried: &Carried<'_>,
        now: Duration,
        out: &mut Passed,
    ) {
        if shape.may_ask && carried.state.is_some() {
            self.bring(request, id, carried, now, out);
        } else if shape.may_ask && self.sides.introduction.can_be_asked_anything() {
            self.call(request, id, carried, now, out);
        } else {
            self.forward(request, id, carried, out);
        }
    }

    /// Passes a request on, of which this has been read.
    pub(super) fn forward(
        &mut self,
        request: &Frame,
        id: &RequestId,
        carried: &Carried<'_>,
        out: &mut Passed,
    ) {
        self.set_level(carried.level, out);
        let Carried { wants_progress, level, .. } = *carried;
        let shape = Shape::of(&request.method());
        self.requests.insert(id.clone(), Open { client: Some(id.clone()), wants_progress, level, shape });
        out.to_backend.push(carried.stripped(request));
    }

    /// Tells the backend from which level on a client wants its log, if that is news.
    pub(super) fn set_level(&mut self, level: Option<Level>, out: &mut Passed) {
        let Some(level) = level.filter(|level| self.level != Some(*level)) else { return };
        if self.profile.can("logging", None) {
            self.level = Some(level);
            let params = format!(r#"{{"level":"{}"}}"#, level.name());
            // Nobody waits for the answer: a backend that refuses keeps the log as it did.
            out.to_backend.push(splice::request(&self.ids.next(), "logging/setLevel", &params));
        }
    }

    /// A client waits for this no more.
    pub(super) fn call_off(&mut self, id: &RequestId, cancel: &Frame, now: Duration, out: &mut Passed) {
        if self.calls.queue.remove(id) || self.subscriptions.cancel(id, &mut self.ids, out) {
            return;
        }
        let Some(own) = self.abandon(id) else { return };
        out.to_backend.push(cancelled(&own, &reason(cancel)));
        if self.is_current(&own) {
            self.calls.is_doubtful = true;
            self.end_call(now, out);
        }
    }
}
