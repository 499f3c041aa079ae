//! What a remote server sends back: one JSON document, or events.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use reqwest::{Response, StatusCode};

use super::fault::Fault;
use super::inbound::Share;
use super::request::Peer;
use super::unreachable::Unreachable;
use crate::mcp::{Event, EventName, EventStream, Frame, Malformed};

/// The forms of MCP that a reply can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Events,
    /// None of them; what it says it is.
    Other(String),
}

/// A stream of events that is being read.
pub(super) struct Events {
    peer: Arc<Peer>,
    response: Response,
    stream: EventStream,
    share: Share,
    /// After which event it was taken up.
    since: Option<String>,
}

/// How much of a refusal is read.
const MAX_REFUSAL: usize = 64 << 10;
/// How long a server is left alone that does not say how long, and at most.
const RETRY: Duration = Duration::from_secs(1);
const MAX_RETRY: Duration = Duration::from_secs(30);

impl Form {
    pub(super) fn of(response: &Response) -> Self {
        let value = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind =
            value.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/json" => Self::Json,
            "text/event-stream" => Self::Events,
            "" => Self::Other("something without a type".into()),
            _ => Self::Other(kind.chars().take(64).collect()),
        }
    }
}

/// The messages of a JSON document.
pub(super) async fn json(peer: &Peer, response: Response) -> Result<Vec<Frame>, Fault> {
    let mut share = peer.inbound.share();
    let bytes = body(peer, response, &mut share).await?;
    match Frame::parse(bytes.clone()) {
        Ok(frame) => Ok(vec![frame]),
        Err(Malformed::Batch) => {
            Ok(Frame::parse_all(bytes).unwrap_or_default().into_iter().filter_map(Result::ok).collect())
        }
        Err(_) => Err(Fault::Malformed),
    }
}

async fn body(peer: &Peer, mut response: Response, share: &mut Share) -> Result<Bytes, Fault> {
    let max = peer.inbound.max_message();
    if response.content_length().is_some_and(|length| length > max as u64) {
        return Err(Fault::TooLong(max));
    }
    let Some(whole) = response.chunk().await.map_err(|error| peer.tell(&Unreachable::of(&error)))? else {
        return Ok(Bytes::new());
    };
    share.hold(whole.len())?;
    // One that comes in one piece is not copied.
    let Some(second) = response.chunk().await.map_err(|error| peer.tell(&Unreachable::of(&error)))? else {
        return Ok(whole);
    };
    let mut gathered = BytesMut::from(whole);
    gathered.extend_from_slice(&second);
    share.hold(gathered.len())?;
    while let Some(piece) = response.chunk().await.map_err(|error| peer.tell(&Unreachable::of(&error)))? {
        share.hold(gathered.len() + piece.len())?;
        gathered.extend_from_slice(&piece);
    }
    Ok(gathered.freeze())
}

/// What a response says that is none of success: a JSON-RPC error of the server's own, if it holds one.
pub(super) async fn refusal(mut response: Response) -> (Fault, Option<Frame>) {
    let status = response.status();
    let fault = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Fault::Credential(status),
        status => Fault::Status(status),
    };
    let mut text = BytesMut::new();
    while text.len() <= MAX_REFUSAL {
        match response.chunk().await {
            Ok(Some(piece)) => text.extend_from_slice(&piece),
            Ok(None) => {
                let error = Frame::parse(text.freeze()).ok().filter(Frame::is_error);
                return (fault, error);
            }
            Err(_) => break,
        }
    }
    (fault, None)
}

impl Events {
    pub(super) fn new(peer: &Arc<Peer>, response: Response) -> Self {
        let stream = EventStream::new(peer.inbound.max_message());
        Self { peer: peer.clone(), response, stream, share: peer.inbound.share(), since: None }
    }

    /// The messages of the next event that holds some; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Frame>>, Fault> {
        while let Some(event) = self.next_event().await? {
            if event.name == EventName::Message {
                let frames = messages(event.data);
                if !frames.is_empty() {
                    return Ok(Some(frames));
                }
            }
        }
        Ok(None)
    }

    /// The next event of any kind; `None` at the end.
    pub(super) async fn next_event(&mut self) -> Result<Option<Event>, Fault> {
        loop {
            let event = self.stream.next_event();
            if let Some(event) = event.map_err(|long| Fault::TooLong(long.0))? {
                return Ok(Some(event));
            }
            self.share.hold(self.stream.held())?;
            match self.response.chunk().await.map_err(|error| self.peer.tell(&Unreachable::of(&error)))? {
                Some(piece) => self.stream.feed(piece),
                None => return Ok(None),
            }
        }
    }

    /// After which event the stream can be taken up, if the server offers that.
    pub(super) fn last_id(&self) -> Option<&str> {
        self.stream.last_id().or(self.since.as_deref())
    }

    /// Goes on with this.
    pub(super) fn take_up(self, response: Response) -> Self {
        let since = self.last_id().map(str::to_owned);
        Self { since, ..Self::new(&self.peer, response) }
    }

    /// How long the server wants us to wait before that.
    pub(super) fn retry(&self) -> Duration {
        self.stream.retry_ms().map_or(RETRY, Duration::from_millis).min(MAX_RETRY)
    }
}

/// What is no message is skipped, as on a child's stdout. Bytes of its own, so that a message does not keep what came
/// with it.
fn messages(data: Bytes) -> Vec<Frame> {
    match Frame::parse(data.clone()) {
        Ok(frame) => vec![frame],
        Err(Malformed::Batch) => {
            Frame::parse_all(data).unwrap_or_default().into_iter().filter_map(Result::ok).collect()
        }
        Err(Malformed::NotJson(_)) if std::str::from_utf8(&data).is_err() => {
            Frame::parse(String::from_utf8_lossy(&data).into_owned().into()).into_iter().collect()
        }
        Err(_) => Vec::new(),
    }
}
