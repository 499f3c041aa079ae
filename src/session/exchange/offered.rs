//! What of a backend a client gets to see and use: its requests are refused where they use more, and answers lose
//! what it may not see.

use std::ops::ControlFlow;

use tokio::time::Instant;

use super::super::Transport;
use super::super::outbox::StreamId;
use super::requests::Request;
use super::{Addressed, Exchange, FromClient, Said, Unfit};
use crate::catalog::Offer;
use crate::mcp::{Code, Failure, Frame, Kind, Listed, error_frame};

/// A client's message that uses nothing which is not offered: no other goes to the backend.
#[derive(Debug)]
pub(super) struct Admitted<'a> {
    pub(super) frame: Frame,
    pub(super) stream: StreamId,
    pub(super) revision: Option<&'a str>,
    pub(super) now: Instant,
    /// What may be seen of the answer.
    pub(super) offer: Offer,
    /// Made here only.
    _seal: (),
}

impl Exchange {
    /// Admits a message, or says what becomes of it instead. One that expects no answer gets none.
    pub(super) fn admit<'a>(&self, said: Said<'a>) -> Result<ControlFlow<FromClient, Admitted<'a>>, Unfit> {
        let Said { frame, stream, revision, now, offer } = said;
        let offer = self.offer.and(offer);
        let Err(misuse) = frame.check_call().and_then(|()| offer.check(&frame)) else {
            return Ok(ControlFlow::Continue(Admitted { frame, stream, revision, now, offer, _seal: () }));
        };
        let Kind::Request(id, _) = frame.kind() else { return Ok(ControlFlow::Break(FromClient::Drop)) };
        // Its error would be taken for the answer to the other.
        if self.transport != Transport::Stateless && self.requests.contains(id) {
            return Err(Unfit::DuplicateId);
        }
        let error = Failure::from(&misuse).frame(id);
        Ok(ControlFlow::Break(FromClient::Answer(Addressed::message(stream, error))))
    }
}

impl Request {
    /// Notes what its client may see of the answer, if that is not everything.
    pub(super) fn show(&mut self, asked: &Frame, offer: Offer) {
        if !offer.is_everything() {
            self.lists = Listed::asked_by(&asked.method());
            self.offer = offer;
        }
    }

    /// The answer as its client may see it.
    pub(super) fn shown(&self, answer: Frame) -> Frame {
        let (Some(listed), Kind::Response(Some(id))) = (self.lists, answer.kind()) else { return answer };
        let id = id.clone();
        answer
            .without(listed, |name| self.offer.has(listed, name))
            .unwrap_or_else(|unlisted| error_frame(&id, Code::Internal, &unlisted.to_string()))
    }
}
