//! Where a session is, if there are several nodes: gateways that serve the same clients, each with sessions of its own.
//!
//! The id of a session names its node, so nobody has to be asked. A request for one that is elsewhere is handed over:
//! [`Line`] passes it on over the private network, or Fly's proxy brings it there. Requests that stand for themselves
//! have a keeper: of one tenant's, for one backend, all go to one node, where it is warm. [`Peers`] are the nodes that
//! there are: DNS has their addresses, and each says itself what it is called.

mod figures;
mod hello;
mod line;
mod owner;
mod peers;

use std::sync::Arc;

use sha2::{Digest, Sha256};

pub use self::figures::{Figures, Handed, Open, Totals};
pub use self::hello::{Answer, HELLO, HELLO_PATH};
pub use self::line::{Line, NotPassedOn, Passing};
pub use self::owner::{DRAINING, Owner};
pub use self::peers::Peers;

use self::hello::Hello;
use self::peers::Peer;
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
#[derive(Debug)]
pub enum Place<'c> {
    /// At this node, if anywhere.
    Here,
    /// At another.
    At(Owner<'c>),
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

    /// Whether there is one gateway.
    pub fn is_alone(&self) -> bool {
        self.several.is_none()
    }

    /// How requests get to other nodes.
    pub fn reach(&self) -> Reach {
        self.several.as_ref().map_or(Reach::None, |several| several.reach)
    }

    /// What reads what other nodes say of the requests that they hand over.
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

    /// One is passed on. If it `asks` for something, a shutdown waits for its answer, as it does for those of sessions.
    pub fn pass_on(&self, asks: bool) -> Open {
        let lifecycle = self.several.as_ref().map(|several| &several.lifecycle).filter(|_| asks);
        self.figures.open(lifecycle.map(Lifecycle::hold))
    }

    /// Where a session is.
    pub async fn place(&self, id: &SessionId) -> Place<'_> {
        let Some(several) = &self.several else { return Place::Here };
        match several.mint.maker(id) {
            None => Place::Here,
            Some(node) => several.at(node).await,
        }
    }

    /// Where a request goes that stands for itself, for this backend: to the node that has given out the state which
    /// it brings back, if that is still there; else to the backend's keeper.
    pub fn keeper(&self, backend: &Fingerprint, state: Option<&str>) -> Place<'_> {
        let Some(several) = &self.several else { return Place::Here };
        match state.and_then(Mint::marker) {
            Some(node) if node == several.own => return Place::Here,
            // Nobody is asked: anyone can write a mark.
            Some(node) => {
                if let Some(peer) = several.peers.peer(&node) {
                    return Place::At(Owner::new(several, node, peer));
                }
            }
            None => {}
        }
        several.keeper(backend.bytes())
    }

    /// What a node has to say to another that asks who it is; `None` if whoever asks is none.
    pub fn introduce(&self, asked: &str) -> Option<Answer> {
        let several = self.several.as_ref()?;
        several.peers.hello().answer(asked, several.lifecycle.is_draining())
    }
}

impl Several {
    async fn at(&self, node: NodeId) -> Place<'_> {
        match self.peers.find(&node).await {
            Some(peer) => Place::At(Owner::new(self, node, peer)),
            None => Place::Gone,
        }
    }

    /// By rendezvous hashing (Thaler and Ravishankar 1998): nodes that know the same others agree, and one that comes
    /// or goes moves its own share only.
    fn keeper(&self, backend: &[u8]) -> Place<'_> {
        let weight = |(node, _): &(NodeId, Option<Peer>)| {
            let mut hash = Sha256::new_with_prefix(backend);
            hash.update(node.as_str());
            <[u8; 32]>::from(hash.finalize())
        };
        let own = (!self.lifecycle.is_draining()).then(|| (self.own.clone(), None));
        let others = self.peers.lively().into_iter().map(|(node, peer)| (node, Some(peer)));
        match others.chain(own).max_by_key(weight) {
            Some((node, Some(peer))) => Place::At(Owner::new(self, node, peer)),
            _ => Place::Here,
        }
    }
}
