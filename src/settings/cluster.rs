//! `[cluster]`: several gateways that serve the same clients.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::choice::Choice;
use crate::ids::NodeId;

/// What this node is called, and how it gets to the others. Their common secret is `LOCKGATE_CLUSTER_SECRET`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Cluster {
    /// How a request gets to the node that has its session.
    pub reach: Reach,
    /// This node's name; empty for what the platform calls it.
    pub node: String,
    /// Where other nodes hand requests over.
    pub listen: SocketAddr,
    /// Where nodes are: host and port. A name stands for all its addresses.
    pub nodes: Vec<String>,
}

/// How a request gets to the node that has its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", rename_all = "lowercase")]
pub enum Reach {
    /// There is one node.
    None,
    /// The node that was asked passes it on over the private network.
    Forward,
    /// Fly's proxy brings it there; what is too large for that is passed on.
    Fly,
}

impl Cluster {
    /// Whether there are several nodes.
    pub fn has_others(&self) -> bool {
        self.reach != Reach::None
    }

    pub(super) fn check(&self, public: SocketAddr) -> Result<(), (&'static str, String)> {
        if !self.node.is_empty() && NodeId::parse(&self.node).is_none() {
            let reason = "must be 1 to 63 of a-z, 0-9 and -, with a letter or a digit at both ends";
            return Err(("cluster.node", format!("{:?} {reason}", self.node)));
        }
        for node in &self.nodes {
            let port = node.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            if !port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0)) {
                let reason =
                    "is no place of nodes; give a host and a port, such as \"lockgate.internal:8002\"";
                return Err(("cluster.nodes", format!("holds {node:?}, which {reason}")));
            }
        }
        if !self.has_others() {
            return Ok(());
        }
        if self.nodes.is_empty() {
            let reason = "names nobody; with cluster.reach, give where the nodes are, such as [\"lockgate.internal:8002\"]";
            return Err(("cluster.nodes", reason.into()));
        }
        if self.listen.port() != 0 && self.listen.port() == public.port() {
            let reason = format!("{} has the port of listen.address; give it one of its own", self.listen);
            return Err(("cluster.listen", reason));
        }
        Ok(())
    }
}

impl Choice for Reach {
    const WORDS: &'static [(&'static str, Self)] =
        &[("none", Self::None), ("forward", Self::Forward), ("fly", Self::Fly)];
}

impl TryFrom<String> for Reach {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::of(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_nodes_need_names_that_routers_can_read_and_places() {
        let public = SocketAddr::from(([0, 0, 0, 0], 8000));
        let check = |reach, node: &str, nodes: &[&str], port| {
            let nodes = nodes.iter().map(|node| (*node).to_owned()).collect();
            let listen = SocketAddr::from(([0, 0, 0, 0], port));
            Cluster { reach, node: node.into(), listen, nodes }.check(public).map_err(|(key, _)| key)
        };
        assert_eq!(check(Reach::None, "", &[], 8002), Ok(()));
        assert_eq!(check(Reach::Forward, "n1", &["lockgate.internal:8002", "[::1]:8002"], 8002), Ok(()));
        assert_eq!(check(Reach::Forward, "N1", &["a:1"], 8002), Err("cluster.node"));
        for nodes in [&[][..], &["lockgate.internal"], &[":8002"], &["a:0"], &["a:x"]] {
            assert_eq!(check(Reach::Fly, "", nodes, 8002), Err("cluster.nodes"), "{nodes:?}");
        }
        assert_eq!(check(Reach::Fly, "", &["a:1"], 8000), Err("cluster.listen"));
    }
}
