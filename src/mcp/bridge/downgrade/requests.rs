//! The client's requests that the backend has still to answer, and what the backend wants to know before it does.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::rounds::Round;
use crate::mcp::bridge::passed::{ForClient, Passed};
use crate::mcp::frame::Frame;
use crate::mcp::id::RequestId;
use crate::mcp::related::cancelled;
use crate::mcp::shape::Shape;

/// A table by the client's ids, in which the numbers that the backend knows and questions can be looked up too.
#[derive(Debug, Default)]
pub(super) struct Requests {
    open: HashMap<RequestId, Request>,
    /// The number of each leg that the backend has not answered.
    legs: HashMap<RequestId, RequestId>,
    questions: HashMap<RequestId, RequestId>,
    /// Those that are asked again without having been answered anything, in the order of their time.
    paced: VecDeque<(Duration, RequestId)>,
    /// What all of them keep, in bytes.
    kept: usize,
    last_question: u64,
}

/// A request of the client.
#[derive(Debug)]
pub(super) struct Request {
    /// As the client sent it.
    pub(super) id: RequestId,
    pub(super) shape: Shape,
    /// The whole of it, where it may have to be sent again.
    pub(super) original: Option<Frame>,
    /// How often the backend has wanted to know something.
    pub(super) rounds: usize,
    pub(super) life: Life,
    /// What it counts for in `kept`.
    weight: usize,
}

/// Where a request is.
#[derive(Debug)]
pub(super) enum Life {
    /// At the backend, under this number.
    Sent(RequestId),
    /// The client is being asked.
    Asking(Round),
    /// To be sent again in a while, with this state of the backend.
    Paced(Box<str>),
}

/// What may be kept, in bytes, beside one request as large as its client may send it.
const MAX_KEPT: usize = 4 << 20;

impl Request {
    /// One that goes to the backend under this number.
    pub(super) fn new(id: &RequestId, shape: Shape, number: RequestId) -> Self {
        Self { id: id.clone(), shape, original: None, rounds: 0, life: Life::Sent(number), weight: 0 }
    }

    fn weighs(&self) -> usize {
        let life = match &self.life {
            Life::Sent(_) => 0,
            Life::Asking(round) => round.weighs(),
            Life::Paced(state) => state.len(),
        };
        self.original.as_ref().map_or(0, |frame| frame.bytes().len()) + life
    }
}

impl Requests {
    pub(super) fn contains(&self, id: &RequestId) -> bool {
        self.open.contains_key(id)
    }

    /// Whether a request of so many bytes may be kept.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.kept == 0 || self.kept + bytes <= MAX_KEPT
    }

    /// Whether so much may be kept beside this request.
    pub(super) fn has_room_beside(&self, id: &RequestId, bytes: usize) -> bool {
        let own = self.open.get(id).and_then(|request| request.original.as_ref());
        self.kept - own.map_or(0, |frame| frame.bytes().len()) + bytes <= MAX_KEPT
    }

    /// Whether nothing is in any of the tables.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.legs.is_empty() && self.questions.is_empty() && self.paced.is_empty()
    }

    /// Bytes of what all of them keep.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.kept
    }

    pub(super) fn insert(&mut self, request: Request) {
        let id = request.id.clone();
        self.open.insert(id.clone(), request);
        self.note(&id);
    }

    /// Moves a request on in its life. What it was before ends.
    pub(super) fn advance(&mut self, id: &RequestId, life: Life) {
        if let Some(request) = self.open.get_mut(id) {
            if let Life::Sent(number) = std::mem::replace(&mut request.life, life) {
                self.legs.remove(&number);
            }
            self.note(id);
        }
    }

    /// Keeps the tables to what a request has become.
    fn note(&mut self, id: &RequestId) {
        let Some(request) = self.open.get_mut(id) else { return };
        match &request.life {
            Life::Sent(number) => drop(self.legs.insert(number.clone(), id.clone())),
            Life::Asking(round) => {
                self.questions.extend(round.open().map(|question| (question.clone(), id.clone())));
            }
            Life::Paced(_) => {}
        }
        self.weigh(id);
    }

    /// Counts what a request keeps now.
    pub(super) fn weigh(&mut self, id: &RequestId) {
        if let Some(request) = self.open.get_mut(id) {
            self.kept -= request.weight;
            request.weight = request.weighs();
            self.kept += request.weight;
        }
    }

    /// The request that the backend knows by this number.
    pub(super) fn leg(&self, number: &RequestId) -> Option<&Request> {
        self.open.get(self.legs.get(number)?)
    }

    pub(super) fn get_mut(&mut self, id: &RequestId) -> Option<&mut Request> {
        self.open.get_mut(id)
    }

    /// An id for a question to the client.
    pub(super) fn next_question(&mut self) -> RequestId {
        self.last_question += 1;
        RequestId::number(self.last_question)
    }

    /// The request that waits for the answer to this question, which is open no more.
    pub(super) fn answered(&mut self, question: &RequestId) -> Option<RequestId> {
        self.questions.remove(question)
    }

    /// Sends a request again at that time.
    pub(super) fn pace(&mut self, id: &RequestId, state: Box<str>, due: Duration) {
        self.advance(id, Life::Paced(state));
        self.paced.push_back((due, id.clone()));
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.paced.front().map(|(due, _)| *due)
    }

    /// The next request that is to be sent again by now.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<RequestId> {
        self.paced.pop_front_if(|(due, _)| *due <= now).map(|(_, id)| id)
    }

    /// Takes a request that is answered or called off. The client need not answer what it was asked for it.
    pub(super) fn settle(&mut self, id: &RequestId, out: &mut Passed) -> Option<Request> {
        let request = self.open.remove(id)?;
        self.kept -= request.weight;
        match &request.life {
            Life::Sent(number) => drop(self.legs.remove(number)),
            Life::Asking(round) => {
                for question in round.open() {
                    self.questions.remove(question);
                    let frame = cancelled(question, "the request that it belongs to has ended");
                    out.to_client.push(ForClient::about(&request.id, frame));
                }
            }
            Life::Paced(_) => self.paced.retain(|(_, paced)| paced != id),
        }
        Some(request)
    }
}
