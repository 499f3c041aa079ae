//! The way of a remote server's messages to the session: bounded in number and in bytes.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use super::fault::Fault;
use crate::mcp::{Code, Frame, Kind, Method, RequestId, cancelled, error_frame};

/// Takes messages to the session. Clones lead to the same.
#[derive(Clone, Debug)]
pub(super) struct Inbound {
    messages: mpsc::Sender<Message>,
    /// The right to hold what is large.
    large: Arc<Semaphore>,
    /// What the server has asked the client, and heard no answer to.
    questions: Arc<Mutex<HashSet<RequestId>>>,
    max_message: usize,
}

/// A message, and what it has to hold until the session takes it.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) frame: Frame,
    _large: Option<OwnedSemaphorePermit>,
}

/// The bytes that one reply holds while it is read.
#[derive(Debug)]
pub(super) struct Share {
    inbound: Inbound,
    large: Option<OwnedSemaphorePermit>,
}

/// Messages that came together, and what they are held by.
#[derive(Debug)]
pub(super) struct Arrived {
    frames: Vec<Frame>,
    share: Share,
}

/// The session takes no more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone;

/// A reply of no more than this is held without further ado, in bytes: requests are few enough for that.
const SMALL: usize = 64 << 10;
/// So many larger ones are held at once in one session, from their beginning until the session has taken them. Others
/// wait, and their servers with them.
const LARGE: usize = 2;
/// How long one of those may wait for the server's next bytes, so that it does not keep others waiting for ever.
const NEXT: Duration = Duration::from_secs(30);
/// Questions to the client that are remembered.
const MAX_QUESTIONS: usize = 1024;

impl Inbound {
    pub(super) fn new(max_message: usize, count: usize) -> (Self, mpsc::Receiver<Message>) {
        let (messages, receiver) = mpsc::channel(count);
        let large = Arc::new(Semaphore::new(LARGE));
        (Self { messages, large, questions: Arc::default(), max_message }, receiver)
    }

    /// The largest message that may come, in bytes.
    pub(super) fn max_message(&self) -> usize {
        self.max_message
    }

    /// Takes one message, which needs nothing to hold it.
    pub(super) async fn pass(&self, frame: Frame) -> Result<(), Gone> {
        self.take(frame, None).await
    }

    async fn take(&self, frame: Frame, large: Option<OwnedSemaphorePermit>) -> Result<(), Gone> {
        match frame.kind() {
            Kind::Request(id, _) => {
                let mut questions = self.questions();
                if questions.len() < MAX_QUESTIONS {
                    questions.insert(id.clone());
                }
            }
            Kind::Notification(Method::Cancelled(Some(id))) => drop(self.questions().remove(id)),
            _ => {}
        }
        self.messages.send(Message { frame, _large: large }).await.map_err(|_| Gone)
    }

    /// The client has answered what the server asked.
    pub(super) fn answered(&self, id: &RequestId) {
        self.questions().remove(id);
    }

    /// The server has forgotten what it asked: its next questions may have the same ids, and no late answer must be
    /// taken for one to them.
    pub(super) async fn forget_questions(&self) {
        let asked: Vec<RequestId> = self.questions().drain().collect();
        for id in asked {
            let _ = self.pass(cancelled(&id, "the server has ended the session")).await;
        }
    }

    /// Answers a request in the server's place.
    pub(super) async fn fail(&self, id: &RequestId, server: &str, fault: &Fault) {
        let text = format!("the remote server {server} {fault}");
        let _ = self.pass(error_frame(id, Code::Internal, &text)).await;
    }

    pub(super) fn share(&self) -> Share {
        Share { inbound: self.clone(), large: None }
    }

    fn questions(&self) -> MutexGuard<'_, HashSet<RequestId>> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Waits until so many bytes of one message may be held.
    ///
    /// # Errors
    /// If that is too much for one.
    pub(super) async fn hold(&mut self, bytes: usize) -> Result<(), Fault> {
        if bytes > self.inbound.max_message {
            return Err(Fault::TooLong(self.inbound.max_message));
        }
        if bytes > SMALL && self.large.is_none() {
            self.large = self.inbound.large.clone().acquire_owned().await.ok();
        }
        Ok(())
    }

    /// Waits for the next bytes of the server: while it holds much, no longer than others can wait.
    pub(super) async fn next<T>(&self, bytes: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        match self.large {
            Some(_) => timeout(NEXT, bytes).await.unwrap_or(Err(Fault::Late)),
            None => bytes.await,
        }
    }
}

impl Arrived {
    pub(super) fn new(frames: Vec<Frame>, share: Share) -> Self {
        Self { frames, share }
    }

    /// Takes those that are wanted, in their order. What they are held by goes with the last.
    pub(super) async fn pass(self, mut wanted: impl FnMut(&Frame) -> bool) -> Result<(), Gone> {
        let Self { frames, share: Share { inbound, mut large } } = self;
        let mut frames = frames.into_iter().filter(|frame| wanted(frame)).peekable();
        while let Some(frame) = frames.next() {
            let large = large.take_if(|_| frames.peek().is_none());
            inbound.take(frame, large).await?;
        }
        Ok(())
    }
}
