//! The answer of another node as it comes, and what becomes of it if that node ends meanwhile.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::web::Bytes;
use futures_core::Stream;

use super::event;
use crate::cluster::{Handed, Open, Passing};
use crate::mcp::{Code, RequestId, error_frame};

/// The body of an answer that another node gives.
pub(super) struct Relayed {
    /// `None` once it is over.
    from: Option<Passing>,
    /// The request that has no answer yet, as far as anybody here knows, if answers are events.
    waits: Option<RequestId>,
    /// Whether what was passed on so far ends with a whole event.
    is_between_events: bool,
    open: Open,
}

impl Relayed {
    pub(super) fn new(from: Passing, waits: Option<RequestId>, open: Open) -> Self {
        Self { from: Some(from), waits, is_between_events: true, open }
    }

    /// What is left to say: that there is no answer. Within an event nothing can be said; there, the stream breaks.
    fn last_word(&mut self) -> io::Result<Bytes> {
        self.from = None;
        self.open.ends(Handed::CutShort);
        match self.waits.take().filter(|_| self.is_between_events) {
            Some(id) => Ok(event::message(&error_frame(&id, Code::Internal, BROKEN_OFF))),
            None => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

const BROKEN_OFF: &str = "the connection to the node that was to answer broke before the answer came, and it may have \
                          done what was asked; if the next request of this session is answered with 404, open a new one \
                          with `initialize`";

impl Stream for Relayed {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(from) = &mut self.from else { return Poll::Ready(None) };
        Poll::Ready(match ready!(Pin::new(from).poll_next(cx)) {
            Some(Ok(piece)) => {
                self.is_between_events = piece.ends_with(b"\n\n");
                Some(Ok(piece))
            }
            Some(Err(_)) => Some(self.last_word()),
            None => {
                self.from = None;
                None
            }
        })
    }
}
