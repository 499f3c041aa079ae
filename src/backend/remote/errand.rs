//! One message to a remote server over Streamable HTTP, and all that comes of it.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Response, StatusCode};
use tokio::time::{sleep, timeout};

use super::client::Lane;
use super::destination::Destination;
use super::fault::Fault;
use super::inbound::Arrived;
use super::reply::{self, Events, Form, Refusal};
use super::request::{Head, Peer, SESSION_ID};
use crate::mcp::{self, Frame, Kind, Method, RequestId, agreed_revision};

/// A message, and where it goes.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) peer: Arc<Peer>,
    pub(super) url: Arc<Destination>,
    pub(super) head: Head,
    pub(super) frame: Frame,
}

/// What became of it, for whoever sent it. Answers have gone to the session already.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It was taken, or answered in some way.
    Taken,
    /// It came to nothing, which was told.
    Failed,
    /// It came to nothing, and without it there is nothing to go on with.
    Futile(Fault),
    /// `initialize` was accepted, on these terms.
    Begun(Head),
    /// The server knows the session no more, and has not looked at the message.
    Forgotten(Frame),
    /// The server takes no such message at this address.
    NotTaken(Frame, Box<Refusal>),
}

/// How long a message may take to be taken that is not answered.
pub(super) const TAKEN: Duration = Duration::from_secs(10);
/// How often a stream is taken up again that brings nothing.
const RETRIES: u32 = 3;
/// How often the pause before that doubles.
const MAX_DOUBLINGS: u32 = 6;

/// Sends `initialize` once more for a client whose first the server has forgotten. What comes of it is the client's
/// no more.
pub(super) async fn begin(peer: Arc<Peer>, url: Arc<Destination>, initialize: &Frame) -> Result<Head, Fault> {
    let (_, id) = mcp::initialize("");
    let frame = initialize.addressed_to(&id);
    let errand = Errand { peer: peer.clone(), url: url.clone(), head: Head::default(), frame };
    let head = match within(Some(peer.start()), errand.call(&id)).await? {
        Outcome::Begun(head) => head,
        Outcome::NotTaken(_, refusal) => return Err(refusal.fault),
        _ => return Err(Fault::Refusing),
    };
    let errand = Errand { peer, url, head: head.clone(), frame: mcp::initialized() };
    // One that is not taken is a warning, as from any client.
    errand.run().await;
    Ok(head)
}

/// What comes of it within this time.
pub(super) async fn within<T>(
    limit: Option<Duration>,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    match limit {
        Some(limit) => timeout(limit, work).await.unwrap_or(Err(Fault::Late)),
        None => work.await,
    }
}

impl Errand {
    pub(super) async fn run(self) -> Outcome {
        let outcome = match self.frame.kind() {
            Kind::Request(id, Method::Listen) => self.subscribe(id).await,
            Kind::Request(id, _) => within(self.peer.patience(), self.call(id)).await,
            Kind::Notification(_) | Kind::Response(_) => within(Some(TAKEN), self.tell()).await,
        };
        match outcome {
            Ok(outcome) => outcome,
            // An error in the server's place would be taken for a word of its own.
            Err(fault) if mcp::is_probe(&self.frame) => Outcome::Futile(fault),
            Err(fault) => {
                self.peer.fail(&self.frame, &fault).await;
                Outcome::Failed
            }
        }
    }

    async fn call(&self, id: &RequestId) -> Result<Outcome, Fault> {
        let _right = self.peer.calls.right().await;
        self.ask(id, &Lane::new()).await
    }

    /// What is answered when its client wants no more.
    async fn subscribe(&self, id: &RequestId) -> Result<Outcome, Fault> {
        let _right = self.peer.streams.try_right().ok_or(Fault::Crowded)?;
        self.ask(id, &Lane::own()).await
    }

    /// A notification, or an answer of the client.
    async fn tell(&self) -> Result<Outcome, Fault> {
        let _right = self.peer.calls.right().await;
        let lane = Lane::new();
        let response = self.peer.post(&self.url, lane.stay(), &self.head, &self.frame).await?;
        match response.status() {
            status if status.is_success() => Ok(Outcome::Taken),
            StatusCode::NOT_FOUND if self.head.session.is_some() => {
                Ok(Outcome::Forgotten(self.frame.clone()))
            }
            _ => Err(reply::refusal(response).await.fault),
        }
    }

