//! What the place that a machine stands in offers to whatever runs on it, and sessions must not have: the metadata
//! of clouds, which may hold credentials; on Fly.io also the socket that gives out identities and the private network
//! of the organisation (security.md T18).

use std::fs::{self, Permissions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::netlink::{self, CREATE, NEW_RULE, attribute};
use crate::settings::UidRange;

/// The directory of the machine's socket.
const FLY: &str = "/.fly";
/// Set on every machine of the platform.
const FLY_VARIABLE: &str = "FLY_APP_NAME";

/// Addresses that packets go to.
#[derive(Clone, Copy)]
struct Destination {
    network: IpAddr,
    prefix: u8,
    /// Only these: the protocol's number and the port.
    service: Option<(u8, u16)>,
}

/// What becomes of packets.
#[derive(Clone, Copy)]
enum Verdict {
    /// As for everybody else.
    Route,
    /// Refused with a clear error.
    Prohibit,
}

/// Where a machine asks about itself: link-local, where nearly every cloud has it, and what some have beside or
/// instead.
const METADATA: [Destination; 6] = [
    Destination::of(IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), 16),
    // Alibaba Cloud.
    Destination::of(IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), 32),
    // Azure, which answers DNS there, too.
    Destination::of(IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)), 32),
    // Amazon.
    Destination::of(IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0)), 32),
    // Google.
    Destination::of(IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)), 128),
    // Scaleway.
    Destination::of(IpAddr::V6(Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42)), 128),
];
const PRIVATE: Destination = Destination::of(IpAddr::V6(Ipv6Addr::new(0xfdaa, 0, 0, 0, 0, 0, 0, 0)), 16);
/// Where Fly.io looks up names.
const PRIVATE_NAMES: Destination =
    Destination::of(IpAddr::V6(Ipv6Addr::new(0xfdaa, 0, 0, 0, 0, 0, 0, 3)), 128);
/// Names are looked up by both (`/etc/protocols`).
const TCP: u8 = 6;
const UDP: u8 = 17;
const NAMES: u16 = 53;
/// Before the rules that every machine has.
const PRIORITY: u32 = 100;

/// Whether this is a machine of Fly.io.
pub(super) fn is_fly() -> bool {
    std::env::var_os(FLY_VARIABLE).is_some() || Path::new(FLY).exists()
}

/// Keeps the users of sessions from Fly.io's identities and private network. As all of these rules, they stay when
/// the gateway has gone, and the next with these ids finds them.
pub(super) fn keep_from_fly(uids: UidRange) -> io::Result<()> {
    match fs::set_permissions(FLY, Permissions::from_mode(0o700)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    have(uids, &PRIVATE_NAMES, Verdict::Route)?;
    have(uids, &PRIVATE, Verdict::Prohibit)
}

/// Keeps the users of sessions from the metadata of clouds, but lets them look up names: some clouds have both at the
/// same address.
pub(super) fn keep_from_metadata(uids: UidRange) -> io::Result<()> {
    let resolvers = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    for resolver in nameservers(&resolvers).filter(|address| METADATA.iter().any(|all| all.covers(*address)))
    {
        let prefix = if resolver.is_ipv4() { 32 } else { 128 };
        for protocol in [UDP, TCP] {
            let service = Some((protocol, NAMES));
            have(uids, &Destination { service, ..Destination::of(resolver, prefix) }, Verdict::Route)?;
        }
    }
    METADATA.iter().try_for_each(|all| have(uids, all, Verdict::Prohibit))
}

/// What sessions are kept from, as networks and their prefixes: no remote server may be there either.
#[cfg(test)]
pub(in crate::backend) fn metadata() -> impl Iterator<Item = (IpAddr, u8)> {
    METADATA.iter().map(|all| (all.network, all.prefix))
}

impl Destination {
    const fn of(network: IpAddr, prefix: u8) -> Self {
        Self { network, prefix, service: None }
    }

    fn covers(&self, address: IpAddr) -> bool {
        match (self.network, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).leading_zeros() >= self.prefix.into()
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).leading_zeros() >= self.prefix.into()
            }
            _ => false,
        }
    }
}

/// The addresses at which names are looked up (resolv.conf(5)).
fn nameservers(text: &str) -> impl Iterator<Item = IpAddr> {
    let named = text.lines().filter_map(|line| line.strip_prefix("nameserver"));
    named.filter_map(|rest| rest.split_whitespace().next()?.parse().ok())
}

/// Makes a rule that may be there already. Of what a host does not speak, nothing has to be refused.
fn have(uids: UidRange, to: &Destination, verdict: Verdict) -> io::Result<()> {
    if to.network.is_ipv6() && !Path::new("/proc/net/if_inet6").exists() {
        return Ok(());
    }
    match netlink::request(NEW_RULE, CREATE, &rule(uids, to, verdict)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// A rule as `ip rule add uidrange … to …` makes it.
fn rule(uids: UidRange, to: &Destination, verdict: Verdict) -> Vec<u8> {
    const AF_INET: u8 = 2;
    const AF_INET6: u8 = 10;
    const TABLE_MAIN: u8 = 254;
    const TO_TABLE: u8 = 1;
    const PROHIBIT: u8 = 8;
    const DESTINATION: u16 = 1;
    const PRIORITY_OF: u16 = 6;
    const UID_RANGE: u16 = 20;
    const PROTOCOL: u16 = 22;
    const PORTS: u16 = 24;
    let (family, address) = match to.network {
        IpAddr::V4(v4) => (AF_INET, v4.octets().to_vec()),
        IpAddr::V6(v6) => (AF_INET6, v6.octets().to_vec()),
    };
    // What is let through goes first.
    let (table, action, priority) = match verdict {
        Verdict::Route => (TABLE_MAIN, TO_TABLE, PRIORITY),
        Verdict::Prohibit => (0, PROHIBIT, PRIORITY + 1),
    };
    let mut rule = vec![family, to.prefix, 0, 0, table, 0, 0, action];
    rule.extend([0; 4]); // flags
    rule.extend(attribute(DESTINATION, &address));
    rule.extend(attribute(PRIORITY_OF, &priority.to_ne_bytes()));
    rule.extend(attribute(UID_RANGE, &[uids.first.to_ne_bytes(), uids.last.to_ne_bytes()].concat()));
    if let Some((protocol, port)) = to.service {
        rule.extend(attribute(PROTOCOL, &[protocol]));
        rule.extend(attribute(PORTS, &[port.to_ne_bytes(), port.to_ne_bytes()].concat()));
    }
    rule
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nameservers_are_found_and_those_among_metadata_known() {
        let text = "# nameserver 1.1.1.1\nsearch x\nnameserver 169.254.169.253\nnameserver\tfd00:ec3::254 # a\n\
                    nameserver 10.0.0.2\nnameserver x\nnameserver fe80::1%eth0\n";
        let found: Vec<String> = nameservers(text).map(|address| address.to_string()).collect();
        assert_eq!(found, ["169.254.169.253", "fd00:ec3::254", "10.0.0.2"]);
        let covered = |address: &str| METADATA.iter().any(|all| all.covers(address.parse().unwrap()));
        for address in ["169.254.0.1", "169.254.169.254", "fd00:ec2::254"] {
            assert!(covered(address), "{address}");
        }
        for address in ["169.253.255.255", "169.255.0.0", "fd00:ec3::254", "::ffff:169.254.0.1"] {
            assert!(!covered(address), "{address}");
        }
    }
}
