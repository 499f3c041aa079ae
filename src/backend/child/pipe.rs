//! The two directions of a child's stdio.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::net::unix::pipe;
use tokio_util::io::poll_read_buf;

use super::super::backlog::Backlog;
use super::super::link::Sent;
use super::framer::{Framer, Line};
use crate::catalog::Launch;

/// Its stdin.
#[derive(Clone, Debug)]
pub(in crate::backend) struct Stdin(Arc<pipe::Sender>);

/// Its stdout.
#[derive(Debug)]
pub(in crate::backend) struct Stdout {
    stdout: pipe::Receiver,
    framer: Framer,
    ended: bool,
    /// What the command was found to need, until its first output shows that it runs with that.
    unproven: Option<(Launch, Arc<[PathBuf]>)>,
}

/// Buffers for one `writev`.
const MAX_SLICES: usize = 64;

// === impl Stdin ===

impl Stdin {
    pub(in crate::backend) fn new(stdin: pipe::Sender) -> Self {
        Self(Arc::new(stdin))
    }

    /// Writes as much as the pipe takes without waiting.
    pub(in crate::backend) fn send(&self, backlog: &mut Backlog) -> Sent {
        while !backlog.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let pieces = slices.iter_mut().zip(backlog.pieces());
            let count = pieces.map(|(slice, piece)| *slice = IoSlice::new(piece)).count();
            match self.0.try_write_vectored(&slices[..count]) {
                Ok(written) => backlog.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Sent::Some,
                Err(_) => return Sent::Closed,
            }
        }
        Sent::All
    }

    /// Resolves once the pipe takes more.
    pub(in crate::backend) async fn ready(&self) {
        // An error shows at the next `send`.
        let _ = self.0.writable().await;
    }
}

// === impl Stdout ===

impl Stdout {
    pub(in crate::backend) fn new(
        stdout: pipe::Receiver,
        max_line: usize,
        unproven: Option<(Launch, Arc<[PathBuf]>)>,
    ) -> Self {
        Self { stdout, framer: Framer::new(max_line), ended: false, unproven }
    }

    /// Reads once. Comes back when something was read, or at the end of the file.
    pub(in crate::backend) async fn read(&mut self) {
        poll_fn(|cx| self.poll_read(cx)).await;
    }

    /// Reads once without waiting. Says whether anything came.
    pub(in crate::backend) fn try_read(&mut self) -> bool {
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
    pub(in crate::backend) fn next_line(&mut self) -> Option<Line> {
        self.framer.next_line()
    }

    /// Whether it was closed.
    pub(in crate::backend) fn has_ended(&self) -> bool {
        self.ended
    }
}
