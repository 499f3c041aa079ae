//! A client of the handshake era, and a backend of which nobody knows the era: what they say passes as it is until the
//! backend has answered `initialize`.

use super::Frame;
use super::downgrade::Downgrade;
use crate::mcp::discover::may_be_stateless;
use crate::mcp::frame::{Kind, Method};

#[derive(Debug)]
pub(super) struct Watching {
    initialize: Option<Frame>,
    /// What comes between them if the backend may speak the other era.
    downgrade: Box<Downgrade>,
}

/// What an answer of the backend has shown.
#[derive(Debug)]
pub(super) enum Seen {
    Nothing,
    /// It has been initialized.
    Agreed,
    /// It has refused this request as one that it does not know.
    Refused(Frame),
}

impl Watching {
    /// With what is to take over then, as it is before it has begun.
    pub(super) fn new(downgrade: Box<Downgrade>) -> Self {
        Self { initialize: None, downgrade }
    }

    pub(super) fn client_says(&mut self, frame: &Frame) {
        match frame.kind() {
            Kind::Request(_, Method::Initialize) => self.initialize = Some(frame.clone()),
            Kind::Notification(Method::Cancelled(Some(id))) => {
                self.initialize.take_if(|initialize| initialize.is_request(id));
            }
            _ => {}
        }
    }

    pub(super) fn backend_says(&mut self, frame: &Frame) -> Seen {
        let Kind::Response(Some(id)) = frame.kind() else { return Seen::Nothing };
        let answered = self.initialize.take_if(|initialize| initialize.is_request(id));
        match answered {
            Some(_) if !frame.is_error() => Seen::Agreed,
            Some(initialize) if may_be_stateless(frame) => Seen::Refused(initialize),
            _ => Seen::Nothing,
        }
    }

    pub(super) fn into_downgrade(self) -> Box<Downgrade> {
        self.downgrade
    }
}
