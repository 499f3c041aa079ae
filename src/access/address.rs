//! Who a client is on the network, for limits by address. A header counts only where somebody who may
//! say so has set it; IPv6 counts by /64, which is what one household has.
//!
//! Of this machine's own addresses only loopback can be a proxy's, and only if it is named as one: sessions reach
//! us by each of them, and a network that covers the others by chance must not make them proxies.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::machine::Machine;
use super::{Gate, Presented};
use crate::settings::{Access, ClientAddress, Network};

#[derive(Debug)]
pub(super) struct AddressRule {
    source: ClientAddress,
    trusted: Vec<Network>,
    machine: Machine,
}

impl Gate {
    /// Whose request this is, as far as limits by address go.
    pub fn client(&self, presented: &Presented<'_>) -> IpAddr {
        self.addresses.client(presented)
    }

    /// Whose connection this is, as far as the other end of its socket tells: `None` for a proxy, through
    /// which many clients come.
    pub fn connecting(&self, peer: IpAddr) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        (!self.addresses.is_proxy(peer)).then(|| self.addresses.household(peer))
    }

    /// Whether this may be Fly's proxy, if the gateway runs on Fly.io.
    pub fn is_by_fly(&self, peer: IpAddr) -> bool {
        self.addresses.may_be_flys_proxy(peer.to_canonical())
    }
}

impl AddressRule {
    pub(super) fn new(access: &Access, machine: &Machine) -> Self {
        let (source, trusted) = (access.client_address, access.trusted_proxies.clone());
        Self { source, trusted, machine: machine.clone() }
    }

    /// By other settings, on the same machine.
    pub(super) fn renewed(&self, access: &Access) -> Self {
        Self::new(access, &self.machine)
    }

    pub(super) fn client(&self, presented: &Presented<'_>) -> IpAddr {
        if let Some(client) = presented.vouched.as_ref().and_then(|vouched| vouched.client) {
            return client;
        }
        let peer = presented.peer.to_canonical();
        let claimed = match self.source {
            _ if !self.is_proxy(peer) => None,
            ClientAddress::Peer => None,
            ClientAddress::Fly => match presented.fly_client_ip.as_slice() {
                [one] => parse(one),
                // The proxy sets exactly one.
                _ => None,
            },
            ClientAddress::Forwarded => self.last_untrusted_hop(&presented.forwarded_for),
        };
        self.household(claimed.unwrap_or(peer))
    }

    /// Whether this peer (in canonical form) speaks for others.
    fn is_proxy(&self, peer: IpAddr) -> bool {
        self.is_trusted(peer) || self.source == ClientAddress::Fly && self.may_be_flys_proxy(peer)
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        !self.machine.has(address) && self.trusted.iter().any(|network| network.contains(address))
    }

    /// Other apps of the organisation (fdaa::/16) and our own children reach us past Fly's proxy, and could write
    /// its header themselves.
    fn may_be_flys_proxy(&self, peer: IpAddr) -> bool {
        let is_private = matches!(peer, IpAddr::V6(v6) if v6.segments()[0] == 0xfdaa);
        !is_private && !peer.is_loopback() && !self.machine.has(peer)
    }

    /// Whom an address counts for. Every process of this machine, those of sessions too, may call from any of its
    /// addresses.
    fn household(&self, address: IpAddr) -> IpAddr {
        match address {
            _ if address.is_loopback() || self.machine.has(address) => IpAddr::from([127, 0, 0, 1]),
            IpAddr::V4(_) => address,
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        }
    }

    /// Walks the hops from ours outwards, as long as each was told by a trusted one.
    fn last_untrusted_hop(&self, forwarded_for: &[&[u8]]) -> Option<IpAddr> {
        let hops = forwarded_for.iter().rev().flat_map(|value| value.rsplit(|&byte| byte == b','));
        let mut last = None;
        for hop in hops.filter(|hop| !hop.trim_ascii().is_empty()) {
            // Not an address, such as `unknown`: the proxy that says so is as far as it can be followed.
            let Some(address) = parse(hop) else { break };
            last = Some(address);
            if !self.is_trusted(address) {
                break;
            }
        }
        last
    }
}

