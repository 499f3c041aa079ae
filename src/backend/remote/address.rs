//! Where remote servers may be: on the public internet, and on networks of one's own if the operator says so.
//!
//! A name is judged by all that it resolves to, each time that a connection is made: what was looked at is what is
//! connected to, so a name that changes its mind gains nothing. Where a cloud tells a machine about itself no
//! server may be in any case, because whoever can have a URL fetched there has the machine's identity.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

/// How far connections to a server may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::backend) enum Reach {
    /// To the public internet.
    Guarded,
    /// To private networks and this host as well: the server's settings say `allow_private = true`.
    Open,
}

/// Why a server may not be where it is. None of them tells the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Only where the settings say `allow_private = true`.
    #[error(
        "it is not on the public internet; `allow_private = true` in the server's settings would let it be"
    )]
    Private,
    /// In no case.
    #[error(
        "it is link-local, a cloud's metadata service, or in a range for special use; no server may be there"
    )]
    Reserved,
}

/// A name has no address, or nobody could say.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct Unresolved(#[from] io::Error);

/// Resolves names for a client.
#[derive(Debug)]
pub(super) struct Resolver(pub(super) Reach);

/// What an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Public,
    Private,
    Reserved,
}

use Place::{Private, Public, Reserved};

/// What of IPv4 is not public (IANA's special-purpose registry, RFC 6890, and what clouds have made of it); the
/// first that holds an address counts.
const V4: [(Ipv4Addr, u32, Place); 16] = [
    // The metadata of Azure and of Alibaba Cloud; all others have theirs link-local.
    (Ipv4Addr::new(168, 63, 129, 16), 32, Reserved),
    (Ipv4Addr::new(100, 100, 100, 200), 32, Reserved),
    (Ipv4Addr::new(169, 254, 0, 0), 16, Reserved),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Private),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Private),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Private),
    (Ipv4Addr::new(192, 168, 0, 0), 16, Private),
    // For benchmarks, and what some VPNs let every name resolve to.
    (Ipv4Addr::new(198, 18, 0, 0), 15, Private),
    (Ipv4Addr::new(0, 0, 0, 0), 8, Reserved),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Reserved),
    // 6to4 relays, and three networks for documentation.
    (Ipv4Addr::new(192, 88, 99, 0), 24, Reserved),
    (Ipv4Addr::new(192, 0, 2, 0), 24, Reserved),
    (Ipv4Addr::new(198, 51, 100, 0), 24, Reserved),
    (Ipv4Addr::new(203, 0, 113, 0), 24, Reserved),
    // Multicast, future use, broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 3, Reserved),
];

/// What IPv6 addresses are; what none of these holds is reserved.
const V6: [(Ipv6Addr, u32, Place); 10] = [
    // The metadata of Amazon, Google and Scaleway.
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32, Reserved),
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128, Reserved),
    (Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42), 128, Reserved),
    (Ipv6Addr::LOCALHOST, 128, Private),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, Private),
    // Teredo and others, documentation, 6to4, documentation again.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, Reserved),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, Reserved),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, Reserved),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, Reserved),
    // All that has been given out.
    (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3, Public),
];

/// Prefixes whose last 32 bits are the IPv4 address that is meant: mapped ones, and those that a gateway of the
/// network translates (RFC 6052), by which a host without IPv4 reaches all of it.
const EMBEDDING: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0)];

// === impl Reach ===

impl Reach {
    /// Looks at a URL's host. An address that stands there is never resolved, so this is where it is judged.
    ///
    /// # Errors
    /// If it is an address where no server may be. A name is judged when it is resolved.
    pub(super) fn check(self, host: &Host<&str>) -> Result<(), Forbidden> {
        match host {
            Host::Domain(_) => Ok(()),
            Host::Ipv4(address) => self.check_address((*address).into()),
            Host::Ipv6(address) => self.check_address((*address).into()),
        }
    }

    /// All of them: one that may not be is not outvoted by others that may.
    fn check_all(self, addresses: &[SocketAddr]) -> Result<(), Forbidden> {
        addresses.iter().try_for_each(|address| self.check_address(address.ip()))
    }

    fn check_address(self, address: IpAddr) -> Result<(), Forbidden> {
        match (Place::of(address), self) {
            (Public, _) | (Private, Self::Open) => Ok(()),
            (Private, Self::Guarded) => Err(Forbidden::Private),
            (Reserved, _) => Err(Forbidden::Reserved),
        }
    }
}

