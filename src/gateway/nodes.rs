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
    let own = own_name(cluster)?;
    let wanted = cluster.listen;
    let listening = http::bind(wanted).with_context(|| {
        format!("cannot listen on {wanted} for other nodes; set cluster.listen to another")
    })?;
    tracing::info!(node = %own, address = %listening.address, "a node among several");
    Ok((Cluster::new(cluster, own, secret.reveal(), lifecycle), Some(listening)))
}

fn own_name(cluster: &settings::Cluster) -> anyhow::Result<NodeId> {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().to_ascii_lowercase();
    let name = match &*cluster.node {
        // Whatever comes behind a dot says where it is.
        "" => host.split('.').next().unwrap_or_default(),
        name => name,
    };
    NodeId::parse(name).with_context(|| {
        format!("this machine is called {name:?}, which cannot be the name of a node; set cluster.node")
    })
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
