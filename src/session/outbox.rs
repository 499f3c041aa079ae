//! What waits to be read by a session's client.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use crate::mcp::Frame;

/// A queue of messages with one reader. Whoever fills it looks at [`Outbox::has_room`] first and stops
/// reading its source when there is none; one message may be larger than the room.
#[derive(Debug)]
pub(super) struct Outbox {
    frames: VecDeque<Frame>,
    bytes: usize,
    max_bytes: usize,
    /// A sign of life is due.
    heartbeat: bool,
    closed: bool,
    /// When the reader last took something, or had nothing to take.
    progress: Instant,
    reader: Option<Waker>,
}

/// What the reader gets.
#[derive(Debug)]
pub enum Delivery {
    /// Messages, in order.
    Frames(Vec<Frame>),
    /// Nothing happened for a while.
    Heartbeat,
}

/// What is handed to the reader at once, in bytes; a larger message goes alone.
const BATCH: usize = 64 * 1024;

impl Outbox {
    pub(super) fn new(max_bytes: usize, now: Instant) -> Self {
        Self {
            frames: VecDeque::new(),
            bytes: 0,
            max_bytes,
            heartbeat: false,
            closed: false,
            progress: now,
            reader: None,
        }
    }

    pub(super) fn push(&mut self, frame: Frame, now: Instant) {
        if self.is_empty() {
            self.progress = now;
        }
        self.bytes += frame.bytes().len();
        self.frames.push_back(frame);
        self.wake();
    }

    /// Asks for a sign of life, if nothing else is on its way.
    pub(super) fn beat(&mut self, now: Instant) {
        if self.is_empty() {
            self.progress = now;
            self.heartbeat = true;
            self.wake();
        }
    }

    /// Nothing will be pushed any more; the reader gets what is left, then the end.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.wake();
    }

    pub(super) fn has_room(&self) -> bool {
        self.bytes < self.max_bytes
    }

    /// Since when the reader has taken nothing although there was something.
    pub(super) fn stalled_since(&self) -> Option<Instant> {
        (!self.is_empty()).then_some(self.progress)
    }

    /// When the reader last had something to read, or took it.
    pub(super) fn progress(&self) -> Instant {
        self.progress
    }

    /// The reader's side. `Ready(None)` is the end.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Delivery>> {
        if !self.frames.is_empty() {
            return Poll::Ready(Some(Delivery::Frames(self.take())));
        }
        if self.closed {
            return Poll::Ready(None);
        }
        if std::mem::take(&mut self.heartbeat) {
            self.progress = Instant::now();
            return Poll::Ready(Some(Delivery::Heartbeat));
        }
        self.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn take(&mut self) -> Vec<Frame> {
        let (mut size, mut count) = (0, 0);
        for frame in &self.frames {
            if count > 0 && size + frame.bytes().len() > BATCH {
                break;
            }
            size += frame.bytes().len();
            count += 1;
        }
        self.bytes -= size;
        self.heartbeat = false;
        self.progress = Instant::now();
        self.frames.drain(..count).collect()
    }

    fn is_empty(&self) -> bool {
        self.frames.is_empty() && !self.heartbeat
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn note(size: usize) -> Frame {
        let text = format!(r#"{{"jsonrpc":"2.0","method":"{}"}}"#, "m".repeat(size));
        Frame::parse(Bytes::from(text)).unwrap()
    }

    fn poll(outbox: &mut Outbox) -> Poll<Option<Delivery>> {
        outbox.poll(&Context::from_waker(Waker::noop()))
    }

    #[tokio::test(start_paused = true)]
    async fn messages_come_in_order_and_the_end_after_them() {
        let mut outbox = Outbox::new(100, Instant::now());
        assert!(poll(&mut outbox).is_pending());
        outbox.push(note(1), Instant::now());
        outbox.push(note(2), Instant::now());
        outbox.close();
        let Poll::Ready(Some(Delivery::Frames(frames))) = poll(&mut outbox) else { panic!() };
        assert_eq!(frames.iter().map(|f| f.bytes().len()).collect::<Vec<_>>(), [30, 31]);
        assert!(matches!(poll(&mut outbox), Poll::Ready(None)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_larger_than_the_room_fits_once() {
        let mut outbox = Outbox::new(10, Instant::now());
        assert!(outbox.has_room());
        outbox.push(note(1000), Instant::now());
        assert!(!outbox.has_room());
        drop(poll(&mut outbox));
        assert!(outbox.has_room());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_stalls_only_while_something_waits() {
        let mut outbox = Outbox::new(10, Instant::now());
        assert_eq!(outbox.stalled_since(), None);
        tokio::time::advance(std::time::Duration::from_secs(60)).await;
        let pushed = Instant::now();
        outbox.beat(pushed);
        assert_eq!(outbox.stalled_since(), Some(pushed));
        assert!(matches!(poll(&mut outbox), Poll::Ready(Some(Delivery::Heartbeat))));
        assert_eq!(outbox.stalled_since(), None);
    }
}
