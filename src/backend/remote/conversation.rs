//! What is between one session and its remote server: which transport, which session there, what is on the way.
//!
//! ```text
//! Undecided ── a message is answered over Streamable HTTP ──────────▶ Streamable ◀─┐
//!   └── 400, 404 or 405 to it ──▶ the old transport's stream opens ──▶ Legacy      │ initialized anew,
//!                                                                     404 ─────────┘ once for each message
//! ```
//! Requests are on the way together. What must not be overtaken is waited for: the handshake, notifications, the
//! client's answers. A message that fails does so alone; only the end of the old transport's stream ends all.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::destination::Destination;
use super::errand::{Errand, Outcome, begin};
use super::fault::Fault;
use super::legacy::{self, Stream};
use super::listening::{Silence, listen};
use super::on_the_way::{OnTheWay, Part};
use super::reply::Refusal;
use super::request::{Head, Peer};
use crate::mcp::{Frame, Kind, Method, RequestId, started_over};
use crate::settings::RemoteTransport;

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
    /// Everything that goes on.
    running: JoinSet<Event>,
    /// Requests that wait for their answer.
    asked: HashMap<RequestId, AbortHandle>,
    /// What is sent once there is a session again, or a stream.
    held: Vec<Frame>,
    /// Why that has to wait.
    refused: Option<Box<Refusal>>,
    /// A session is being begun again.
    begins_again: bool,
    listening: Option<AbortHandle>,
    on_the_way: OnTheWay,
    /// In bytes.
    max_on_the_way: usize,
}

/// How messages go.
enum Way {
    Undecided,
    Streamable(Arc<Destination>),
    Legacy(Arc<Destination>),
}

/// What has come to its end.
enum Event {
    /// A message of the client.
    Sent(Sending, Outcome),
    /// The old transport's stream was asked for.
    Opened(Part, Result<Box<Stream>, Fault>),
    /// The old transport's stream is over.
    Closed(Fault),
    /// The handshake was performed again.
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
    /// It ends the handshake.
    initialized: bool,
    /// Others go on once what has become of it is known.
    part: Part,
}

