//! The conversation with a backend that has agreed to it: who is told what of the messages that come.

use std::sync::Arc;
use std::time::Duration;

use super::calls::Calls;
use super::questions::Questions;
use super::requests::{OwnIds, Requests};
use super::subscriptions::Subscriptions;
use super::{Frame, Sides};
use crate::mcp::bridge::passed::Passed;
use crate::mcp::error::error_frame;
use crate::mcp::frame::{Kind, Method};
use crate::mcp::handshake::initialized;
use crate::mcp::level::Level;
use crate::mcp::profile::Profile;

#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) sides: Arc<Sides>,
    /// What the backend says of itself.
    pub(super) profile: Profile,
    /// Who it is: JSON text, which goes into each result.
    pub(super) info: Box<str>,
    pub(super) ids: OwnIds,
    pub(super) requests: Requests,
    pub(super) calls: Calls,
    pub(super) questions: Questions,
    /// From which level on the backend was told to keep its log.
    pub(super) level: Option<Level>,
    pub(super) subscriptions: Subscriptions,
}

impl Conversation {
    /// With a backend that has said this of itself; what it has asked already waits for a call.
    pub(super) fn open(
        sides: Arc<Sides>,
        profile: Profile,
        ids: OwnIds,
        questions: Questions,
        out: &mut Passed,
    ) -> Self {
        out.to_backend.push(initialized());
        Self {
            info: profile.info_or(&sides.server).into(),
            sides,
            profile,
            ids,
            requests: Requests::default(),
            calls: Calls::default(),
            questions,
            level: None,
            subscriptions: Subscriptions::default(),
        }
    }

    pub(super) fn client_says(&mut self, frame: Frame, now: Duration, out: &mut Passed) {
        match frame.kind() {
            Kind::Request(..) => self.take(&frame, now, out),
            Kind::Notification(Method::Cancelled(Some(id))) => self.call_off(id, &frame, now, out),
            // The backend would not know what to make of others; answers go another way in this era.
            Kind::Notification(_) | Kind::Response(_) => {}
        }
    }

    pub(super) fn backend_says(&mut self, frame: Frame, now: Duration, out: &mut Passed) {
        match frame.kind() {
            Kind::Response(Some(id)) => {
                if !self.subscriptions.answered(&frame, id, &mut self.ids, out) {
                    self.answered(&frame, id, now, out);
                }
            }
            Kind::Response(None) => {}
            Kind::Request(id, _) => {
                if let Err((code, reason)) = self.asked(id, &frame, now) {
                    out.to_backend.push(error_frame(id, code, reason));
                }
            }
            Kind::Notification(Method::Progress) => self.pass_progress(&frame, out),
            Kind::Notification(Method::Log) => self.pass_log(frame, out),
            Kind::Notification(Method::Cancelled(id)) => {
                id.iter().for_each(|id| self.questions.withdraw(id));
                self.settle_questions(now);
            }
            Kind::Notification(_) => self.subscriptions.tell(&frame, out),
        }
    }

    pub(super) fn tick(&mut self, now: Duration, out: &mut Passed) {
        self.subscriptions.tick(now, &mut self.ids, out);
        self.questions.refuse_due(now, out);
        self.tick_call(now, out);
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let due =
            [self.subscriptions.next_deadline(), self.questions.next_deadline(), self.calls.next_deadline()];
        due.into_iter().flatten().min()
    }
}
