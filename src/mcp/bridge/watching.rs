//! A client of the handshake era, and a backend of which nobody knows the era: what they say passes as it is until the
//! backend has answered `initialize`.

use super::Frame;
use super::downgrade::Downgrade;
use crate::mcp::discover::era_shown;
use crate::mcp::error::{Code, error_code};
use crate::mcp::frame::{Kind, Method};
use crate::mcp::version::Era;

#[derive(Debug)]
pub(super) struct Watching {
    server: String,
    initialize: Option<Frame>,
}

/// What an answer of the backend has shown.
#[derive(Debug)]
pub(super) enum Seen {
    Nothing,
    /// It has been initialized.
    Agreed,
    /// It has refused this request as one that it does not know.
    Refused(Box<Frame>, Box<Downgrade>),
}

impl Watching {
    pub(super) fn new(server: String) -> Self {
        Self { server, initialize: None }
    }

    pub(super) fn client_says(&mut self, frame: &Frame) {
        if matches!(frame.kind(), Kind::Request(_, Method::Initialize)) {
            self.initialize = Some(frame.clone());
        }
    }

    pub(super) fn backend_says(&mut self, frame: &Frame) -> Seen {
        let (Kind::Response(Some(id)), Some(initialize)) = (frame.kind(), &self.initialize) else {
            return Seen::Nothing;
        };
        if !matches!(initialize.kind(), Kind::Request(own, _) if own == id) {
            return Seen::Nothing;
        }
        if !frame.is_error() {
            return Seen::Agreed;
        }
        let initialize = self.initialize.take();
        match initialize.filter(|_| may_be_other_era(frame)) {
            Some(initialize) => Seen::Refused(
                Box::new(initialize),
                Box::new(Downgrade::new(std::mem::take(&mut self.server))),
            ),
            None => Seen::Nothing,
        }
    }
}

/// Whether a server that answers `initialize` so may speak the other era: it says so, or knows no such request.
fn may_be_other_era(refusal: &Frame) -> bool {
    let unknown = [Code::NoMethod, Code::InvalidRequest].map(|code| i64::from(code.number()));
    era_shown(refusal) == Era::Stateless || error_code(refusal).is_some_and(|code| unknown.contains(&code))
}