// === impl Place ===

impl Place {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => Self::of_v6(v6),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let holds = |(network, prefix, _): &&(Ipv4Addr, u32, Self)| {
            (network.to_bits() ^ address.to_bits()).leading_zeros() >= *prefix
        };
        V4.iter().find(holds).map_or(Public, |(_, _, place)| *place)
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let shares = |network: &Ipv6Addr| (network.to_bits() ^ address.to_bits()).leading_zeros();
        if EMBEDDING.iter().any(|network| shares(network) >= 96) {
            let [.., a, b, c, d] = address.octets();
            return Self::of_v4(Ipv4Addr::new(a, b, c, d));
        }
        V6.iter()
            .find(|(network, prefix, _)| shares(network) >= *prefix)
            .map_or(Reserved, |(_, _, place)| *place)
    }
}

// === impl Resolver ===

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(Unresolved)?;
            let found: Vec<SocketAddr> = found.collect();
            reach.check_all(&found)?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(address: &str) -> Place {
        Place::of(address.parse().unwrap())
    }

    #[test]
    fn what_is_public_may_be_reached() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:200::",
            "2003::1",
            "2001:db9::",
            "3ffe::",
            "3fff:1000::",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ] {
            assert_eq!(place(address), Public, "{address}");
        }
    }

    #[test]
    fn what_is_private_may_be_reached_if_the_operator_says_so() {
        for address in [
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.168.0.0",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "::1",
            "fc00::",
            "fdaa:0:1::3",
            "fdff:ffff::1",
            "::ffff:127.0.0.1",
            "::ffff:10.1.2.3",
            "64:ff9b::192.168.1.1",
        ] {
            assert_eq!(place(address), Private, "{address}");
            let address = address.parse().unwrap();
            assert_eq!(Reach::Guarded.check_address(address), Err(Forbidden::Private));
            assert_eq!(Reach::Open.check_address(address), Ok(()));
        }
    }

    #[test]
    fn what_is_reserved_may_not_be_reached_at_all() {
        for address in [
            // Metadata.
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:42::42",
            // The same in other words.
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "2001:0:a9fe:a9fe::1",
            // Link-local, and what nobody has.
            "169.254.0.0",
            "169.254.255.255",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "0.0.0.0",
            "0.255.255.255",
            "192.0.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::7f00:1",
            "::a00:1",
            "100::1",
            "2001:db8::1",
            "3fff::1",
            "5f00::1",
            "ff02::1",
        ] {
            assert_eq!(place(address), Reserved, "{address}");
            let address = address.parse().unwrap();
            for reach in [Reach::Guarded, Reach::Open] {
                assert_eq!(reach.check_address(address), Err(Forbidden::Reserved));
            }
        }
    }

    // Which clouds there are is written down twice: for what sessions send packets to, and here.
    #[test]
    fn where_no_session_may_ask_about_its_machine_no_server_may_be() {
        for (network, prefix) in crate::backend::sandbox::metadata() {
            let prefix = u32::from(prefix);
            let last: IpAddr = match network {
                IpAddr::V4(v4) => {
                    (v4 | Ipv4Addr::from_bits(u32::MAX.checked_shr(prefix).unwrap_or(0))).into()
                }
                IpAddr::V6(v6) => {
                    (v6 | Ipv6Addr::from_bits(u128::MAX.checked_shr(prefix).unwrap_or(0))).into()
                }
            };
            for (address, reach) in
                [network, last].iter().flat_map(|a| [(a, Reach::Guarded), (a, Reach::Open)])
            {
                assert_eq!(reach.check_address(*address), Err(Forbidden::Reserved), "{address}");
            }
        }
    }

    #[test]
    fn one_bad_address_among_good_ones_is_enough() {
        let addresses = |all: &[&str]| -> Vec<SocketAddr> {
            all.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0)).collect()
        };
        assert_eq!(Reach::Guarded.check_all(&addresses(&["1.1.1.1", "2606:4700::1111"])), Ok(()));
        let mixed = addresses(&["1.1.1.1", "2606:4700::1111", "10.0.0.1"]);
        assert_eq!(Reach::Guarded.check_all(&mixed), Err(Forbidden::Private));
        assert_eq!(Reach::Open.check_all(&mixed), Ok(()));
        assert_eq!(Reach::Open.check_all(&addresses(&["1.1.1.1", "fe80::1"])), Err(Forbidden::Reserved));
    }
}
