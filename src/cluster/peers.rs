//! Which nodes there are. DNS has their addresses; each address is asked what the node there is called.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use super::hello::{HELLO, Hello, Said};
use super::line::{Line, NotPassedOn};
use crate::ids::NodeId;
use crate::lifecycle::Lifecycle;

/// The other nodes, as far as this one knows.
#[derive(Debug)]
pub struct Peers {
    /// Host and port.
    places: Vec<String>,
    hello: Hello,
    /// Held for short, synchronous sections only.
    known: RwLock<HashMap<NodeId, Peer>>,
    /// Somebody asks for a node that is not known.
    wanted: Notify,
    /// How often all were asked.
    looks: watch::Sender<u64>,
    /// Whether it has been told that a place has no address, or that there are two of one name.
    told: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
struct Peer {
    address: SocketAddr,
    draining: bool,
    heard: Instant,
}

/// How often all are asked.
const EVERY: Duration = Duration::from_secs(5);
/// How long they are left alone after that, whoever asks for one that is not known.
const PAUSE: Duration = Duration::from_millis(250);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_millis(500);
/// How long DNS may take.
const RESOLVE: Duration = Duration::from_secs(2);
/// How long a request waits for a node that is not known.
const PATIENCE: Duration = Duration::from_millis(600);
/// A node that was not heard for so long gets nothing new; and is forgotten. It may only be busy, so what it has is
/// looked for there longer.
const QUIET: Duration = Duration::from_secs(12);
const FORGOTTEN: Duration = Duration::from_secs(60);

impl Peers {
    pub(super) fn new(places: &[String], hello: Hello) -> Self {
        Self {
            places: places.to_vec(),
            hello,
            known: RwLock::default(),
            wanted: Notify::new(),
            looks: watch::Sender::new(0),
            told: AtomicBool::new(false),
        }
    }

    pub(super) fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Where a node is. If it is not known, all are asked once more, for which a request waits a moment.
    pub async fn find(&self, node: &NodeId) -> Option<SocketAddr> {
        if let Some(address) = self.address(node) {
            return Some(address);
        }
        let mut looks = self.looks.subscribe();
        self.wanted.notify_one();
        let _ = timeout(PATIENCE, looks.changed()).await;
        self.address(node)
    }

    /// Nothing can be reached there any more.
    pub fn lost(&self, node: &NodeId, address: SocketAddr) {
        let mut known = self.write();
        if known.get(node).is_some_and(|peer| peer.address == address) {
            known.remove(node);
            tracing::warn!(%node, %address, "a node cannot be reached any more");
            self.wanted.notify_one();
        }
    }

    /// Whether the node there goes on: one that ends breaks its connections, and what it had ends with it.
    pub async fn goes_on(&self, line: &Line, address: SocketAddr) -> bool {
        let said = timeout(ANSWER, self.answer_of(line, address)).await;
        matches!(said, Ok(Ok(Some(said))) if !said.draining)
    }

    /// Those that can take something new.
    pub(super) fn lively(&self) -> Vec<NodeId> {
        let now = Instant::now();
        let is_lively = |peer: &Peer| !peer.draining && now.duration_since(peer.heard) < QUIET;
        self.read().iter().filter(|(_, peer)| is_lively(peer)).map(|(node, _)| node.clone()).collect()
    }

    /// Notes that a node is about to end.
    pub fn drains(&self, node: &NodeId) {
        if let Some(peer) = self.write().get_mut(node) {
            peer.draining = true;
        }
    }

    /// Whether a node has said that it is about to end.
    pub(super) fn is_draining(&self, node: &NodeId) -> bool {
        self.read().get(node).is_some_and(|peer| peer.draining)
    }

    /// How many others are known.
    pub fn count(&self) -> usize {
        self.read().len()
    }

    /// Asks all again and again. Must be called once, on a runtime that lasts.
    pub async fn follow(self: Arc<Self>, lifecycle: Lifecycle) {
        let line = Line::new();
        loop {
            self.look(&line, &lifecycle).await;
            self.looks.send_modify(|looks| *looks += 1);
            sleep(PAUSE).await;
            let _ = timeout(EVERY - PAUSE, self.wanted.notified()).await;
        }
    }

    async fn look(self: &Arc<Self>, line: &Line, lifecycle: &Lifecycle) {
        // Whoever is known is asked even if DNS is silent.
        let mut addresses: BTreeSet<SocketAddr> = self.read().values().map(|peer| peer.address).collect();
        for place in &self.places {
            match timeout(RESOLVE, lookup_host(place.as_str())).await {
                Ok(Ok(found)) => addresses.extend(found),
                Ok(Err(error)) => self.tell(|| {
                    tracing::warn!(%place, %error, "no address is known for cluster.nodes; look at DNS");
                }),
                Err(_) => self.tell(|| tracing::warn!(%place, "DNS does not answer for cluster.nodes")),
            }
        }
        let asked: Vec<_> = addresses
            .into_iter()
            .map(|address| lifecycle.spawn_bound(self.clone().ask(line.clone(), address)))
            .collect();
        for asked in asked {
            let _ = asked.await;
        }
        let now = Instant::now();
        self.write().retain(|_, peer| now.duration_since(peer.heard) < FORGOTTEN);
    }

    async fn ask(self: Arc<Self>, line: Line, address: SocketAddr) {
        match timeout(ANSWER, self.answer_of(&line, address)).await {
            Ok(Ok(Some(said))) => self.heard(&said, address),
            // Nobody is there any more.
            Ok(Err(NotPassedOn::Gone)) => self.write().retain(|_, peer| peer.address != address),
            // Or somebody else, or it is busy.
            Ok(Ok(None) | Err(NotPassedOn::Ended | NotPassedOn::Broken)) | Err(_) => {}
        }
    }

    async fn answer_of(&self, line: &Line, address: SocketAddr) -> Result<Option<Said>, NotPassedOn> {
        let Ok(question) = self.hello.question() else { return Ok(None) };
        let request = http::Request::get("/node").header(HELLO, &question).body(bytes::Bytes::new());
        let Ok(request) = request else { return Ok(None) };
        let answer = line.pass(address, request).await?;
        let signature = answer.headers().get(HELLO).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = line.whole(answer).await?;
        Ok(signature.and_then(|signature| self.hello.read(&question, &body, &signature)))
    }

    fn heard(&self, said: &Said, address: SocketAddr) {
        if self.hello.is_own(said) {
            return;
        }
        let Some(node) = NodeId::parse(&said.node) else { return };
        if node == *self.hello.own() {
            self.tell(
                || tracing::error!(%node, %address, "another node has this one's name; set cluster.node"),
            );
            return;
        }
        let mut known = self.write();
        let peer = Peer { address, draining: said.draining, heard: Instant::now() };
        known.retain(|other, peer| peer.address != address || *other == node);
        if known.insert(node.clone(), peer).is_none_or(|before| before.address != address) {
            tracing::info!(%node, %address, "a node is there");
        }
    }

    fn address(&self, node: &NodeId) -> Option<SocketAddr> {
        self.read().get(node).map(|peer| peer.address)
    }

    /// Once is enough: it would be told every few seconds.
    fn tell(&self, tell: impl FnOnce()) {
        if !self.told.swap(true, Relaxed) {
            tell();
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<NodeId, Peer>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<NodeId, Peer>> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}
