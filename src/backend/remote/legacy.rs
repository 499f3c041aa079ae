//! HTTP with SSE (MCP 2024-11-05): one stream brings everything, beginning with where messages go.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use tokio::time::timeout;

use super::client::Lane;
use super::destination::Destination;
use super::errand::{Outcome, TAKEN, within};
use super::fault::Fault;
use super::outbound::Right;
use super::reply::{self, Events, Form};
use super::request::{Head, Peer};
use crate::mcp::{EventName, Frame, Kind};

/// How long the server may take to say where messages go.
const ENDPOINT: Duration = Duration::from_secs(10);

/// The stream of a session, and where its messages go.
pub(super) struct Stream {
    pub(super) endpoint: Arc<Destination>,
    events: Events,
    _right: Right,
}

/// Opens a session.
pub(super) async fn open(peer: &Arc<Peer>) -> Result<Stream, Fault> {
    let right = peer.streams.try_right().ok_or(Fault::Crowded)?;
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
    Ok(Stream { endpoint, events, _right: right })
}

impl Stream {
    /// Takes everything that comes to the session, until there is no more of it. Why there is not.
    pub(super) async fn read(mut self) -> Fault {
        loop {
            match self.events.next().await {
                Ok(Some(arrived)) => {
                    if arrived.pass(|_| true).await.is_err() {
                        return Fault::Ended;
                    }
                }
                Ok(None) => return Fault::Ended,
                Err(fault) => return fault,
            }
        }
    }
}

/// Sends one message; what it is answered with comes on the stream. Some servers take a request only once they have
/// answered it there, so that takes as long as the answer may.
pub(super) async fn send(peer: &Peer, endpoint: &Destination, frame: &Frame) -> Outcome {
    let posting = async {
        let _right = peer.calls.right().await;
        let lane = Lane::new();
        let response = peer.post(endpoint, lane.stay(), &Head::default(), frame).await?;
        match response.status() {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND => Err(Fault::Forgotten),
            _ => Err(reply::refusal(response).await.fault),
        }
    };
    let limit = match frame.kind() {
        Kind::Request(..) => peer.patience(),
        Kind::Notification(_) | Kind::Response(_) => Some(TAKEN),
    };
    match within(limit, posting).await {
        Ok(()) => Outcome::Taken,
        Err(fault) => {
            peer.fail(frame, &fault).await;
            Outcome::Failed
        }
    }
}
