//! Requests of clients that wait for their turn, in the order they came.

use std::collections::VecDeque;

use super::Frame;
use crate::mcp::frame::Kind;
use crate::mcp::id::RequestId;

/// A queue that is bounded, in number and in bytes.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    frames: VecDeque<Frame>,
    bytes: usize,
}

/// Requests that may wait.
const MAX: usize = 1024;
/// What they may take, in bytes. One alone may be as large as the limit for messages allows.
const MAX_BYTES: usize = 1 << 20;

impl Waiting {
    /// Whether there was room for it.
    pub(super) fn push(&mut self, frame: Frame) -> bool {
        let bytes = self.bytes + frame.bytes().len();
        if self.frames.len() >= MAX || (!self.frames.is_empty() && bytes > MAX_BYTES) {
            return false;
        }
        self.bytes = bytes;
        self.frames.push_back(frame);
        true
    }

    pub(super) fn pop(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.bytes().len();
        Some(frame)
    }

    /// Whether this request waited. It does no more.
    pub(super) fn remove(&mut self, id: &RequestId) -> bool {
        let is_it = |frame: &Frame| matches!(frame.kind(), Kind::Request(own, _) if own == id);
        let Some(at) = self.frames.iter().position(is_it) else { return false };
        self.bytes -= self.frames.remove(at).map_or(0, |frame| frame.bytes().len());
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Bytes of what waits.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Frame> {
        self.frames.iter()
    }

    /// All of it.
    pub(super) fn take(&mut self) -> VecDeque<Frame> {
        std::mem::take(self).frames
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn request(id: usize, length: usize) -> Frame {
        let params = "x".repeat(length);
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m","params":["{params}"]}}"#);
        Frame::parse(Bytes::from(text)).unwrap()
    }

    #[test]
    fn what_waits_is_bounded_in_number_and_bytes() {
        let mut waiting = Waiting::default();
        assert!(waiting.push(request(0, 2 * MAX_BYTES)), "one alone may be large");
        assert!(!waiting.push(request(1, 1)));
        assert!(waiting.remove(&RequestId::number(0)));
        assert_eq!(waiting.bytes(), 0);
        assert!((0..MAX).all(|id| waiting.push(request(id, 1))));
        assert!(!waiting.push(request(MAX, 1)));
        assert!(!waiting.remove(&RequestId::number(9999)));
        assert_eq!(waiting.pop().unwrap().kind(), request(0, 1).kind());
        assert!(waiting.push(request(MAX, 1)));
        while waiting.pop().is_some() {}
        assert_eq!(waiting.bytes(), 0);
    }
}
