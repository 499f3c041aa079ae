//! Which nodes there are. DNS has their addresses; each address is asked what the node there is called.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use super::hello::{HELLO, HELLO_PATH, Hello, Said};
use super::line::{Line, NotPassedOn};
use crate::access::Handovers;
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
}

/// A node, as it was heard last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    pub(super) draining: bool,
    heard: Instant,
}

/// Whom an address has turned out to be.
enum Found {
    Node(Said),
    /// Somebody who does not have the secret of the nodes.
    Stranger,
    /// Nobody is there.
    Nobody,
    /// Nothing was heard in time.
    Silence,
}

/// What the log has been told already: everything is looked at again every few seconds.
#[derive(Default)]
struct Complaints {
    /// Places of which DNS knows nothing.
    unknown: HashSet<String>,
    strangers: HashSet<SocketAddr>,
    /// Other nodes with this one's name.
    twins: HashSet<SocketAddr>,
    /// Nodes whose clocks show something else.
    skewed: HashSet<NodeId>,
}

/// How often all are asked.
const EVERY: Duration = Duration::from_secs(5);
/// How long they are left alone after that, whoever asks for one that is not known.
const PAUSE: Duration = Duration::from_millis(250);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_millis(500);
/// How long DNS may take.
const RESOLVE: Duration = Duration::from_secs(2);
/// How far clocks may be apart without a word of warning.
const SKEW: Duration = Duration::from_secs(60);
/// How long a request waits for a node that is not known.
const PATIENCE: Duration = Duration::from_millis(600);
/// A node that was not heard for so long gets nothing new. It may only be busy, so what it has is looked for there longer.
const QUIET: Duration = Duration::from_secs(12);
/// And one that was not heard for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60);

impl Peers {
    pub(super) fn new(places: &[String], hello: Hello) -> Self {
        Self {
            places: places.to_vec(),
            hello,
            known: RwLock::default(),
            wanted: Notify::new(),
            looks: watch::Sender::new(0),
        }
    }

    pub(super) fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Where a node is. If it is not known, all are asked once more, for which a request waits a moment.
    pub(super) async fn find(&self, node: &NodeId) -> Option<Peer> {
        if let Some(peer) = self.peer(node) {
            return Some(peer);
        }
        let mut looks = self.looks.subscribe();
        self.wanted.notify_one();
        let _ = timeout(PATIENCE, looks.changed()).await;
        self.peer(node)
    }

    /// Nothing can be reached there any more.
    pub(super) fn lost(&self, node: &NodeId, address: SocketAddr) {
        self.forget(|other, peer| other == node && peer.address == address);
        self.wanted.notify_one();
    }

    /// Whether the node there goes on: one that ends breaks its connections, and what it had ends with it.
    pub(super) async fn goes_on(&self, line: &Line, address: SocketAddr) -> bool {
        matches!(self.ask(line, address).await, Found::Node(said) if !said.draining)
    }

    /// Those that can take something new.
    pub(super) fn lively(&self) -> Vec<(NodeId, Peer)> {
        let now = Instant::now();
        let is_lively = |peer: &Peer| !peer.draining && now.duration_since(peer.heard) < QUIET;
        let known = self.read();
        known.iter().filter(|(_, peer)| is_lively(peer)).map(|(node, peer)| (node.clone(), *peer)).collect()
    }

    /// Notes that a node is about to end.
    pub(super) fn drains(&self, node: &NodeId) {
        if let Some(peer) = self.write().get_mut(node) {
            peer.draining = true;
        }
    }

    /// How many others are known.
    pub fn count(&self) -> usize {
        self.read().len()
    }

    /// Asks all again and again. Must be called once, on a runtime that lasts.
    pub async fn follow(self: Arc<Self>, lifecycle: Lifecycle) {
        let line = Line::new();
        let mut complaints = Complaints::default();
        loop {
            let addresses = self.addresses(&mut complaints).await;
            let ask = |address| {
                let (peers, line) = (self.clone(), line.clone());
                lifecycle.spawn_bound(async move { (address, peers.ask(&line, address).await) })
            };
            let asked: Vec<_> = addresses.into_iter().map(ask).collect();
            for asked in asked {
                if let Ok((address, found)) = asked.await {
                    self.take_in(address, found, &mut complaints);
                }
            }
            let now = Instant::now();
            self.forget(|_, peer| now.duration_since(peer.heard) >= FORGOTTEN);
            self.looks.send_modify(|looks| *looks += 1);
            sleep(PAUSE).await;
            let _ = timeout(EVERY - PAUSE, self.wanted.notified()).await;
        }
    }

