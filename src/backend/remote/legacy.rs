//! HTTP with SSE (MCP 2024-11-05): one stream brings everything, beginning with where messages go.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use tokio::time::timeout;

use super::destination::Destination;
use super::errand::Outcome;
use super::fault::Fault;
use super::reply::{self, Events, Form};
use super::request::{Head, Peer};
use crate::mcp::{EventName, Frame};

/// How long the server may take to say where messages go.
const ENDPOINT: Duration = Duration::from_secs(10);
/// How long it may take to take a message.
const TAKEN: Duration = Duration::from_secs(10);

/// The stream of a session, and where its messages go.
pub(super) struct Stream {
    pub(super) endpoint: Arc<Destination>,
    events: Events,
}

/// Opens a session.
pub(super) async fn open(peer: &Arc<Peer>) -> Result<Stream, Fault> {
    let url = peer.destination();
    let response = peer.listen(url, &Head::default(), None).await?;
    if !response.status().is_success() {
        return Err(reply::refusal(response).await.fault);
    }
    match Form::of(&response) {
        Form::Events => {}
        Form::Json => return Err(Fault::Form("JSON".into())),
        Form::Other(kind) => return Err(Fault::Form(kind)),
    }
    let mut events = Events::new(peer, response);
    let endpoint = async {
        while let Some(event) = events.next_event().await? {
            if event.name == EventName::Endpoint {
                let named =
                    std::str::from_utf8(&event.data).ok().and_then(|text| url.named(text.trim()).ok());
                // A stream need not repeat in it what it was opened with.
                let told = |to: Destination| peer.endpoint().query().fold(to, |to, (n, v)| to.with(n, v));
                return named.map(told).map(Arc::new).ok_or(Fault::NoEndpoint);
            }
        }
        Err(Fault::NoEndpoint)
    };
    let endpoint = timeout(ENDPOINT, endpoint).await.unwrap_or(Err(Fault::NoEndpoint))?;
    Ok(Stream { endpoint, events })
}

impl Stream {
    /// Takes everything that comes to the session, until there is no more of it. Why there is not.
    pub(super) async fn read(mut self, peer: Arc<Peer>) -> Fault {
        loop {
            match self.events.next().await {
                Ok(Some(frames)) => {
                    for frame in frames {
                        if peer.inbound.pass(frame).await.is_err() {
                            return Fault::Ended;
                        }
                    }
                }
                Ok(None) => return Fault::Ended,
                Err(fault) => return fault,
            }
        }
    }
}

/// Sends one message; what it is answered with comes on the stream.
pub(super) async fn send(peer: &Peer, endpoint: &Destination, frame: &Frame) -> Outcome {
    let posting = async {
        let response = peer.post(endpoint, &Head::default(), frame).await?;
        match response.status() {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND => Err(Fault::Forgotten),
            _ => Err(reply::refusal(response).await.fault),
        }
    };
    match timeout(TAKEN, posting).await.unwrap_or(Err(Fault::Late)) {
        Ok(()) => Outcome::Taken,
        Err(fault) => {
            peer.fail(frame, &fault).await;
            Outcome::Failed
        }
    }
}
