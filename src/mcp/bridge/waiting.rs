//! What clients have said and the backend has not been told yet, in the order it came: before its conversation has
//! begun, or because its turn comes later.

use std::collections::VecDeque;

use super::Frame;
use super::passed::Passed;
use crate::mcp::error::{Code, error_frame};
use crate::mcp::frame::{Kind, Method};
use crate::mcp::id::RequestId;

/// A queue that is bounded, in number and in bytes.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    frames: VecDeque<Frame>,
    bytes: usize,
}

/// Messages that may wait.
const MAX: usize = 1024;
/// What they may take, in bytes. One alone may be as large as the limit for messages allows.
const MAX_BYTES: usize = 1 << 20;
const TOO_MUCH: &str =
    "too many requests wait for this server; wait for the answers to others, then send it again";

impl Waiting {
    /// Takes what a client says while nothing can be sent. A request that is called off waits no more, and nobody is
    /// told; one for which there is no room is refused, any other message let go: it could only be about such a one.
    pub(super) fn hold(&mut self, frame: Frame, out: &mut Passed) {
        match frame.kind() {
            Kind::Notification(Method::Cancelled(Some(id))) => drop(self.remove(id)),
            Kind::Request(id, _) => {
                let id = id.clone();
                if !self.push(frame) {
                    out.to_client.push(error_frame(&id, Code::Internal, TOO_MUCH).into());
                }
            }
            Kind::Notification(_) | Kind::Response(_) => drop(self.push(frame)),
        }
    }

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

    /// Whether this request waits.
    pub(super) fn holds(&self, id: &RequestId) -> bool {
        self.frames.iter().any(|frame| frame.is_request(id))
    }

    /// Whether this request waited. It does no more.
    pub(super) fn remove(&mut self, id: &RequestId) -> bool {
        let Some(at) = self.frames.iter().position(|frame| frame.is_request(id)) else { return false };
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
        assert!(waiting.holds(&RequestId::number(0)) && waiting.remove(&RequestId::number(0)));
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
