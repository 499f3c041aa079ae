//! What is between one session and its remote server: which transport, which session there, what is on the way.
//!
//! ```text
//! Undecided ── a message is answered over Streamable HTTP ──────────▶ Streamable ◀─┐
//!   └── 400, 404 or 405 to it ──▶ the old transport's stream opens ──▶ Legacy      │ initialized anew,
//!                                                                     404 ─────────┘ once for each message
//! ```
//! Requests are on the way together. What must not be overtaken is waited for: `initialize`, notifications. What is
//! called off, and the client's answers, wait for nothing. A message that fails does so alone; only the end of the old
//! transport's stream ends all. `settling` is what follows from the end of what was begun here.

mod settling;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::destination::Destination;
use super::errand::{Errand, Outcome};
use super::fault::Fault;
use super::legacy::{self, Stream};
use super::listening::Silence;
use super::on_the_way::{OnTheWay, Part, Takes};
use super::reply::Refusal;
use super::request::{Head, Peer};
use crate::mcp::{Beside, Frame, Kind, Method, RequestId};
use crate::settings::RemoteTransport;
use crate::telemetry;

/// The state of one conversation.
pub(super) struct Conversation {
    peer: Arc<Peer>,
    frames: mpsc::Receiver<Frame>,
    way: Way,
    head: Head,
    /// Counts the sessions that there have been.
    generation: u32,
    /// What the client began with, to begin with it again.
    initialize: Option<Frame>,
    /// What waits for its turn.
    queue: VecDeque<Waiting>,
    /// How much that is, in bytes.
    queued: usize,
    /// Everything that goes on.
    running: JoinSet<Event>,
    /// Requests that wait for their answer.
    asked: HashMap<RequestId, AbortHandle>,
    on_the_way: OnTheWay,
    /// What may be on the way, and what may wait, in bytes.
    max: usize,
    /// What was said to the message for which the old transport's stream is opened.
    refused: Option<Box<Refusal>>,
    is_opening: bool,
    begins_again: bool,
    /// A session was begun again because of a stream's end, and nothing was answered since.
    is_doubtful: bool,
    listening: Option<AbortHandle>,
}

/// How messages go.
enum Way {
    Undecided,
    Streamable(Arc<Destination>),
    Legacy(Arc<Destination>),
}

/// A message that waits for its turn.
struct Waiting {
    frame: Frame,
    /// It has been sent before.
    again: bool,
}

/// What has come to its end.
enum Event {
    /// A message of the client.
    Sent(Sending, Outcome),
    /// The old transport's stream was asked for.
    Opened(Part, Result<Box<Stream>, Fault>),
    /// The old transport's stream is over.
    Closed(Fault),
    /// The session was begun anew.
    Begun(Part, Result<Head, Fault>),
    /// The stream beside the requests, of this generation.
    Silent(Silence, u32),
}

/// How a message was sent.
struct Sending {
    id: Option<RequestId>,
    generation: u32,
    /// It has been sent before.
    again: bool,
    /// It is `notifications/initialized`.
    initialized: bool,
    /// Others go on once what has become of it is known.
    part: Part,
}

impl Conversation {
    /// `max` is what may be on the way, and what may wait, in bytes; one message may be over it.
    pub(super) fn new(peer: Arc<Peer>, frames: mpsc::Receiver<Frame>, max: usize) -> Self {
        let way = match peer.endpoint().transport() {
            RemoteTransport::Streamable => Way::Streamable(peer.destination().clone()),
            RemoteTransport::Auto | RemoteTransport::Sse => Way::Undecided,
        };
        Self {
            peer,
            frames,
            way,
            head: Head::default(),
            generation: 0,
            initialize: None,
            queue: VecDeque::new(),
            queued: 0,
            running: JoinSet::new(),
            asked: HashMap::new(),
            on_the_way: OnTheWay::default(),
            max,
            refused: None,
            is_opening: false,
            begins_again: false,
            is_doubtful: false,
            listening: None,
        }
    }

    /// Goes on until it is asked to end, or has nothing to go on with: then it says why. Whom it has talked to hears of
    /// the end when this is dropped.
    pub(super) async fn run(&mut self, ending: CancellationToken) -> Option<String> {
        let reason = loop {
            self.send_what_may_go();
            tokio::select! {
                biased;
                () = ending.cancelled() => break None,
                Some(ended) = self.running.join_next() => match ended {
                    Ok(event) => {
                        if let Some(fault) = self.settle(event).await {
                            break Some(format!("it {fault}"));
                        }
                    }
                    Err(failed) if failed.is_panic() => break Some("the gateway failed".into()),
                    // It was called off.
                    Err(_) => {}
                },
                frame = self.frames.recv(), if self.queued < self.max => match frame {
                    Some(frame) => self.say(frame),
                    None => break None,
                },
            }
        };
        self.running.shutdown().await;
        if let (Way::Streamable(url), Some(_)) = (&self.way, &self.head.session) {
            self.peer.leave(url, &self.head).await;
        }
        reason
    }

