//! The client's requests that wait for an answer.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::super::outbox::StreamId;
use crate::catalog::Offer;
use crate::mcp::{Listed, Origin, RequestId};
use crate::telemetry::Span;

/// A table by id, in which deadlines, progress tokens and streams can be looked up too.
#[derive(Debug)]
pub(super) struct Requests {
    open: HashMap<RequestId, Request>,
    /// The same in the order they came, which is the order their time is up. May name settled ones.
    order: VecDeque<(Instant, RequestId)>,
    /// Requests by their progress token.
    tokens: HashMap<RequestId, RequestId>,
    /// How many requests each stream waits for; without the listening stream.
    streams: BTreeMap<StreamId, usize>,
    /// How many are subscriptions.
    listens: usize,
    /// Those whose clients asked for the server's log.
    logs: HashSet<RequestId>,
    /// How long a request may take; `None` for ever.
    timeout: Option<Duration>,
}

/// One open request.
#[derive(Debug)]
pub(super) struct Request {
    /// Where its answer goes.
    pub(super) stream: StreamId,
    pub(super) purpose: Purpose,
    /// What its client calls it, if that is not how the backend knows it.
    pub(super) origin: Option<Origin>,
    /// Under which name the backend reports progress.
    pub(super) token: Option<RequestId>,
    /// What its answer lists, where its client may not see all of that.
    pub(super) lists: Option<Listed>,
    /// What its client may see of the answer, and be told where it is a subscription.
    pub(super) offer: Offer,
    /// When it went to the backend.
    pub(super) asked_at: Option<Instant>,
    /// The time that the backend takes: lasts as long as this.
    pub(super) span: Span,
    deadline: Option<Instant>,
}

/// What a request is for, where that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Initialize,
    /// Answered only when the subscription ends.
    Listen,
    Other,
}

/// A request that is open no more, and whether it was the last that its stream waited for.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) id: RequestId,
    pub(super) request: Request,
    pub(super) last: bool,
}

impl Request {
    pub(super) fn new(stream: StreamId, purpose: Purpose, span: Span) -> Self {
        Self {
            stream,
            purpose,
            origin: None,
            token: None,
            lists: None,
            offer: Offer::EVERYTHING,
            asked_at: None,
            span,
            deadline: None,
        }
    }

    /// The id that its client knows it by.
    pub(super) fn client_id<'a>(&'a self, id: &'a RequestId) -> &'a RequestId {
        self.origin.as_ref().map_or(id, |origin| &origin.id)
    }
}

impl Requests {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            open: HashMap::new(),
            order: VecDeque::new(),
            tokens: HashMap::new(),
            streams: BTreeMap::new(),
            listens: 0,
            logs: HashSet::new(),
            timeout: (!timeout.is_zero()).then_some(timeout),
        }
    }

    pub(super) fn insert(&mut self, id: RequestId, mut request: Request, now: Instant) {
        if request.purpose == Purpose::Listen {
            self.listens += 1;
        } else {
            request.asked_at = Some(now);
        }
        if let Some(timeout) = self.timeout.filter(|_| request.purpose != Purpose::Listen) {
            request.deadline = Some(now + timeout);
            self.order.push_back((now + timeout, id.clone()));
        }
        if let Some(token) = &request.token {
            self.tokens.insert(token.clone(), id.clone());
        }
        if request.origin.as_ref().is_some_and(|origin| origin.wants_logs) {
            self.logs.insert(id.clone());
        }
        if request.stream != StreamId::LISTENING {
            self.hold(request.stream);
        }
        self.open.insert(id, request);
    }

    pub(super) fn remove(&mut self, id: &RequestId) -> Option<Settled> {
        let (id, request) = self.open.remove_entry(id)?;
        self.listens -= usize::from(request.purpose == Purpose::Listen);
        self.logs.remove(&id);
        if let Some(token) = request.token.as_ref().filter(|token| self.tokens.get(token) == Some(&id)) {
            self.tokens.remove(token);
        }
        let last = self.release(request.stream);
        self.forget_settled();
        Some(Settled { id, request, last })
    }

    /// Counts the stream as one that waits for something.
    pub(super) fn hold(&mut self, stream: StreamId) {
        *self.streams.entry(stream).or_default() += 1;
    }

    /// Counts it no more. Whether there is nothing else that it waits for.
    pub(super) fn release(&mut self, stream: StreamId) -> bool {
        let Some(count) = self.streams.get_mut(&stream) else { return false };
        *count -= 1;
        let last = *count == 0;
        if last {
            self.streams.remove(&stream);
        }
        last
    }

    pub(super) fn get(&self, id: &RequestId) -> Option<&Request> {
        self.open.get(id)
    }

    pub(super) fn contains(&self, id: &RequestId) -> bool {
        self.open.contains_key(id)
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// How many wait for something else than the end of a subscription.
    pub(super) fn waiting(&self) -> usize {
        self.open.len() - self.listens
    }

    /// Whether nobody waits for anything but the end of a subscription.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting() == 0
    }

    /// The request that wants progress under this name.
    pub(super) fn by_token(&self, token: &RequestId) -> Option<&Request> {
        self.open.get(self.tokens.get(token)?)
    }

    /// The streams of open requests, oldest first.
    pub(super) fn streams(&self) -> impl Iterator<Item = StreamId> + '_ {
        self.streams.keys().copied()
    }

    /// Whether a request of this stream is open.
    pub(super) fn has_stream(&self, stream: StreamId) -> bool {
        self.streams.contains_key(&stream)
    }

    /// The only open request whose client asked for the server's log, if there is just one.
    pub(super) fn only_one_with_logs(&self) -> Option<&Request> {
        let mut wanting = self.logs.iter();
        let only = wanting.next().filter(|_| wanting.next().is_none())?;
        self.open.get(only)
    }

    /// Takes those of which this holds.
    pub(super) fn take_if(&mut self, which: impl Fn(&Request) -> bool) -> Vec<Settled> {
        let ids: Vec<_> = self.open.iter().filter(|(_, r)| which(r)).map(|(id, _)| id.clone()).collect();
        ids.iter().filter_map(|id| self.remove(id)).collect()
    }

    /// Takes the requests whose time is up.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<Settled> {
        let mut expired = Vec::new();
        while let Some((deadline, id)) = self.order.front().filter(|(deadline, _)| *deadline <= now).cloned()
        {
            self.order.pop_front();
            if self.open.get(&id).is_some_and(|request| request.deadline == Some(deadline)) {
                expired.extend(self.remove(&id));
            }
        }
        expired
    }

    /// When the next request's time is up.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.order.front().map(|(deadline, _)| *deadline)
    }

    /// Keeps `order` from growing with requests that were answered.
    fn forget_settled(&mut self) {
        let open = &self.open;
        let is_open = |(deadline, id): &(Instant, RequestId)| {
            open.get(id).is_some_and(|request| request.deadline == Some(*deadline))
        };
        while self.order.front().is_some_and(|entry| !is_open(entry)) {
            self.order.pop_front();
        }
        if self.order.len() > 2 * open.len() + 16 {
            self.order.retain(is_open);
        }
    }
}
