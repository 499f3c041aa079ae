//! What goes to other nodes and comes from them.

use super::sheet::{Labels, Sheet, float};
use crate::cluster::{Cluster, Handed, Totals};

/// Nothing, if there is one gateway.
pub(super) fn cluster(sheet: &mut Sheet, cluster: &Cluster) {
    let Some(peers) = cluster.peers() else { return };
    let Totals { replayed, open, received, gone } = cluster.figures().totals();
    let one = |number: u64| [(Labels::new(), float(number))];
    let nodes = float(peers.count() as u64) + 1.0;
    sheet.gauge(
        "lockgate_cluster_nodes",
        "Nodes that this one knows, itself included.",
        [(Labels::new(), nodes)],
    );
    let forwarded = cluster.figures().forwarded().map(|(how, number)| ("forward", how, number));
    let handed = forwarded.into_iter().chain([("replay", Handed::Over, replayed)]);
    let handed = handed.map(|(way, how, number)| {
        (vec![("way", way.to_owned()), ("outcome", how.name().to_owned())], float(number))
    });
    sheet.counter("lockgate_handovers", "Requests for what another node has, by what came of them.", handed);
    sheet.gauge("lockgate_handovers_open", "Requests that another node is answering.", one(open));
    sheet.counter(
        "lockgate_handovers_received",
        "Requests that other nodes have handed over.",
        one(received),
    );
    sheet.counter("lockgate_sessions_gone", "Requests for sessions whose node is gone.", one(gone));
}