    /// A message of the session.
    fn say(&mut self, frame: Frame) {
        match frame.kind() {
            Kind::Request(_, Method::Initialize) => self.initialize = Some(frame.clone()),
            Kind::Notification(Method::Cancelled(Some(id))) => return self.call_off(&id.clone(), frame),
            // What the server waits for must not wait for what the server is to answer.
            Kind::Response(Some(id)) => {
                self.peer.inbound.answered(id);
                if !self.on_the_way.is_reserved() {
                    let waiting = Waiting { frame, again: false };
                    return match self.on_the_way.has_room_for_answers() {
                        true => self.send(waiting),
                        false => self.put_first(waiting),
                    };
                }
            }
            _ => {}
        }
        self.put(Waiting { frame, again: false });
    }

    fn put(&mut self, waiting: Waiting) {
        self.queued += waiting.frame.bytes().len();
        self.queue.push_back(waiting);
    }

    /// Before everything else that waits.
    fn put_first(&mut self, waiting: Waiting) {
        self.queued += waiting.frame.bytes().len();
        self.queue.push_front(waiting);
    }

    fn take(&mut self) -> Option<Waiting> {
        let waiting = self.queue.pop_front()?;
        self.queued -= waiting.frame.bytes().len();
        Some(waiting)
    }

    /// Nobody waits for the answer to this request any more. The server hears of it, unless it never had it; to
    /// hang up is to tell, where each request stands for itself (MCP 2026-07-28, transports).
    fn call_off(&mut self, id: &RequestId, notification: Frame) {
        if let Some(at) = self.queue.iter().position(|waiting| waiting.frame.is_request(id)) {
            let waiting = self.queue.remove(at);
            self.queued -= waiting.map_or(0, |waiting| waiting.frame.bytes().len());
            return;
        }
        let had_it = self.asked.remove(id).inspect(AbortHandle::abort).is_some();
        if had_it && self.initialize.is_some() && !self.on_the_way.is_reserved() {
            self.send(Waiting { frame: notification, again: false });
        }
    }

    fn send_what_may_go(&mut self) {
        while let Some(first) = self.queue.front() {
            let has_room = match first.frame.kind() {
                Kind::Request(..) => self.on_the_way.has_room(self.max),
                Kind::Response(_) => self.on_the_way.has_room_for_answers(),
                Kind::Notification(_) => true,
            };
            if !has_room || self.is_opening || self.on_the_way.is_reserved() {
                return;
            }
            let is_undecided = matches!(self.way, Way::Undecided);
            if is_undecided && self.peer.endpoint().transport() == RemoteTransport::Sse {
                return self.open_stream();
            }
            if let Some(waiting) = self.take() {
                self.send(waiting);
            }
        }
    }

    fn send(&mut self, Waiting { frame, again }: Waiting) {
        let (id, is_alone) = match frame.kind() {
            Kind::Request(id, method) => (Some(id.clone()), *method == Method::Initialize),
            Kind::Notification(Method::Cancelled(_)) | Kind::Response(_) => (None, false),
            Kind::Notification(_) => (None, true),
        };
        let initialized = id.is_none() && frame.method() == "notifications/initialized";
        let takes = match frame.kind() {
            Kind::Request(_, Method::Listen) | Kind::Notification(_) => Takes::Bytes,
            Kind::Request(..) => Takes::Request,
            Kind::Response(_) => Takes::Answer,
        };
        let part = self.on_the_way.part(frame.bytes().len(), takes, is_alone);
        let sending = Sending { id: id.clone(), generation: self.generation, again, initialized, part };
        let (peer, head) = (self.peer.clone(), self.head.clone());
        let beside = frame.beside().cloned();
        let handle = match &self.way {
            Way::Legacy(url) => {
                let url = url.clone();
                let sent = async move { Event::Sent(sending, legacy::send(&peer, &url, &frame).await) };
                self.spawn(beside.as_ref(), sent)
            }
            Way::Streamable(_) | Way::Undecided => {
                let errand = Errand { peer, url: self.url(), head, frame };
                let sent = async move { Event::Sent(sending, errand.run().await) };
                self.spawn(beside.as_ref(), sent)
            }
        };
        id.map(|id| self.asked.insert(id, handle));
    }

    /// Begins something that ends with an event, on account of what brought a message with this beside it.
    fn spawn(
        &mut self,
        beside: Option<&Beside>,
        work: impl Future<Output = Event> + Send + 'static,
    ) -> AbortHandle {
        self.running.spawn(telemetry::follow(beside, work))
    }

    fn url(&self) -> Arc<Destination> {
        match &self.way {
            Way::Streamable(url) | Way::Legacy(url) => url.clone(),
            Way::Undecided => self.peer.destination().clone(),
        }
    }
}
