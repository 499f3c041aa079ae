//! The way of a remote server's messages to the session: bounded in number and in bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use super::super::child::Line;
use super::fault::Fault;
use crate::mcp::{Code, Frame, RequestId, error_frame};

/// Takes messages to the session. Clones lead to the same.
#[derive(Clone, Debug)]
pub(super) struct Inbound {
    lines: mpsc::Sender<Line>,
    /// What replies that are being read hold, in bytes.
    held: Arc<AtomicUsize>,
    max_message: usize,
}

/// The bytes that one reply holds while it is read.
#[derive(Debug)]
pub(super) struct Share {
    inbound: Inbound,
    bytes: usize,
}

/// The session takes no more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone;

/// How many of the largest messages may be read at once in one session; a single one always may.
const LARGEST: usize = 2;

impl Inbound {
    pub(super) fn new(max_message: usize, count: usize) -> (Self, mpsc::Receiver<Line>) {
        let (lines, receiver) = mpsc::channel(count);
        (Self { lines, held: Arc::default(), max_message }, receiver)
    }

    /// The largest message that may come, in bytes.
    pub(super) fn max_message(&self) -> usize {
        self.max_message
    }

    pub(super) async fn pass(&self, frame: Frame) -> Result<(), Gone> {
        self.lines.send(Line::Message(frame)).await.map_err(|_| Gone)
    }

    /// Answers a request in the server's place.
    pub(super) async fn fail(&self, id: &RequestId, server: &str, fault: &Fault) {
        let text = format!("the remote server {server} {fault}");
        let _ = self.pass(error_frame(id, Code::Internal, &text)).await;
    }

    pub(super) fn share(&self) -> Share {
        Share { inbound: self.clone(), bytes: 0 }
    }
}

impl Share {
    /// Holds so many bytes from now on.
    ///
    /// # Errors
    /// If that is too much for one message, or together with the others.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), Fault> {
        let max = self.inbound.max_message;
        let before = self.inbound.held.fetch_add(bytes, Ordering::Relaxed);
        let all = (before + bytes).saturating_sub(self.bytes);
        self.inbound.held.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
        match bytes {
            _ if bytes > max => Err(Fault::TooLong(max)),
            _ if all > max.saturating_mul(LARGEST) => Err(Fault::Crowded),
            _ => Ok(()),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.inbound.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
