//! Another node, for a request that needs what it has.

use std::net::IpAddr;

use bytes::Bytes;
use http::{Request, Response, StatusCode};

use super::Several;
use super::line::{Line, NotPassedOn, Passing};
use super::peers::Peer;
use crate::access::HandedOver;
use crate::ids::NodeId;
use crate::settings::Reach;

/// The node that has what a request needs.
#[derive(Debug)]
pub struct Owner<'c> {
    several: &'c Several,
    node: NodeId,
    peer: Peer,
}

/// What a node answers that does not believe this one, or does not have the name that it is called by: nothing was done.
const NOT_MEANT: StatusCode = StatusCode::MISDIRECTED_REQUEST;
/// A node that drains says so to others with all that it says: they ask it only now and then.
pub const DRAINING: &str = "lockgate-draining";

impl<'c> Owner<'c> {
    pub(super) fn new(several: &'c Several, node: NodeId, peer: Peer) -> Self {
        Self { several, node, peer }
    }

    /// What it is called.
    pub fn node(&self) -> &NodeId {
        &self.node
    }

    /// Whether Fly's proxy brings requests there: it sends nothing to one whose health checks fail, as those of one
    /// that drains do.
    pub fn is_replayed_to(&self) -> bool {
        self.several.reach == Reach::Fly && !self.peer.draining
    }

    /// What to say with a request that goes there. `client` is for where the other end of the connection is this node.
    pub fn sign(&self, request: &HandedOver<'_>, client: Option<IpAddr>) -> String {
        self.several.handovers.sign(&self.node, request, client)
    }

    /// Passes a request on, whose URI is a path and a query.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn pass(&self, line: &Line, request: Request<Bytes>) -> Result<Response<Passing>, NotPassedOn> {
        let (peers, address) = (&self.several.peers, self.peer.address);
        let answer = match line.pass(address, request.clone()).await {
            // The first packet may have been lost.
            Err(NotPassedOn::Gone) => line.pass(address, request).await,
            answer => answer,
        };
        match answer {
            Ok(answer) if answer.status() == NOT_MEANT => {
                // Why that may be, hellos have told the log.
                tracing::debug!(node = %self.node, "a node does not believe that a request is for it");
                Err(NotPassedOn::Gone)
            }
            Ok(answer) => {
                if answer.headers().contains_key(DRAINING) {
                    peers.drains(&self.node);
                }
                Ok(answer)
            }
            Err(NotPassedOn::Broken) if peers.goes_on(line, address).await => Err(NotPassedOn::Broken),
            Err(reason) => {
                peers.lost(&self.node, address);
                Err(if reason == NotPassedOn::Broken { NotPassedOn::Ended } else { reason })
            }
        }
    }
}
