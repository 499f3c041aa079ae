//! A conversation that begins: `initialize` is on its way to the backend. What clients say waits for the answer, and so
//! does what the backend asks already.

use std::sync::Arc;
use std::time::Duration;

use super::conversation::Conversation;
use super::opening;
use super::questions::Questions;
use super::requests::OwnIds;
use super::unasked::{may_be_asked, may_wait};
use super::{Era, Frame, Sides, TOO_EARLY};
use crate::mcp::bridge::passed::Passed;
use crate::mcp::bridge::waiting::Waiting;
use crate::mcp::discover::era_shown;
use crate::mcp::error::{Code, Failure, error_frame};
use crate::mcp::frame::{Kind, Method};
use crate::mcp::id::RequestId;
use crate::mcp::profile::Profile;

#[derive(Debug)]
pub(super) struct Beginning {
    sides: Arc<Sides>,
    /// The id of our `initialize`.
    opening: RequestId,
    ids: OwnIds,
    /// What clients have said.
    pub(super) held: Waiting,
    pub(super) questions: Questions,
}

/// What has come of it.
#[derive(Debug)]
pub(super) enum Begun {
    Open(Box<Conversation>),
    /// What clients are told who come later.
    Refused(Failure),
    /// The backend speaks the era of the clients. This waits for it.
    OtherEra(Waiting),
}

impl Beginning {
    /// With `initialize` for the backend.
    pub(super) fn new(sides: &Arc<Sides>, out: &mut Passed) -> Self {
        let mut ids = OwnIds::default();
        let opening = ids.next();
        out.to_backend.push(opening::initialize(&opening, &sides.introduction));
        let (held, questions) = (Waiting::default(), Questions::default());
        Self { sides: sides.clone(), opening, ids, held, questions }
    }

    pub(super) fn client_says(&mut self, frame: Frame, out: &mut Passed) {
        match (frame.kind(), &self.sides.profile) {
            // It has told others what it is.
            (Kind::Request(id, _), Some(known)) if frame.method() == "server/discover" => {
                out.to_client.push(opening::discovered(id, known, &self.sides.server).into());
            }
            // The backend would not know what to make of others; answers go another way in this era.
            (Kind::Request(..) | Kind::Notification(Method::Cancelled(Some(_))), _) => {
                self.held.hold(frame, out);
            }
            (Kind::Notification(_) | Kind::Response(_), _) => {}
        }
    }

    /// What has come of it, if this tells.
    pub(super) fn backend_says(&mut self, frame: &Frame, now: Duration, out: &mut Passed) -> Option<Begun> {
        match frame.kind() {
            Kind::Response(Some(id)) if *id == self.opening => return Some(self.answered(frame, now, out)),
            Kind::Request(id, _) => {
                let asked = may_be_asked(&self.sides.introduction, frame)
                    .and_then(|ask| self.questions.add(id, frame, Some(may_wait(ask, now)?)));
                if let Err((code, reason)) = asked {
                    out.to_backend.push(error_frame(id, code, reason));
                }
            }
            Kind::Notification(Method::Cancelled(Some(id))) => self.questions.withdraw(id),
            Kind::Notification(_) | Kind::Response(_) => {}
        }
        None
    }

    /// The backend has answered `initialize`.
    fn answered(&mut self, answer: &Frame, now: Duration, out: &mut Passed) -> Begun {
        if answer.is_error() && era_shown(answer) == Era::Stateless {
            return Begun::OtherEra(std::mem::take(&mut self.held));
        }
        if answer.is_error() {
            let refusal = opening::refusal(answer);
            out.to_client.extend(self.held.take().iter().filter_map(|frame| match frame.kind() {
                Kind::Request(id, _) => Some(refusal.frame(id).into()),
                Kind::Notification(_) | Kind::Response(_) => None,
            }));
            let unasked = self.questions.take_all();
            out.to_backend.extend(unasked.iter().map(|id| error_frame(id, Code::Internal, TOO_EARLY)));
            return Begun::Refused(refusal);
        }
        let profile = Profile::read(answer).unwrap_or_else(opening::silent);
        let (ids, questions) = (std::mem::take(&mut self.ids), std::mem::take(&mut self.questions));
        let mut conversation = Conversation::open(self.sides.clone(), profile, ids, questions, out);
        for frame in self.held.take() {
            conversation.client_says(frame, now, out);
        }
        Begun::Open(Box::new(conversation))
    }
}
