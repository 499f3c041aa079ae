//! All nodes are restarted, one after the other, as a deployment does it, while clients go on.

use super::front::{Front, Way};
use super::load::{Counts, ENDLESS, Load, plan};
use super::nodes::Cluster;
use super::proxy::{Kind, Proxy};

/// Less than what anybody would wait for a test, more than what a call takes.
const DRAIN: &str = "[timeouts]\ndrain = \"4s\"\neof = \"500ms\"\nterm = \"500ms\"\n";

/// What clients may be told then: their session has ended, or is not opened now. The rest of their calls end with the
/// connection, which they close themselves then. Whoever sends on a connection that its other end is just closing is
/// not answered (RFC 9112 section 9.3.1); front ends say so in their way.
fn is_allowed(error: &str) -> bool {
    [
        "404",
        "503",
        "no such session",
        "Session terminated",
        "session has ended",
        "shutting down",
        "onnection closed",
        "Server returned an error response",
        "ended before it answered",
        "502",
        "the connection to the node that has what this needs broke",
        "the connection to the node that was to answer broke",
    ]
    .iter()
    .any(|text| error.contains(text))
}

fn is_well(counts: &Counts) {
    assert!(counts.ok > 0);
    assert_eq!((counts.lost, counts.crossed), (0, 0), "{:?}", counts.errors);
    let others: Vec<_> = counts.errors.iter().filter(|(text, _)| !is_allowed(text)).collect();
    assert!(others.is_empty(), "{others:?}");
}

/// Each in turn, when those before are there again.
async fn restart_all(cluster: &mut Cluster) {
    for place in 0..cluster.nodes.len() {
        let status = cluster.nodes[place].stop();
        assert!(status.success(), "{} ends with {status}", cluster.nodes[place].name);
        cluster.nodes[place].start();
        cluster.until_together().await;
    }
}

fn restarted_in_turn(reach: &'static str, way: Way) {
    Cluster::run(plan(reach).with(DRAIN), async |cluster| {
        let front = Front::start(way, cluster).await;
        let load = Load::start_again_and_again(&front.base, &ENDLESS);
        restart_all(cluster).await;
        is_well(&load.finish());
        front.is_content();
    });
}

#[test]
fn a_rolling_restart_loses_and_crosses_nothing_where_requests_are_forwarded() {
    restarted_in_turn("forward", Way::Turns);
}

#[test]
fn a_rolling_restart_loses_and_crosses_nothing_behind_flys_proxy() {
    restarted_in_turn("fly", Way::Fly);
}

#[test]
fn a_rolling_restart_loses_and_crosses_nothing_behind_haproxy() {
    Cluster::run(plan("forward").with(DRAIN), async |cluster| {
        let Some(proxy) = Proxy::start(Kind::HaProxy, cluster).await else { return };
        let load = Load::start_again_and_again(&proxy.base, &ENDLESS);
        restart_all(cluster).await;
        is_well(&load.finish());
    });
}
