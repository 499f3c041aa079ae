//! The two directions of a child's stdio.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::net::unix::pipe;

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
            let slices: Vec<IoSlice<'_>> = queue.iter().take(MAX_SLICES).map(|b| IoSlice::new(b)).collect();
            match self.0.try_write_vectored(&slices) {
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

    /// Resolves once there may be something to read, or the end.
    pub async fn ready(&self) {
        // An error shows at the next `read`.
        let _ = self.stdout.readable().await;
    }

    /// Reads once without waiting. Says whether anything came; nothing does at the end of the file, which
    /// [`Inlet::has_ended`] then tells.
    pub fn read(&mut self) -> bool {
        match self.stdout.try_read_buf(self.framer.space()) {
            Ok(0) => self.ended = true,
            Ok(_) => {
                if let Some((plan, needed)) = self.unproven.take() {
                    plan.runs_with(needed);
                }
                return true;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.ended = true,
        }
        false
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