    async fn ask(&self, id: &RequestId, lane: &Lane) -> Result<Outcome, Fault> {
        let response = self.peer.post(&self.url, lane.stay(), &self.head, &self.frame).await?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND && self.head.session.is_some() {
            return Ok(Outcome::Forgotten(self.frame.clone()));
        }
        if !status.is_success() {
            return self.refused(response, id).await;
        }
        let session = response.headers().get(SESSION_ID).cloned();
        // MCP 2025-11-25, transports, session management.
        if session.as_ref().is_some_and(|id| !id.as_bytes().iter().all(u8::is_ascii_graphic)) {
            return Err(Fault::Session);
        }
        let answer = self.answer(response, id).await?;
        if !answer.is_error() {
            self.peer.trouble.is_over();
        }
        if !matches!(self.frame.kind(), Kind::Request(_, Method::Initialize)) || answer.is_error() {
            return Ok(Outcome::Taken);
        }
        let revision = agreed_revision(&answer).and_then(|revision| (*revision).try_into().ok());
        Ok(Outcome::Begun(Head { session, revision }))
    }

    /// A server's own error keeps its words.
    async fn refused(&self, response: Response, id: &RequestId) -> Result<Outcome, Fault> {
        // The statuses by which MCP 2025-11-25 (transports, backwards compatibility) knows an older server.
        let may_be_older = matches!(
            response.status(),
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
        );
        let refusal = reply::refusal(response).await;
        // What was asked is whether it knows how to answer: most statuses say nothing of that.
        if mcp::is_probe(&self.frame) && refusal.error(id).is_none() && !may_be_older {
            return Err(refusal.fault);
        }
        if may_be_older && !refusal.answers(id) {
            return Ok(Outcome::NotTaken(self.frame.clone(), Box::new(refusal)));
        }
        self.peer.refuse(&self.frame, refusal).await;
        Ok(Outcome::Failed)
    }

    /// Takes everything that comes to the session, up to the answer.
    async fn answer(&self, response: Response, id: &RequestId) -> Result<Frame, Fault> {
        match Form::of(&response) {
            _ if response.status() == StatusCode::ACCEPTED => Err(Fault::NoReply(response.status())),
            Form::Json => {
                let arrived = reply::json(&self.peer, response).await?;
                self.take(arrived, id).await.ok_or(Fault::Unanswered)
            }
            Form::Events => self.answer_among(response, id).await,
            Form::Other(kind) => Err(Fault::Form(kind)),
        }
    }

    /// A stream that ends before the answer is taken up where it broke off, if the server offers that.
    async fn answer_among(&self, response: Response, id: &RequestId) -> Result<Frame, Fault> {
        let mut events = Events::new(&self.peer, response);
        let (mut tries, mut resumed) = (0, 0);
        loop {
            match events.next().await {
                Ok(Some(arrived)) => {
                    tries = 0;
                    if let Some(answer) = self.take(arrived, id).await {
                        return Ok(answer);
                    }
                }
                Ok(None) | Err(Fault::Broken) => {
                    let last = events.last_id().filter(|_| tries < RETRIES).map(str::to_owned);
                    let last = last.ok_or(Fault::Unanswered)?;
                    sleep(events.retry() * 2u32.pow(MAX_DOUBLINGS.min(resumed))).await;
                    (tries, resumed) = (tries + 1, resumed + 1);
                    match self.peer.listen(&self.url, &self.head, Some(&last)).await {
                        Ok(response)
                            if response.status().is_success() && Form::of(&response) == Form::Events =>
                        {
                            events = events.take_up(response);
                        }
                        Ok(_) => return Err(Fault::Unanswered),
                        // The server may be there again at the next attempt.
                        Err(_) => {}
                    }
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Hands messages to the session, up to the answer. An answer to anything but this request is none of anybody's.
    async fn take(&self, arrived: Arrived, id: &RequestId) -> Option<Frame> {
        let mut answer = None;
        let wanted = |frame: &Frame| match frame.kind() {
            Kind::Response(Some(own)) if own == id && answer.is_none() => {
                self.peer.learn(&self.frame, frame);
                answer = Some(frame.clone());
                true
            }
            Kind::Response(_) => false,
            Kind::Request(..) | Kind::Notification(_) => answer.is_none(),
        };
        let _ = arrived.pass(wanted).await;
        answer
    }
}
