//! One queue of messages with one reader at a time, and what may be read again.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::{EventId, StreamId};
use crate::mcp::Frame;

/// A stream of a session.
#[derive(Debug)]
pub(super) struct Stream {
    events: VecDeque<Frame>,
    /// The number of the first of `events`.
    first: u64,
    /// The number of the next event for the reader.
    next: u64,
    /// Bytes of the events from `next` on, and of those before.
    ahead: usize,
    behind: usize,
    reader: Option<Reader>,
    /// When the reader last took something, or had nothing to take.
    progress: Instant,
    complete: bool,
}

/// What is kept, by how much it would be missed; least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Worth {
    /// A stream that has ended and was read to its end.
    Over,
    /// Events that were read.
    Seen,
    /// Events that nobody has read, with others behind them.
    Note,
    /// A stream that has ended and of which the end was not read.
    Answer,
}

#[derive(Debug)]
struct Reader {
    ticket: u64,
    waker: Option<Waker>,
}

/// What a reader gets: messages in order.
#[derive(Debug)]
pub struct Delivery {
    /// The id of the first of them; they count on from there.
    pub first: EventId,
    /// The messages.
    pub frames: Vec<Frame>,
    /// Nothing comes behind them on this stream.
    pub last: bool,
    /// How long they have waited for a reader at most.
    pub waited: Duration,
}

/// What is handed to the reader at once, in bytes; a larger message goes alone.
const BATCH: usize = 64 * 1024;
/// What a stream or an event takes beside its text.
const OVERHEAD: usize = 128;

impl Stream {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            events: VecDeque::new(),
            first: 1,
            next: 1,
            ahead: 0,
            behind: 0,
            reader: None,
            progress: now,
            complete: false,
        }
    }

    /// Bytes that count as unread, and as kept.
    pub(super) fn amounts(&self) -> (usize, usize) {
        match self.reader {
            Some(_) => (self.ahead, self.behind + OVERHEAD),
            None => (0, self.ahead + self.behind + OVERHEAD),
        }
    }

    /// What could be dropped here, and how much it would be missed; `None` if nothing can. Of the stream
    /// that has just got a message, that message cannot.
    pub(super) fn worth(&self, is_listening: bool, is_latest: bool) -> Option<Worth> {
        let behind = self.behind > 0 && (!is_latest || self.events.len() > 1);
        match self.reader {
            None if self.is_over() && !is_listening && !is_latest => Some(Worth::Over),
            _ if behind => Some(Worth::Seen),
            None if self.events.len() > 1 => Some(Worth::Note),
            None if self.complete && !is_listening && !is_latest => Some(Worth::Answer),
            None if !self.events.is_empty() && !is_latest => Some(Worth::Note),
            _ => None,
        }
    }

    /// The number of the event before the next; `None` if not all behind `seen` is there, unless some of it
    /// may be skipped.
    pub(super) fn attach(
        &mut self,
        ticket: u64,
        seen: Option<u64>,
        may_skip: bool,
        now: Instant,
    ) -> Option<u64> {
        if let Some(seen) = seen {
            let mut next = seen.checked_add(1)?;
            if may_skip {
                next = next.max(self.first);
            }
            if next < self.first || next > self.end() {
                return None;
            }
            let behind = usize::try_from(next - self.first).ok()?;
            let all = self.ahead + self.behind;
            self.behind = self.events.iter().take(behind).map(size).sum();
            self.ahead = all - self.behind;
            self.next = next;
        }
        self.wake();
        self.reader = Some(Reader { ticket, waker: None });
        self.progress = now;
        Some(self.next - 1)
    }

    pub(super) fn detach(&mut self) {
        self.reader = None;
    }

    pub(super) fn push(&mut self, frame: Frame, now: Instant) {
        if self.ahead == 0 {
            self.progress = now;
        }
        self.ahead += size(&frame);
        self.events.push_back(frame);
        self.wake();
    }

    pub(super) fn complete(&mut self) {
        self.complete = true;
        self.wake();
    }

    /// Whether everything was read, and nothing more comes.
    pub(super) fn is_over(&self) -> bool {
        self.complete && self.next == self.end()
    }

    pub(super) fn last_event(&self) -> u64 {
        self.end() - 1
    }

    /// Whether a reader has had this event.
    pub(super) fn has_given(&self, number: u64) -> bool {
        number < self.next
    }

    pub(super) fn ends_with(&self, number: u64) -> bool {
        self.complete && number.checked_add(1) == Some(self.end())
    }

    pub(super) fn has_reader(&self) -> bool {
        self.reader.is_some()
    }

    pub(super) fn is_read_by(&self, ticket: u64) -> bool {
        self.reader.as_ref().is_some_and(|reader| reader.ticket == ticket)
    }

    /// The reader's ticket if it has taken nothing since then, although there was something.
    pub(super) fn stalled(&self, since: Instant) -> Option<u64> {
        let reader = self.reader.as_ref()?;
        (self.ahead > 0 && self.progress <= since).then_some(reader.ticket)
    }

    /// Drops the oldest event; of those that were read as many as make up this amount.
    pub(super) fn drop_oldest(&mut self, worth: Worth, mut amount: usize) {
        while let Some(frame) = self.events.pop_front() {
            let counted = if self.first < self.next { &mut self.behind } else { &mut self.ahead };
            *counted -= size(&frame);
            self.first += 1;
            self.next = self.next.max(self.first);
            amount = amount.saturating_sub(size(&frame));
            let more_were_read = worth == Worth::Seen && self.first < self.next;
            if amount == 0 || !more_were_read || self.events.len() == 1 {
                return;
            }
        }
    }

    pub(super) fn poll(&mut self, id: StreamId, keeps: bool, cx: &Context<'_>) -> Poll<Option<Delivery>> {
        if self.next < self.end() {
            return Poll::Ready(Some(self.take(id, keeps)));
        }
        if self.complete {
            return Poll::Ready(None);
        }
        if let Some(reader) = &mut self.reader {
            reader.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    fn take(&mut self, id: StreamId, keeps: bool) -> Delivery {
        let first = EventId { stream: id, number: self.next };
        let mut bytes = 0;
        let mut frames = Vec::new();
        let from = usize::try_from(self.next - self.first).unwrap_or(0);
        for event in self.events.iter().skip(from) {
            let size = size(event);
            if !frames.is_empty() && bytes + size > BATCH {
                break;
            }
            bytes += size;
            frames.push(event.clone());
        }
        self.next += frames.len() as u64;
        self.ahead -= bytes;
        self.behind += bytes;
        let now = Instant::now();
        let waited = now.saturating_duration_since(self.progress);
        self.progress = now;
        if !keeps {
            self.events.drain(..frames.len());
            self.behind = 0;
            self.first = self.next;
        }
        Delivery { first, frames, last: self.is_over(), waited }
    }

    /// The number of the event that comes next.
    fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    fn wake(&mut self) {
        if let Some(waker) = self.reader.as_mut().and_then(|reader| reader.waker.take()) {
            waker.wake();
        }
    }
}

fn size(frame: &Frame) -> usize {
    frame.bytes().len() + OVERHEAD
}