/// An address as proxies write it: some add the port, and then brackets to IPv6.
fn parse(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address: IpAddr = match text.parse::<SocketAddr>() {
        Ok(with_port) => with_port.ip(),
        Err(_) => bare.map_or_else(|| text.parse(), |v6| v6.parse::<Ipv6Addr>().map(IpAddr::V6)).ok()?,
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(source: ClientAddress, trusted: &[&str]) -> AddressRule {
        let trusted = trusted.iter().map(|network| network.parse().unwrap()).collect();
        let machine = Machine::default();
        machine.set(
            ["127.0.0.1", "::1", "10.7.7.7", "fdaa:0:1::7", "2001:db8:7::7"].map(|own| own.parse().unwrap()),
        );
        AddressRule { source, trusted, machine }
    }

    fn client(rule: &AddressRule, peer: &str, fly: &[&str], forwarded: &[&str]) -> String {
        let bytes = |values: &[&'static str]| values.iter().map(|value| value.as_bytes()).collect();
        let leak = |values: &[&str]| -> Vec<&'static str> {
            values.iter().map(|value| &*String::leak((*value).to_owned())).collect()
        };
        let presented = Presented {
            authorization: vec![],
            origin: vec![],
            host: None,
            peer: peer.parse().unwrap(),
            fly_client_ip: bytes(&leak(fly)),
            forwarded_for: bytes(&leak(forwarded)),
            vouched: None,
        };
        rule.client(&presented).to_string()
    }

    #[test]
    fn what_a_trusted_proxy_forwards_is_followed_to_the_first_stranger() {
        let rule = rule(ClientAddress::Forwarded, &["10.0.0.0/8", "fd00:1::/32"]);
        for (peer, forwarded, is) in [
            // Who is no proxy speaks for itself only.
            ("192.0.2.1", &["203.0.113.9"][..], "192.0.2.1"),
            ("127.0.0.1", &["203.0.113.9"], "127.0.0.1"),
            ("2001:db8::1", &["203.0.113.9"], "2001:db8::"),
            ("10.1.1.1", &[], "10.1.1.1"),
            ("::ffff:10.1.1.1", &["203.0.113.9"], "203.0.113.9"),
            ("fd00:1::7", &["203.0.113.9"], "203.0.113.9"),
            // What a client writes stands to the left of what its proxy adds.
            ("10.1.1.1", &["6.6.6.6, 203.0.113.9, 10.2.2.2"], "203.0.113.9"),
            ("10.1.1.1", &["6.6.6.6", "203.0.113.9", "10.2.2.2"], "203.0.113.9"),
            ("10.1.1.1", &["10.9.9.9, 203.0.113.9"], "203.0.113.9"),
            // Only proxies: the outermost.
            ("10.1.1.1", &["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
            // Ports, brackets, mapped addresses, spaces, empty elements.
            ("10.1.1.1", &["203.0.113.9:5678"], "203.0.113.9"),
            ("10.1.1.1", &["[2001:db8:1:2:3::4]:80"], "2001:db8:1:2::"),
            ("10.1.1.1", &["[2001:db8:1:2:3::4]"], "2001:db8:1:2::"),
            ("10.1.1.1", &["2001:db8:1:2:3::4"], "2001:db8:1:2::"),
            ("10.1.1.1", &["6.6.6.6, [::ffff:203.0.113.9]:80"], "203.0.113.9"),
            ("10.1.1.1", &["6.6.6.6,\t203.0.113.9 , ,10.2.2.2:1,"], "203.0.113.9"),
            // What cannot be read ends the way: not a step past it.
            ("10.1.1.1", &["203.0.113.9, unknown"], "10.1.1.1"),
            ("10.1.1.1", &["203.0.113.9, unknown, 10.2.2.2"], "10.2.2.2"),
            ("10.1.1.1", &["203.0.113.9, [203.0.113.8]"], "10.1.1.1"),
            ("10.1.1.1", &["203.0.113.9, 203.0.113.8:http"], "10.1.1.1"),
            ("10.1.1.1", &["\u{e9}"], "10.1.1.1"),
            ("10.1.1.1", &[""], "10.1.1.1"),
        ] {
            assert_eq!(client(&rule, peer, &["6.6.6.6"], forwarded), is, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn flys_header_counts_from_flys_proxy_only_and_once() {
        let rule = rule(ClientAddress::Fly, &["fdaa:0:1::5"]);
        for (peer, fly, is) in [
            ("172.16.0.2", &["203.0.113.9"][..], "203.0.113.9"),
            ("172.16.0.2", &["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::"),
            ("172.16.0.2", &["203.0.113.9", "203.0.113.9"], "172.16.0.2"),
            ("172.16.0.2", &["203.0.113.9, 203.0.113.8"], "172.16.0.2"),
            ("172.16.0.2", &[], "172.16.0.2"),
            ("fdaa::5", &["203.0.113.9"], "fdaa::"),
            ("127.0.0.1", &["203.0.113.9"], "127.0.0.1"),
            ("::1", &["203.0.113.9"], "127.0.0.1"),
            ("::ffff:127.0.0.1", &["203.0.113.9"], "127.0.0.1"),
            // One of the organisation that is named as a proxy.
            ("fdaa:0:1::5", &["203.0.113.9"], "203.0.113.9"),
        ] {
            assert_eq!(client(&rule, peer, fly, &["6.6.6.6"]), is, "{peer} {fly:?}");
        }
    }

    #[test]
    fn this_machines_own_addresses_speak_for_nobody_but_loopback_if_it_is_named() {
        let own = ["10.7.7.7", "::ffff:10.7.7.7", "fdaa:0:1::7", "2001:db8:7::7"];
        for source in [ClientAddress::Fly, ClientAddress::Forwarded, ClientAddress::Peer] {
            let everybody = rule(source, &["0.0.0.0/0", "::/0"]);
            for peer in own {
                assert_eq!(
                    client(&everybody, peer, &["203.0.113.9"], &["203.0.113.9"]),
                    "127.0.0.1",
                    "{peer}"
                );
                assert!(!everybody.is_proxy(peer.parse::<IpAddr>().unwrap().to_canonical()), "{peer}");
            }
            assert!(everybody.is_proxy("127.0.0.1".parse().unwrap()), "a proxy on this host over loopback");
            assert_ne!(client(&everybody, "2001:db8:7::8", &[], &[]), "127.0.0.1", "a neighbour");
        }
        let fly = rule(ClientAddress::Fly, &[]);
        assert_eq!(client(&fly, "2001:db8:7::7", &["203.0.113.9"], &[]), "127.0.0.1");
        assert!(!fly.is_proxy("2001:db8:7::7".parse().unwrap()));
        // What one of ours has told a proxy on this host goes no further than itself.
        let local = rule(ClientAddress::Forwarded, &["127.0.0.1", "10.0.0.0/8"]);
        assert_eq!(client(&local, "127.0.0.1", &[], &["6.6.6.6, 10.7.7.7"]), "127.0.0.1");
        assert_eq!(client(&local, "127.0.0.1", &[], &["6.6.6.6, 203.0.113.9"]), "203.0.113.9");
    }

    #[test]
    fn connections_count_by_household_but_not_those_of_proxies() {
        let counted = |rule: &AddressRule, peer: &str| !rule.is_proxy(peer.parse().unwrap());
        let peer = rule(ClientAddress::Peer, &[]);
        assert!(counted(&peer, "192.0.2.1") && counted(&peer, "127.0.0.1"));
        for loopback in ["127.9.9.9", "::1"] {
            assert_eq!(client(&peer, loopback, &[], &[]), "127.0.0.1", "this machine is one household");
        }
        let trusting = rule(ClientAddress::Peer, &["10.0.0.0/8"]);
        assert!(counted(&trusting, "192.0.2.1") && !counted(&trusting, "10.1.1.1"));
        assert_eq!(client(&trusting, "10.1.1.1", &["6.6.6.6"], &["6.6.6.6"]), "10.1.1.1");
        let fly = rule(ClientAddress::Fly, &[]);
        assert!(!counted(&fly, "172.16.0.2") && counted(&fly, "fdaa::5") && counted(&fly, "127.0.0.1"));
    }
}