    /// Where nodes may be. Whoever is known is among them even if DNS is silent.
    async fn addresses(&self, complaints: &mut Complaints) -> BTreeSet<SocketAddr> {
        let mut addresses: BTreeSet<SocketAddr> = self.read().values().map(|peer| peer.address).collect();
        for place in &self.places {
            match timeout(RESOLVE, lookup_host(place.as_str())).await {
                Ok(Ok(found)) => {
                    complaints.unknown.remove(place);
                    addresses.extend(found);
                }
                Ok(Err(error)) if complaints.unknown.insert(place.clone()) => {
                    tracing::warn!(%place, %error, "no address is known for cluster.nodes; look at DNS");
                }
                Err(_) if complaints.unknown.insert(place.clone()) => {
                    tracing::warn!(%place, "DNS does not answer for cluster.nodes");
                }
                _ => {}
            }
        }
        addresses
    }

    async fn ask(&self, line: &Line, address: SocketAddr) -> Found {
        match timeout(ANSWER, self.answer_of(line, address)).await {
            Ok(Ok(found)) => found,
            Ok(Err(NotPassedOn::Gone)) => Found::Nobody,
            Ok(Err(NotPassedOn::Ended | NotPassedOn::Broken)) | Err(_) => Found::Silence,
        }
    }

    async fn answer_of(&self, line: &Line, address: SocketAddr) -> Result<Found, NotPassedOn> {
        let Ok(question) = self.hello.question() else { return Ok(Found::Silence) };
        let request = http::Request::get(HELLO_PATH).header(HELLO, &question).body(bytes::Bytes::new());
        let Ok(request) = request else { return Ok(Found::Silence) };
        let answer = line.pass(address, request).await?;
        let signature = answer.headers().get(HELLO).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = answer.into_body().whole().await?;
        let said = signature.and_then(|signature| self.hello.read(&question, &body, &signature));
        Ok(said.map_or(Found::Stranger, Found::Node))
    }

    fn take_in(&self, address: SocketAddr, found: Found, complaints: &mut Complaints) {
        match found {
            Found::Node(said) => {
                complaints.strangers.remove(&address);
                self.heard(&said, address, complaints);
            }
            Found::Stranger if complaints.strangers.insert(address) => tracing::warn!(
                %address,
                "who answers there does not have the secret of the nodes; is LOCKGATE_CLUSTER_SECRET the same at each?"
            ),
            Found::Nobody => self.forget(|_, peer| peer.address == address),
            Found::Stranger | Found::Silence => {}
        }
    }

    fn heard(&self, said: &Said, address: SocketAddr, complaints: &mut Complaints) {
        if self.hello.is_own(said) {
            return;
        }
        let Some(node) = NodeId::parse(&said.node) else { return };
        if node == *self.hello.own() {
            if complaints.twins.insert(address) {
                tracing::error!(%node, %address, "another node has this one's name; set cluster.node");
            }
            return;
        }
        let skew = said.at.abs_diff(Handovers::clock());
        if skew < SKEW.as_secs() {
            complaints.skewed.remove(&node);
        } else if complaints.skewed.insert(node.clone()) {
            tracing::warn!(%node, seconds = skew, "the clocks of two nodes differ; at 300 s they refuse each other's requests");
        }
        self.forget(|other, peer| peer.address == address && *other != node);
        let heard = Instant::now();
        let mut known = self.write();
        match known.get_mut(&node) {
            // It has several addresses; one is enough, as long as it answers there.
            Some(peer) if peer.address != address && heard.duration_since(peer.heard) < QUIET => {
                peer.draining = said.draining;
            }
            before => {
                let is_new = before.is_none_or(|before| before.address != address);
                known.insert(node.clone(), Peer { address, draining: said.draining, heard });
                if is_new {
                    tracing::info!(%node, %address, "a node is there");
                }
            }
        }
    }

    fn forget(&self, gone: impl Fn(&NodeId, &Peer) -> bool) {
        for (node, Peer { address, draining, .. }) in self.write().extract_if(|node, peer| gone(node, peer)) {
            if draining {
                tracing::info!(%node, %address, "a node has ended");
            } else {
                tracing::warn!(%node, %address, "a node cannot be reached any more");
            }
        }
    }

    /// Where a node is, if it is known.
    pub(super) fn peer(&self, node: &NodeId) -> Option<Peer> {
        self.read().get(node).copied()
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<NodeId, Peer>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<NodeId, Peer>> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}
