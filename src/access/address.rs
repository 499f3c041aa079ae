//! Who a client is on the network, for limits by address. A header counts only where somebody who may
//! say so has set it; IPv6 counts by /64, which is what one household has.

use std::net::{IpAddr, Ipv6Addr};

use super::Presented;
use crate::settings::{Access, ClientAddress, Network};

#[derive(Debug)]
pub(super) struct AddressRule {
    source: ClientAddress,
    trusted: Vec<Network>,
}

impl AddressRule {
    pub(super) fn new(access: &Access) -> Self {
        Self { source: access.client_address, trusted: access.trusted_proxies.clone() }
    }

    pub(super) fn client(&self, presented: &Presented<'_>) -> IpAddr {
        let peer = presented.peer.to_canonical();
        let claimed = match self.source {
            ClientAddress::Peer => None,
            // Other apps of the organisation reach us past Fly's proxy and could write the header themselves.
            ClientAddress::Fly if is_fly_private(peer) => None,
            ClientAddress::Fly => match presented.fly_client_ip.as_slice() {
                [one] => parse(one),
                _ => None,
            },
            ClientAddress::Forwarded => self.last_untrusted_hop(peer, &presented.forwarded_for),
        };
        household(claimed.unwrap_or(peer))
    }

    /// Walks the hops from ours outwards, as long as each was told by a trusted one.
    fn last_untrusted_hop(&self, peer: IpAddr, forwarded_for: &[&[u8]]) -> Option<IpAddr> {
        let trusted = |address: IpAddr| self.trusted.iter().any(|network| network.contains(address));
        if !trusted(peer) {
            return None;
        }
        let hops = forwarded_for.iter().rev().flat_map(|value| value.rsplit(|&byte| byte == b','));
        let mut last = None;
        for hop in hops {
            let address = parse(hop)?;
            last = Some(address);
            if !trusted(address) {
                break;
            }
        }
        last
    }
}

fn parse(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

fn is_fly_private(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.segments()[0] == 0xfdaa)
}

fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
    }
}
