//! What a remote server sends back: one JSON document, or events.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use reqwest::{Response, StatusCode};
use tokio::time::timeout;

use super::fault::Fault;
use super::inbound::{Arrived, Share};
use super::request::Peer;
use super::unreachable::Unreachable;
use crate::mcp::{Event, EventName, EventStream, Frame, Kind, RequestId};

/// The forms of MCP that a reply can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Events,
    /// None of them; what it says it is.
    Other(String),
}

/// What a server says that does not take a message.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) fault: Fault,
    /// A JSON-RPC error of its own.
    error: Option<Frame>,
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
/// How long it may take to come.
const REFUSES: Duration = Duration::from_secs(5);
/// How long a server is left alone that does not say how long, at least, and at most.
const RETRY: Duration = Duration::from_secs(1);
const MIN_RETRY: Duration = Duration::from_millis(100);
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
pub(super) async fn json(peer: &Peer, response: Response) -> Result<Arrived, Fault> {
    let mut share = peer.inbound.share();
    let body = gather(response, peer.inbound.max_message(), Some(&mut share)).await;
    let frames = messages(body.map_err(|cut| cut.told_to(peer))?);
    if frames.is_empty() { Err(Fault::Malformed) } else { Ok(Arrived::new(frames, share)) }
}

/// Reads what a response says whose status is not success.
pub(super) async fn refusal(response: Response) -> Refusal {
    let status = response.status();
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        // What it says of our credential is none of the client's, who has sent another.
        return Refusal { fault: Fault::Credential(status), error: None };
    }
    let text = timeout(REFUSES, gather(response, MAX_REFUSAL, None)).await;
    let error = text.ok().and_then(Result::ok).and_then(|text| Frame::parse(text).ok());
    Refusal { fault: Fault::Status(status), error: error.filter(Frame::is_error) }
}

/// Why a body has not come whole.
enum Cut {
    Fault(Fault),
    Broken(Unreachable),
}

impl Cut {
    fn told_to(self, peer: &Peer) -> Fault {
        match self {
            Self::Fault(fault) => fault,
            Self::Broken(reason) => peer.tell(&reason),
        }
    }
}

/// A whole body of at most `max` bytes, held by `share` if it may be large. One that comes in one piece is not copied.
async fn gather(mut response: Response, max: usize, mut share: Option<&mut Share>) -> Result<Bytes, Cut> {
    let announced =
        response.content_length().map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
    if announced > max {
        return Err(Cut::Fault(Fault::TooLong(max)));
    }
    let mut first = Bytes::new();
    let mut gathered = BytesMut::new();
    loop {
        let chunk = match &share {
            Some(share) => share.next(async { Ok(response.chunk().await) }).await.map_err(Cut::Fault)?,
            None => response.chunk().await,
        };
        let Some(piece) = chunk.map_err(|error| Cut::Broken(Unreachable::of(&error)))? else { break };
        let length = first.len() + gathered.len() + piece.len();
        if length > max {
            return Err(Cut::Fault(Fault::TooLong(max)));
        }
        if let Some(share) = &mut share {
            share.hold(length).await.map_err(Cut::Fault)?;
        }
        if first.is_empty() && gathered.is_empty() {
            first = piece;
        } else {
            gathered.reserve(announced.saturating_sub(gathered.len()));
            gathered.extend_from_slice(&std::mem::take(&mut first));
            gathered.extend_from_slice(&piece);
        }
    }
    Ok(if gathered.is_empty() { first } else { gathered.freeze() })
}

impl Refusal {
    /// Whether the server names the request that it refuses.
    pub(super) fn answers(&self, id: &RequestId) -> bool {
        let own = self.error.as_ref().map(Frame::kind);
        matches!(own, Some(Kind::Response(Some(own))) if own == id)
    }

    /// Whether the server has said anything of its own.
    pub(super) fn has_words(&self) -> bool {
        self.error.is_some()
    }

    /// The server's own error, if it is about this request or about none.
    pub(super) fn error(&self, id: &RequestId) -> Option<Frame> {
        let is_other = matches!(self.error.as_ref()?.kind(), Kind::Response(Some(own)) if own != id);
        self.error.as_ref().filter(|_| !is_other).map(|error| error.addressed_to(id))
    }
}

impl Events {
    pub(super) fn new(peer: &Arc<Peer>, response: Response) -> Self {
        let stream = EventStream::new(peer.inbound.max_message());
        Self { peer: peer.clone(), response, stream, share: peer.inbound.share(), since: None }
    }

    /// The messages of the next event that holds some; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Arrived>, Fault> {
        while let Some(event) = self.next_event().await? {
            if event.name == EventName::Message {
                let frames = messages(event.data);
                if !frames.is_empty() {
                    let share = std::mem::replace(&mut self.share, self.peer.inbound.share());
                    return Ok(Some(Arrived::new(frames, share)));
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
            self.share.hold(self.stream.held()).await?;
            let response = &mut self.response;
            let chunk = self.share.next(async { Ok(response.chunk().await) }).await?;
            match chunk.map_err(|error| self.peer.tell(&Unreachable::of(&error)))? {
                Some(piece) => self.stream.feed(piece),
                None => return Ok(None),
            }
        }
    }

    /// After which event the stream can be taken up, if the server offers that by an id that can be sent back.
    pub(super) fn last_id(&self) -> Option<&str> {
        let last = self.stream.last_id().or(self.since.as_deref());
        last.filter(|id| HeaderValue::from_str(id).is_ok())
    }

    /// Goes on with this.
    pub(super) fn take_up(self, response: Response) -> Self {
        let since = self.last_id().map(str::to_owned);
        Self { since, ..Self::new(&self.peer, response) }
    }

    /// How long the server wants us to wait before that.
    pub(super) fn retry(&self) -> Duration {
        self.stream.retry_ms().map_or(RETRY, Duration::from_millis).clamp(MIN_RETRY, MAX_RETRY)
    }
}

/// The messages of a text. What is none is skipped, as on a child's stdout.
fn messages(text: Bytes) -> Vec<Frame> {
    Frame::read_all(text)
}