impl Conversation {
    pub(super) fn new(peer: Arc<Peer>, frames: mpsc::Receiver<Frame>, max_on_the_way: usize) -> Self {
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
            running: JoinSet::new(),
            asked: HashMap::new(),
            held: Vec::new(),
            refused: None,
            begins_again: false,
            listening: None,
            on_the_way: OnTheWay::default(),
            max_on_the_way,
        }
    }

    /// Goes on until it is asked to end, or has nothing to go on with: then it says why.
    pub(super) async fn run(mut self, ending: CancellationToken) -> Option<String> {
        let reason = loop {
            let takes = self.on_the_way.has_room(self.max_on_the_way);
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
                frame = self.frames.recv(), if takes => match frame {
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
            Kind::Notification(Method::Cancelled(Some(id))) => {
                self.asked.remove(id).iter().for_each(AbortHandle::abort);
                self.held.retain(|held| !matches!(held.kind(), Kind::Request(own, _) if own == id));
                // In the stateless era, to hang up is to cancel (MCP 2026-07-28, transports).
                if self.initialize.is_none() {
                    return;
                }
            }
            _ => {}
        }
        if matches!(self.way, Way::Undecided) && self.peer.endpoint().transport() == RemoteTransport::Sse {
            self.held.push(frame);
            return self.open_stream();
        }
        self.send(frame, false);
    }

    /// Sends a message on its way; `again` if it has been sent before.
    fn send(&mut self, frame: Frame, again: bool) {
        let (id, alone) = match frame.kind() {
            Kind::Request(id, method) => (Some(id.clone()), *method == Method::Initialize),
            _ => (None, true),
        };
        let initialized = id.is_none() && frame.method() == "notifications/initialized";
        let part = self.on_the_way.part(frame.bytes().len(), alone);
        let sending = Sending { id: id.clone(), generation: self.generation, again, initialized, part };
        let (peer, head) = (self.peer.clone(), self.head.clone());
        let handle = match &self.way {
            Way::Legacy(url) => {
                let url = url.clone();
                self.running
                    .spawn(async move { Event::Sent(sending, legacy::send(&peer, &url, &frame).await) })
            }
            Way::Streamable(_) | Way::Undecided => {
                let errand = Errand { peer, url: self.url(), head, frame };
                self.running.spawn(async move { Event::Sent(sending, errand.run().await) })
            }
        };
        id.map(|id| self.asked.insert(id, handle));
    }

    fn url(&self) -> Arc<Destination> {
        match &self.way {
            Way::Streamable(url) | Way::Legacy(url) => url.clone(),
            Way::Undecided => self.peer.destination().clone(),
        }
    }

    /// What follows from something's end. Why nothing can go on, if so.
    async fn settle(&mut self, event: Event) -> Option<Fault> {
        match event {
            Event::Sent(_, Outcome::Futile(fault)) => return Some(fault),
            Event::Sent(sending, outcome) => self.sent(sending, outcome).await,
            Event::Closed(fault) => return Some(fault),
            Event::Opened(_part, opened) => {
                let refused = self.refused.take();
                match opened {
                    Ok(stream) => {
                        self.way = Way::Legacy(stream.endpoint.clone());
                        let peer = self.peer.clone();
                        self.running.spawn(async move { Event::Closed(stream.read(peer).await) });
                        self.send_held(false);
                    }
                    Err(fault) => match refused {
                        Some(refusal) if self.held.len() == 1 => {
                            let frame = self.held.remove(0);
                            self.peer.refuse(&frame, *refusal).await;
                        }
                        _ => self.fail_held(&fault).await,
                    },
                }
            }
            Event::Begun(_part, begun) => {
                self.begins_again = false;
                match begun {
                    Ok(head) => {
                        self.began(head);
                        self.listen();
                        for told in started_over(self.peer.endpoint().server().as_str()) {
                            let _ = self.peer.inbound.pass(told).await;
                        }
                        self.send_held(true);
                    }
                    Err(fault) => self.fail_held(&Fault::NotBegun(Box::new(fault))).await,
                }
            }
            Event::Silent(Silence::Forgotten, generation) if generation == self.generation => {
                self.begin_again()
            }
            Event::Silent(..) => {}
        }
        None
    }

    async fn sent(&mut self, sending: Sending, outcome: Outcome) {
        let Sending { id, generation, again, initialized, part: _part } = sending;
        // Its client may have used the id again meanwhile.
        if let Some(id) = id.filter(|id| self.asked.get(id).is_some_and(AbortHandle::is_finished)) {
            self.asked.remove(&id);
        }
        match outcome {
            Outcome::Failed | Outcome::Futile(_) => {}
            Outcome::Taken => {
                if matches!(self.way, Way::Undecided) {
                    self.way = Way::Streamable(self.url());
                }
                if initialized {
                    self.listen();
                }
            }
            Outcome::Begun(head) => {
                self.way = Way::Streamable(self.url());
                self.began(head);
            }
            Outcome::Forgotten(frame) if again => self.peer.fail(&frame, &Fault::Forgotten).await,
            Outcome::Forgotten(frame) if generation != self.generation => self.send(frame, true),
            Outcome::Forgotten(frame) => {
                self.held.push(frame);
                self.begin_again();
            }
            Outcome::NotTaken(frame, refusal) => {
                let auto = self.peer.endpoint().transport() == RemoteTransport::Auto;
                if auto && matches!(self.way, Way::Undecided) && self.initialize.is_some() {
                    self.refused = Some(refusal);
                    self.held.push(frame);
                    self.open_stream();
                } else {
                    self.peer.refuse(&frame, *refusal).await;
                }
            }
        }
    }

    /// There is a session at the remote server, on these terms.
    fn began(&mut self, head: Head) {
        self.head = head;
        self.generation += 1;
        self.listening.take().iter().for_each(AbortHandle::abort);
    }

    /// Listens to what the server says unasked.
    fn listen(&mut self) {
        if let Way::Streamable(url) = &self.way {
            let (peer, url, head, generation) =
                (self.peer.clone(), url.clone(), self.head.clone(), self.generation);
            let listening = async move { Event::Silent(listen(peer, url, head).await, generation) };
            self.listening = Some(self.running.spawn(listening));
        }
    }

    /// Opens the old transport's stream; nothing is sent meanwhile.
    fn open_stream(&mut self) {
        let (peer, part) = (self.peer.clone(), self.on_the_way.part(0, true));
        self.running.spawn(async move {
            let opened = legacy::open(&peer).await.map(Box::new);
            Event::Opened(part, opened)
        });
    }

    /// The server has forgotten the session: the handshake is performed once more; nothing is sent meanwhile.
    fn begin_again(&mut self) {
        let Some(initialize) = self.initialize.clone().filter(|_| !self.begins_again) else { return };
        self.begins_again = true;
        let (peer, url, part) = (self.peer.clone(), self.url(), self.on_the_way.part(0, true));
        self.running.spawn(async move {
            let begun = begin(peer, url, &initialize).await;
            Event::Begun(part, begun)
        });
    }

    fn send_held(&mut self, again: bool) {
        for frame in std::mem::take(&mut self.held) {
            self.send(frame, again);
        }
    }

    async fn fail_held(&mut self, fault: &Fault) {
        for frame in std::mem::take(&mut self.held) {
            self.peer.fail(&frame, fault).await;
        }
    }
}
