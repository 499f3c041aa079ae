//! What follows from the end of something in a conversation.

use std::collections::VecDeque;

use tokio::task::AbortHandle;

use super::super::errand::{Outcome, begin};
use super::super::fault::Fault;
use super::super::legacy;
use super::super::listening::{Silence, listen};
use super::super::on_the_way::Takes;
use super::super::request::Head;
use super::{Conversation, Event, Sending, Waiting, Way};
use crate::mcp::{Kind, is_probe, started_over};
use crate::settings::RemoteTransport;

impl Conversation {
    /// Why nothing can go on, if so.
    pub(super) async fn settle(&mut self, event: Event) -> Option<Fault> {
        match event {
            Event::Sent(_, Outcome::Futile(fault)) => return Some(fault),
            Event::Sent(_, Outcome::NotTaken(frame, refusal))
                if is_probe(&frame) && !self.may_be_older() && !refusal.has_words() =>
            {
                return Some(refusal.fault);
            }
            Event::Sent(sending, outcome) => self.sent(sending, outcome).await,
            Event::Closed(fault) => return Some(fault),
            Event::Opened(_part, opened) => {
                self.is_opening = false;
                let refused = self.refused.take();
                let asks_era = self.queue.front().is_some_and(|waiting| is_probe(&waiting.frame));
                match opened {
                    Ok(stream) => {
                        self.way = Way::Legacy(stream.endpoint.clone());
                        let reading = async move { Event::Closed(stream.read().await) };
                        self.spawn(None, reading);
                        if asks_era && let Some(waiting) = self.take() {
                            self.peer.fail(&waiting.frame, &Fault::Older).await;
                        }
                    }
                    Err(fault) if asks_era && !refused.as_ref().is_some_and(|why| why.has_words()) => {
                        return Some(refused.map_or(fault, |refusal| refusal.fault));
                    }
                    Err(fault) => {
                        if let Some((refusal, waiting)) = refused.and_then(|why| Some((why, self.take()?))) {
                            self.peer.refuse(&waiting.frame, *refusal).await;
                        }
                        self.fail_queue(&fault, |_| true).await;
                    }
                }
            }
            Event::Begun(_part, begun) => {
                self.begins_again = false;
                match begun {
                    Ok(head) => self.start_over(head).await,
                    Err(fault) => {
                        self.fail_queue(&Fault::NotBegun(Box::new(fault)), |waiting| waiting.again).await;
                    }
                }
            }
            // Once: a server whose streams end like that says nothing of the session.
            Event::Silent(Silence::Forgotten, generation)
                if generation == self.generation && !self.is_doubtful =>
            {
                self.is_doubtful = true;
                self.begin_again();
            }
            Event::Silent(..) => {}
        }
        None
    }

    /// Whether the older transport is to be tried.
    fn may_be_older(&self) -> bool {
        matches!(self.way, Way::Undecided) && self.peer.endpoint().transport() == RemoteTransport::Auto
    }

    async fn sent(&mut self, sending: Sending, outcome: Outcome) {
        let Sending { id, generation, again, initialized, part: _part } = sending;
        let is_request = id.is_some();
        // Its client may have used the id again meanwhile.
        if let Some(id) = id.filter(|id| self.asked.get(id).is_some_and(AbortHandle::is_finished)) {
            self.asked.remove(&id);
        }
        match outcome {
            Outcome::Taken => {
                self.is_doubtful &= !is_request;
                if matches!(self.way, Way::Undecided) {
                    self.way = Way::Streamable(self.url());
                }
            }
            Outcome::Failed | Outcome::Futile(_) => {}
            Outcome::Begun(head) => {
                self.way = Way::Streamable(self.url());
                self.began(head);
            }
            Outcome::Forgotten(frame) if again => self.peer.fail(&frame, &Fault::Forgotten).await,
            Outcome::Forgotten(frame) => {
                // What a forgotten session asked is answered no more; the new one has had its `initialized`.
                if !matches!(frame.kind(), Kind::Response(_)) && !initialized {
                    self.put_first(Waiting { frame, again: true });
                }
                if generation == self.generation {
                    self.begin_again();
                }
                return;
            }
            Outcome::NotTaken(frame, refusal) => {
                if self.may_be_older() && (self.initialize.is_some() || is_probe(&frame)) {
                    self.put_first(Waiting { frame, again: false });
                    if !self.is_opening {
                        self.refused = Some(refusal);
                        self.open_stream();
                    }
                } else {
                    self.peer.refuse(&frame, *refusal).await;
                }
            }
        }
        // Whether or not it was taken, as clients of all kinds do.
        if initialized {
            self.listen();
        }
    }

    /// There is a session at the remote server, on these terms.
    fn began(&mut self, head: Head) {
        self.head = head;
        self.generation += 1;
        self.listening.take().iter().for_each(AbortHandle::abort);
    }

    /// The same for a client that had one already, and hears that it is another now.
    async fn start_over(&mut self, head: Head) {
        self.began(head);
        self.listen();
        self.peer.inbound.forget_questions().await;
        for told in started_over(self.peer.endpoint().server().as_str()) {
            let _ = self.peer.inbound.pass(told).await;
        }
    }

    /// Listens to what the server says unasked.
    fn listen(&mut self) {
        if let Way::Streamable(url) = &self.way {
            let (peer, url, head, generation) =
                (self.peer.clone(), url.clone(), self.head.clone(), self.generation);
            let listening = async move { Event::Silent(listen(peer, url, head).await, generation) };
            let now = self.spawn(None, listening);
            let before = self.listening.replace(now);
            before.iter().for_each(AbortHandle::abort);
        }
    }

    /// Opens the old transport's stream; nothing is sent meanwhile.
    pub(super) fn open_stream(&mut self) {
        self.is_opening = true;
        let (peer, part) = (self.peer.clone(), self.on_the_way.part(0, Takes::Bytes, true));
        self.spawn(None, async move {
            let opened = legacy::open(&peer).await.map(Box::new);
            Event::Opened(part, opened)
        });
    }

    /// The server has forgotten the session: it is begun anew; nothing else is sent meanwhile.
    fn begin_again(&mut self) {
        let Some(initialize) = self.initialize.clone().filter(|_| !self.begins_again) else { return };
        self.begins_again = true;
        let (peer, url, part) = (self.peer.clone(), self.url(), self.on_the_way.part(0, Takes::Bytes, true));
        self.spawn(None, async move {
            let begun = begin(peer, url, &initialize).await;
            Event::Begun(part, begun)
        });
    }

    /// Fails what waits, if it is of this kind.
    async fn fail_queue(&mut self, fault: &Fault, which: impl Fn(&Waiting) -> bool) {
        let (failing, kept): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.queue).into_iter().partition(which);
        self.queue = kept;
        self.queued = self.queue.iter().map(|waiting| waiting.frame.bytes().len()).sum();
        for Waiting { frame, .. } in failing {
            self.peer.fail(&frame, fault).await;
        }
    }
}
