//! Where a session is, if there are several nodes: gateways that serve the same clients, each with sessions of its own.
//!
//! The id of a session names its node, so nobody has to be asked. A request for one that is elsewhere is handed over:
//! [`Line`] passes it on over the private network, or Fly's proxy brings it there. Requests that stand for themselves
//! have a keeper: of one tenant's, for one backend, all go to one node, where it is warm. [`Peers`] are the nodes that
//! there are: DNS has their addresses, and each says itself what it is called.

mod figures;
mod hello;
mod line;
mod peers;

use std::sync::Arc;

use sha2::{Digest, Sha256};

pub use self::figures::{Figures, Handed, Open, Way};
pub use self::hello::HELLO;
pub use self::line::{Line, NotPassedOn, Passing};
pub use self::peers::Peers;

use self::hello::Hello;
use crate::access::Handovers;
use crate::catalog::Fingerprint;
use crate::ids::{Mint, NodeId, SessionId};
use crate::lifecycle::Lifecycle;
use crate::settings::{self, Reach};

/// What a gateway knows of the others, if there may be others.
#[derive(Debug)]
pub struct Cluster {
    several: Option<Several>,
    figures: Arc<Figures>,
}

#[derive(Debug)]
struct Several {
    reach: Reach,
    own: NodeId,
    mint: Mint,
    handovers: Handovers,
    peers: Arc<Peers>,
    lifecycle: Lifecycle,
}

/// Where what a request needs is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At this node, if anywhere.
    Here,
    /// At another.
    At(NodeId),
    /// Nowhere: its node is gone.
    Gone,
}

impl Cluster {
    /// As the settings have it. `own` is what this node is called, and `secret` what all nodes know.
    pub fn new(settings: &settings::Cluster, own: NodeId, secret: &str, lifecycle: &Lifecycle) -> Self {
        let hello = Hello::new(own.clone(), secret);
        let several = Several {
            reach: settings.reach,
            mint: Mint::new(own.clone(), secret),
            handovers: Handovers::new(own.clone(), secret),
            peers: Arc::new(Peers::new(&settings.nodes, hello)),
            lifecycle: lifecycle.clone(),
            own,
        };
        Self { several: Some(several), figures: Arc::default() }
    }

    /// Of one gateway that is alone.
    pub fn alone() -> Self {
        Self { several: None, figures: Arc::default() }
    }

    /// What makes the ids of this gateway's sessions.
    pub fn mint(&self) -> Mint {
        self.several.as_ref().map(|several| several.mint.clone()).unwrap_or_default()
    }

    /// What this node is called; `None` for one gateway that is alone.
    pub fn own(&self) -> Option<&NodeId> {
        self.several.as_ref().map(|several| &several.own)
    }

    /// How requests get to other nodes.
    pub fn reach(&self) -> Reach {
        self.several.as_ref().map_or(Reach::None, |several| several.reach)
    }

    /// Whether Fly's proxy brings requests to this node: it sends nothing to one whose health checks fail, as those of
    /// one that drains do.
    pub fn is_replayed_to(&self, node: &NodeId) -> bool {
        let replays = |several: &Several| several.reach == Reach::Fly && !several.peers.is_draining(node);
        self.several.as_ref().is_some_and(replays)
    }

    /// What signs requests for other nodes, and reads what they say of theirs.
    pub fn handovers(&self) -> Option<&Handovers> {
        self.several.as_ref().map(|several| &several.handovers)
    }

    /// Who else there is.
    pub fn peers(&self) -> Option<&Arc<Peers>> {
        self.several.as_ref().map(|several| &several.peers)
    }

    /// What was counted.
    pub fn figures(&self) -> &Arc<Figures> {
        &self.figures
    }

    /// Where a session is.
    pub async fn place(&self, id: &SessionId) -> Place {
        let Some(several) = &self.several else { return Place::Here };
        match several.mint.maker(id) {
            None => Place::Here,
            Some(node) => several.at(node).await,
        }
    }

    /// Where a request goes that stands for itself, for this backend: to the node that has given out the state which
    /// it brings back, if that is still there; else to the backend's keeper.
    pub async fn keeper(&self, backend: &Fingerprint, state: Option<&str>) -> Place {
        let Some(several) = &self.several else { return Place::Here };
        match state.and_then(Mint::marker) {
            Some(node) if node == several.own => return Place::Here,
            Some(node) => {
                if let place @ Place::At(_) = several.at(node).await {
                    return place;
                }
            }
            None => {}
        }
        several.keeper(backend.bytes())
    }

    /// What a node has to say to another that asks who it is; `None` if whoever asks is none.
    pub fn introduce(&self, asked: &str) -> Option<(String, String)> {
        let several = self.several.as_ref()?;
        several.peers.hello().answer(asked, several.lifecycle.is_draining())
    }
}

impl Several {
    async fn at(&self, node: NodeId) -> Place {
        if self.peers.find(&node).await.is_some() { Place::At(node) } else { Place::Gone }
    }

    /// By rendezvous hashing (Thaler and Ravishankar 1998): nodes that know the same others agree, and one that comes
    /// or goes moves its own share only.
    fn keeper(&self, backend: &[u8]) -> Place {
        let weight = |node: &NodeId| {
            let mut hash = Sha256::new_with_prefix(backend);
            hash.update(node.as_str());
            <[u8; 32]>::from(hash.finalize())
        };
        let own = (!self.lifecycle.is_draining()).then(|| self.own.clone());
        let chosen = self.peers.lively().into_iter().chain(own).max_by_key(weight);
        chosen.filter(|node| *node != self.own).map_or(Place::Here, Place::At)
    }
}
