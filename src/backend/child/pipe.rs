//! The two directions of a child's stdio.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::net::unix::pipe;
use tokio_util::io::poll_read_buf;

use super::framer::{Framer, Line};
use crate::catalog::Launch;

/// Messages towards the backend.
#[derive(Clone, Debug)]
pub struct Outlet(Arc<pipe::Sender>);

/// How far a queue of messages got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// All of it was handed over.
    All,
    /// The backend is not taking more now; wait for [`Outlet::ready`].
    Some,
    /// The backend takes nothing any more.
    Closed,
}

/// Messages from the backend.
#[derive(Debug)]
pub struct Inlet {
    stdout: pipe::Receiver,
    framer: Framer,
    ended: bool,
    /// What the command was found to need, until its first output shows that it runs with that.
    unproven: Option<(Launch, Arc<[PathBuf]>)>,
}

/// Buffers for one `writev`.
const MAX_SLICES: usize = 64;

// === impl Outlet ===

impl Outlet {
    pub(in crate::backend) fn new(stdin: pipe::Sender) -> Self {
        Self(Arc::new(stdin))
    }

    /// Hands over as much as the backend takes without waiting. Callable from any thread; the caller makes
    /// sure that it is one at a time. Every piece must end with its line break.
    pub fn send(&self, queue: &mut VecDeque<Bytes>) -> Sent {
        while !queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count =
                slices.iter_mut().zip(&*queue).map(|(slice, bytes)| *slice = IoSlice::new(bytes)).count();
            match self.0.try_write_vectored(&slices[..count]) {
                Ok(written) => advance(queue, written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Sent::Some,
                Err(_) => return Sent::Closed,
            }
        }
        Sent::All
    }

    /// Resolves once the backend takes more.
    pub async fn ready(&self) {
        // An error shows at the next `send`.
        let _ = self.0.writable().await;
    }
}

fn advance(queue: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(first) = queue.front_mut() {
        if written < first.len() {
            first.advance(written);
            return;
        }
        written -= first.len();
        queue.pop_front();
    }
}

// === impl Inlet ===

impl Inlet {
    pub(in crate::backend) fn new(
        stdout: pipe::Receiver,
        max_line: usize,
        unproven: Option<(Launch, Arc<[PathBuf]>)>,
    ) -> Self {
        Self { stdout, framer: Framer::new(max_line), ended: false, unproven }
    }

    /// Reads once. Comes back when something was read, or at the end of the file, which
    /// [`Inlet::has_ended`] tells. Nothing is lost if it is not waited for to the end.
    pub async fn read(&mut self) {
        poll_fn(|cx| self.poll_read(cx)).await;
    }

    /// Reads once without waiting. Says whether anything came.
    pub fn try_read(&mut self) -> bool {
        let read = self.stdout.try_read_buf(self.framer.space());
        self.note(&read);
        matches!(read, Ok(1..))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match poll_read_buf(Pin::new(&mut self.stdout), cx, self.framer.space()) {
            Poll::Ready(read) => {
                self.note(&read);
                Poll::Ready(())
            }
            Poll::Pending => {
                self.framer.rest();
                Poll::Pending
            }
        }
    }

    fn note(&mut self, read: &io::Result<usize>) {
        match read {
            Ok(1..) => {
                if let Some((plan, needed)) = self.unproven.take() {
                    plan.runs_with(needed);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.framer.rest(),
            Ok(0) | Err(_) => self.ended = true,
        }
    }

    /// The next complete line of what was read.
    pub fn next_line(&mut self) -> Option<Line> {
        self.framer.next_line()
    }

    /// Whether the backend has closed its output.
    pub fn has_ended(&self) -> bool {
        self.ended
    }
}
