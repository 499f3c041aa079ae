//! What a session talks to its backend by, whatever that is.

use std::time::Duration;

use super::backlog::Backlog;
use super::child::{self, Exit, Line, Stdin, Stdout};
use super::remote;

/// A backend that runs or can be reached.
#[derive(Debug)]
pub struct Link {
    /// Messages towards the backend.
    pub outlet: Outlet,
    /// Messages from the backend.
    pub inlet: Inlet,
    /// Until when, and how it ended.
    pub life: Life,
}

/// Messages towards the backend.
#[derive(Clone, Debug)]
pub struct Outlet(Out);

#[derive(Clone, Debug)]
enum Out {
    Child(Stdin),
    Remote(remote::Outlet),
}

/// Messages from the backend.
#[derive(Debug)]
pub struct Inlet(In);

#[derive(Debug)]
enum In {
    Child(Stdout),
    Remote(remote::Inlet),
}

/// The life of a backend. Call [`Life::stop`] in the end; dropping it ends the backend at once, for the case of a
/// panic or a cancelled start.
#[derive(Debug)]
pub struct Life(Being);

#[derive(Debug)]
enum Being {
    Child(Box<child::Process>),
    Remote(remote::Life),
}

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

impl Link {
    pub(super) fn to_child(process: child::Process, stdin: Stdin, stdout: Stdout) -> Self {
        Self {
            outlet: Outlet(Out::Child(stdin)),
            inlet: Inlet(In::Child(stdout)),
            life: Life(Being::Child(Box::new(process))),
        }
    }

    pub(super) fn to_remote(outlet: remote::Outlet, inlet: remote::Inlet, life: remote::Life) -> Self {
        Self {
            outlet: Outlet(Out::Remote(outlet)),
            inlet: Inlet(In::Remote(inlet)),
            life: Life(Being::Remote(life)),
        }
    }
}

impl Outlet {
    /// Hands over as much as the backend takes without waiting. Callable from any thread; the caller makes
    /// sure that it is one at a time.
    pub fn send(&self, backlog: &mut Backlog) -> Sent {
        match &self.0 {
            Out::Child(stdin) => stdin.send(backlog),
            Out::Remote(remote) => remote.send(backlog),
        }
    }

    /// Resolves once the backend takes more.
    pub async fn ready(&self) {
        match &self.0 {
            Out::Child(stdin) => stdin.ready().await,
            Out::Remote(remote) => remote.ready().await,
        }
    }
}

impl Inlet {
    /// Reads once. Comes back when something was read, or at the end, which [`Inlet::has_ended`] tells. Nothing is
    /// lost if it is not waited for to the end.
    pub async fn read(&mut self) {
        match &mut self.0 {
            In::Child(stdout) => stdout.read().await,
            In::Remote(remote) => remote.read().await,
        }
    }

    /// Reads once without waiting. Says whether anything came.
    pub fn try_read(&mut self) -> bool {
        match &mut self.0 {
            In::Child(stdout) => stdout.try_read(),
            In::Remote(remote) => remote.try_read(),
        }
    }

    /// The next complete message of what was read.
    pub fn next_line(&mut self) -> Option<Line> {
        match &mut self.0 {
            In::Child(stdout) => stdout.next_line(),
            In::Remote(remote) => remote.next_line(),
        }
    }

    /// Whether the backend has closed its output.
    pub fn has_ended(&self) -> bool {
        match &self.0 {
            In::Child(stdout) => stdout.has_ended(),
            In::Remote(remote) => remote.has_ended(),
        }
    }
}

impl Life {
    /// Resolves once the backend has ended. What a child leaves is still ours then.
    pub async fn exited(&self) -> Exit {
        match &self.0 {
            Being::Child(process) => process.exited().await,
            Being::Remote(life) => life.ended().await,
        }
    }

    /// Waits a moment for what a backend that has ended said last. To be called once.
    pub async fn hear_out(&mut self) {
        if let Being::Child(process) = &mut self.0 {
            process.hear_out().await;
        }
    }

    /// The last that it said, or what is known of its end.
    pub fn last_words(&self, conceal: impl Fn(&str) -> String) -> Option<String> {
        match &self.0 {
            Being::Child(process) => process.last_words(conceal),
            Being::Remote(life) => life.last_words(),
        }
    }

    /// Why a remote server could not be used, in words for the operator; `None` of a child.
    pub fn trouble(&self) -> Option<String> {
        match &self.0 {
            Being::Child(_) => None,
            Being::Remote(life) => life.trouble(),
        }
    }

    /// The last lines that it wrote to stderr, oldest first; none of a remote server.
    pub fn last_lines(&self, conceal: impl Fn(&str) -> String) -> Vec<String> {
        match &self.0 {
            Being::Child(process) => process.last_lines(conceal),
            Being::Remote(_) => Vec::new(),
        }
    }

    /// The number of its first process; `None` for a remote server.
    pub fn process(&self) -> Option<u32> {
        match &self.0 {
            Being::Child(process) => Some(process.number()),
            Being::Remote(_) => None,
        }
    }

    /// Ends it and everything that belongs to it. The caller has dropped what it says and hears by. A child has
    /// `eof` to end by itself and `term` after SIGTERM; a remote server has both to take leave.
    pub async fn stop(self, eof: Duration, term: Duration) -> Exit {
        match self.0 {
            Being::Child(process) => process.stop(eof, term).await,
            Being::Remote(life) => life.stop(eof + term).await,
        }
    }
}
