//! One node among several: what it is called, where others reach it, and that it knows of them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use anyhow::{Context, bail};
use tokio_util::task::AbortOnDropHandle;

use crate::access::Secret;
use crate::cluster::Cluster;
use crate::http::{self, Front, Listening};
use crate::ids::NodeId;
use crate::lifecycle::Lifecycle;
use crate::settings::{self, Settings};

/// Puts together what a gateway knows of others, and takes the address where they reach it, if there are others.
///
/// # Errors
/// With what is wrong and what to do, for people.
pub(super) fn join(
    settings: &Settings,
    secret: Option<&Secret>,
    lifecycle: &Lifecycle,
) -> anyhow::Result<(Cluster, Option<Listening>)> {
    let cluster = &settings.cluster;
    if !cluster.has_others() {
        return Ok((Cluster::alone(), None));
    }
    let Some(secret) = secret else {
        bail!(
            "with cluster.reach, the nodes need a secret in common; set LOCKGATE_CLUSTER_SECRET to the same on each \
             (`lockgate secret` prints one)"
        );
    };
    let own = node_name(cluster);
    let wanted = cluster.listen;
    let listening = http::bind(wanted).with_context(|| {
        format!("cannot listen on {wanted} for other nodes; set cluster.listen to another")
    })?;
    tracing::info!(node = %own, address = %listening.address, "a node among several");
    Ok((Cluster::new(cluster, own, secret.reveal(), lifecycle), Some(listening)))
}

/// What this node is called: as the settings say, else as the host is, in `a-z`, `0-9` and `-`.
pub fn node_name(cluster: &settings::Cluster) -> NodeId {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    let host: String = host.chars().map(plain).take(63).collect();
    [&*cluster.node, host.trim_matches('-')].into_iter().find_map(NodeId::parse).unwrap_or_default()
}

/// The listener of other nodes, while it is served.
pub(super) struct Joined {
    handle: ServerHandle,
    served: AbortOnDropHandle<()>,
    _following: Option<AbortOnDropHandle<()>>,
}

impl Joined {
    pub(super) fn begin(
        listening: Listening,
        front: &Arc<Front>,
        stalled: Duration,
        lifecycle: &Lifecycle,
    ) -> io::Result<Self> {
        let server = http::serve_nodes(listening, front, stalled)?;
        let handle = server.handle();
        let served = lifecycle.spawn_bound(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "the listener of other nodes ended by itself");
            }
        });
        let peers = front.cluster.peers().cloned();
        let follow = peers.map(|peers| lifecycle.spawn_bound(peers.follow(lifecycle.clone())));
        Ok(Self { handle, served, _following: follow })
    }

    /// Once there is nothing left here that others could want.
    pub(super) async fn end(self) {
        self.handle.stop(true).await;
        let _ = self.served.await;
    }
}
