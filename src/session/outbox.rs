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

use self::stream::{Stream, Worth};
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

/// How many streams that are gone are remembered. As many as a client has cancelled within seconds will do.
const MAX_EXHAUSTED: usize = 64;

/// All streams of one session.
///
/// Whoever fills it looks at [`Outbox::has_room`] first and stops reading its source when there is none;
/// one message may be larger than the room. What nobody reads at the moment does not count there: it is
/// kept up to the same bound, and what would be missed least goes first ([`Worth`]).
#[derive(Debug)]
pub(super) struct Outbox {
    streams: BTreeMap<StreamId, Stream>,
    /// The last events of streams that were read to their end and had to go, of late: some clients ask for what
    /// came after a call that they have cancelled, and nothing did.
    exhausted: VecDeque<EventId>,
    next_stream: u64,
    next_ticket: u64,
    /// Bytes that a reader is about to take.
    unread: usize,
    /// Bytes that are there for a reader that comes back.
    kept: usize,
    max_bytes: usize,
    /// Whether what was read is kept, for a client that lost its connection.
    keeps: bool,
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
        let listening = Stream::new(now);
        let (unread, kept) = listening.amounts();
        Self {
            streams: BTreeMap::from([(StreamId::LISTENING, listening)]),
            exhausted: VecDeque::new(),
            next_stream: 1,
            next_ticket: 0,
            unread,
            kept,
            max_bytes,
            keeps,
        }
    }

    /// A new stream, for the answers to one request or batch.
    pub(super) fn open(&mut self, now: Instant) -> StreamId {
        let id = StreamId(self.next_stream);
        self.next_stream += 1;
        let stream = Stream::new(now);
        self.count((0, 0), stream.amounts());
        self.streams.insert(id, stream);
        id
    }

    /// Whether this reader of a stream has had everything.
    pub(super) fn has_ended(&self, id: StreamId, ticket: u64) -> bool {
        let stream = self.streams.get(&id).filter(|stream| stream.is_read_by(ticket));
        stream.is_none_or(Stream::is_over)
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
        // Of the listening stream the rest is better than nothing; the ids show that there is a gap.
        let number = stream.attach(ticket, seen, id == StreamId::LISTENING, now).ok_or(Lost)?;
        let after = stream.amounts();
        self.count(before, after);
        self.evict(id);
        self.next_ticket += 1;
        Ok((ticket, EventId { stream: id, number }))
    }

    /// Whether the stream has ended with this event.
    pub(super) fn is_exhausted(&self, id: StreamId, seen: u64) -> bool {
        let last = EventId { stream: id, number: seen };
        self.streams.get(&id).map_or_else(|| self.exhausted.contains(&last), |stream| stream.ends_with(seen))
    }

    /// The reader is gone; what it has not seen is kept.
    pub(super) fn detach(&mut self, id: StreamId, ticket: u64) {
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| stream.is_read_by(ticket)) else {
            return;
        };
        let before = stream.amounts();
        stream.detach();
        let after = stream.amounts();
        self.count(before, after);
        self.evict(id);
    }

    /// Nobody can come back for this stream; unless somebody has, who is not the one with this ticket.
    pub(super) fn forget(&mut self, id: StreamId, ticket: Option<u64>) {
        let stranger = |stream: &Stream| ticket.is_some_and(|ticket| !stream.is_read_by(ticket));
        if !self.streams.get(&id).is_some_and(stranger)
            && let Some(stream) = self.streams.remove(&id)
        {
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
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.complete();
        }
    }

    /// Nothing more comes at all; readers get what is left, then the end.
    pub(super) fn close(&mut self) {
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

    /// Whether more than one client waits for something.
    pub(super) fn has_several_readers(&self) -> bool {
        self.streams.values().filter(|stream| stream.has_reader()).nth(1).is_some()
    }

    /// The last event of a stream, if nobody is there to read it.
    pub(super) fn unread_event(&self, id: StreamId) -> Option<EventId> {
        let stream = self.streams.get(&id).filter(|stream| !stream.has_reader())?;
        Some(EventId { stream: id, number: stream.last_event() })
    }

    /// Whether nobody has read an event so far, and nobody is there to do so.
    pub(super) fn is_unread(&self, event: EventId) -> bool {
        let stream = self.streams.get(&event.stream);
        stream.is_none_or(|stream| !stream.has_reader() && !stream.has_given(event.number))
    }

    /// Bytes that a reader is about to take.
    pub(super) fn unread(&self) -> usize {
        self.unread
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
        let next = stream.poll(id, self.keeps, cx);
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

    /// Drops what is kept beyond the bound, what is needed least first; but never what came just now: one
    /// message may be larger than the bound. Goes on a little below it, so as not to look too often.
    fn evict(&mut self, latest: StreamId) {
        if self.kept <= self.max_bytes {
            return;
        }
        let target = self.max_bytes - self.max_bytes / 8;
        while self.kept > target {
            let ranked = self.streams.iter().filter_map(|(id, stream)| {
                let worth = stream.worth(*id == StreamId::LISTENING, *id == latest)?;
                Some((worth, std::cmp::Reverse(stream.amounts().1), *id))
            });
            let Some((worth, _, id)) = ranked.min() else { return };
            match (worth, self.streams.get_mut(&id)) {
                (Worth::Over, Some(stream)) => {
                    self.exhausted.push_back(EventId { stream: id, number: stream.last_event() });
                    if self.exhausted.len() > MAX_EXHAUSTED {
                        self.exhausted.pop_front();
                    }
                    self.forget(id, None);
                }
                (Worth::Over | Worth::Answer, _) | (_, None) => self.forget(id, None),
                (Worth::Seen | Worth::Note, Some(stream)) => {
                    let before = stream.amounts();
                    stream.drop_oldest(worth, self.kept - target);
                    let after = stream.amounts();
                    self.count(before, after);
                }
            }
        }
    }
}
