//! What waits to be read by a session's client: one queue for each stream that it has, or could have again.

mod stream;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::task::{Context, Poll};

use tokio::time::Instant;

pub use self::stream::Delivery;

use self::stream::Stream;
use crate::mcp::Frame;

/// One stream of a session, to its client. Numbers are never used twice in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u64);

/// An event of a session: `Last-Event-ID`, which also names its stream (MCP 2025-11-25, resumability).
/// Events count from 1; 0 is the one before the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId {
    /// The stream.
    pub stream: StreamId,
    /// The event's number in its stream.
    pub number: u64,
}

/// What a client asks to be resumed cannot be: there is no such stream, or not all of it is kept any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost;

/// All streams of one session.
///
/// Whoever fills it looks at [`Outbox::has_room`] first and stops reading its source when there is none;
/// one message may be larger than the room. What nobody reads at the moment does not count there: it is
/// kept up to the same bound, and the oldest goes first.
#[derive(Debug)]
pub(super) struct Outbox {
    streams: BTreeMap<StreamId, Stream>,
    next_stream: u64,
    next_ticket: u64,
    /// Bytes that a reader is about to take.
    unread: usize,
    /// Bytes that are there for a reader that comes back.
    kept: usize,
    max_bytes: usize,
    /// Whether what was read is kept, for a client that lost its connection.
    keeps: bool,
    /// Streams with nothing more to come and no reader, oldest first. May name others.
    finished: VecDeque<StreamId>,
    closed: bool,
}

impl StreamId {
    /// The stream for whatever belongs to no request.
    pub(super) const LISTENING: Self = Self(0);

    #[cfg(test)]
    pub(super) fn for_test(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.stream.0, self.number)
    }
}

impl FromStr for EventId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (stream, number) = text.split_once('-').ok_or(())?;
        let read = |text: &str| text.parse::<u64>().map_err(|_| ());
        Ok(Self { stream: StreamId(read(stream)?), number: read(number)? })
    }
}

impl Outbox {
    /// With the listening stream, which stays as long as the session.
    pub(super) fn new(max_bytes: usize, keeps: bool, now: Instant) -> Self {
        Self {
            streams: BTreeMap::from([(StreamId::LISTENING, Stream::new(now))]),
            next_stream: 1,
            next_ticket: 0,
            unread: 0,
            kept: 0,
            max_bytes,
            keeps,
            finished: VecDeque::new(),
            closed: false,
        }
    }

    /// A new stream, for the answers to one request or batch.
    pub(super) fn open(&mut self, now: Instant) -> StreamId {
        let id = StreamId(self.next_stream);
        self.next_stream += 1;
        self.streams.insert(id, Stream::new(now));
        id
    }

    /// Makes its caller the reader of a stream, in place of the one before: from where that left off, or
    /// from behind the event that the client saw last. The ticket tells readers of a stream apart; the event
    /// is the one before the next.
    pub(super) fn attach(
        &mut self,
        id: StreamId,
        seen: Option<u64>,
        now: Instant,
    ) -> Result<(u64, EventId), Lost> {
        let ticket = self.next_ticket;
        let stream = self.streams.get_mut(&id).ok_or(Lost)?;
        let before = stream.amounts();
        let number = stream.attach(ticket, seen, now).ok_or(Lost)?;
        let after = stream.amounts();
        self.count(before, after);
        self.next_ticket += 1;
        Ok((ticket, EventId { stream: id, number }))
    }

    /// Whether the stream has ended with this event.
    pub(super) fn is_exhausted(&self, id: StreamId, seen: u64) -> bool {
        self.streams.get(&id).is_some_and(|stream| stream.ends_with(seen))
    }

    /// The reader is gone; what it has not seen is kept.
    pub(super) fn detach(&mut self, id: StreamId, ticket: u64) {
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| stream.is_read_by(ticket)) else {
            return;
        };
        let before = stream.amounts();
        stream.detach();
        let (after, complete) = (stream.amounts(), stream.is_complete());
        self.count(before, after);
        if complete {
            self.finished.push_back(id);
        }
        self.evict(id);
    }

    /// Nobody can come back for this stream.
    pub(super) fn forget(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.remove(&id) {
            self.count(stream.amounts(), (0, 0));
        }
    }

    /// Appends a message to a stream; gives it back if the stream is gone.
    #[must_use]
    pub(super) fn push(&mut self, id: StreamId, frame: Frame, now: Instant) -> Option<Frame> {
        let Some(stream) = self.streams.get_mut(&id) else { return Some(frame) };
        let before = stream.amounts();
        stream.push(frame, now);
        let after = stream.amounts();
        self.count(before, after);
        self.evict(id);
        None
    }

    /// Nothing more comes on this stream.
    pub(super) fn complete(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id)
            && stream.complete()
        {
            self.finished.push_back(id);
        }
    }

    /// Nothing more comes at all; readers get what is left, then the end.
    pub(super) fn close(&mut self) {
        self.closed = true;
        for stream in self.streams.values_mut() {
            stream.complete();
        }
    }

    /// Whether its source may go on.
    pub(super) fn has_room(&self) -> bool {
        self.unread < self.max_bytes
    }

    /// Whether somebody reads the listening stream.
    pub(super) fn is_listened_to(&self) -> bool {
        self.streams.get(&StreamId::LISTENING).is_some_and(Stream::has_reader)
    }

    /// Whether a reader has something to take.
    pub(super) fn is_waiting(&self) -> bool {
        self.unread > 0
    }

    /// Cuts off the readers that have taken nothing since then, although there was something. Says whether
    /// there were any.
    pub(super) fn cut_stalled(&mut self, since: Instant) -> bool {
        let stalled: Vec<_> =
            self.streams.iter().filter_map(|(id, stream)| Some((*id, stream.stalled(since)?))).collect();
        for (id, ticket) in &stalled {
            self.detach(*id, *ticket);
        }
        !stalled.is_empty()
    }

    /// The reader's side. `Ready(None)` is the end of the stream, for this reader.
    pub(super) fn poll(&mut self, id: StreamId, ticket: u64, cx: &Context<'_>) -> Poll<Option<Delivery>> {
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| stream.is_read_by(ticket)) else {
            return Poll::Ready(None);
        };
        let before = stream.amounts();
        let next = stream.poll(id, self.keeps, self.closed, cx);
        let after = stream.amounts();
        self.count(before, after);
        if self.kept > self.max_bytes {
            self.evict(id);
        }
        next
    }

    fn count(&mut self, before: (usize, usize), after: (usize, usize)) {
        self.unread = self.unread + after.0 - before.0;
        self.kept = self.kept + after.1 - before.1;
    }

    /// Drops what is kept beyond the bound: whole streams that have ended first, then the oldest events of
    /// the stream that was touched last.
    fn evict(&mut self, touched: StreamId) {
        while self.kept > self.max_bytes {
            if let Some(id) = self.finished.pop_front() {
                if self.streams.get(&id).is_some_and(|stream| stream.is_complete() && !stream.has_reader()) {
                    self.forget(id);
                }
                continue;
            }
            let Some(stream) = self.streams.get_mut(&touched) else { return };
            let before = stream.amounts();
            if !stream.drop_oldest() {
                return;
            }
            let after = stream.amounts();
            self.count(before, after);
        }
    }
}
