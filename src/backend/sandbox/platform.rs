//! What a hosting platform offers to whatever runs on the machine, and sessions must not have: on Fly.io the
//! socket that gives out identities, the private network of the organisation, and metadata (security.md T18).

use std::fs::{self, Permissions};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::netlink::{self, CREATE, NEW_RULE, attribute};
use crate::settings::UidRange;

/// The directory of the machine's socket.
const FLY: &str = "/.fly";
/// Set on every machine of the platform.
const FLY_VARIABLE: &str = "FLY_APP_NAME";

/// What becomes of packets to a network.
#[derive(Clone, Copy)]
enum Verdict {
    /// As for everybody else.
    Route,
    /// Refused with a clear error.
    Prohibit,
}

/// Networks in the order in which they are looked at: names are looked up at an address of the private
/// network.
const NETWORKS: [(IpAddr, u8, Verdict); 3] = [
    (IpAddr::V6(std::net::Ipv6Addr::new(0xfdaa, 0, 0, 0, 0, 0, 0, 3)), 128, Verdict::Route),
    (IpAddr::V6(std::net::Ipv6Addr::new(0xfdaa, 0, 0, 0, 0, 0, 0, 0)), 16, Verdict::Prohibit),
    (IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 0, 0)), 16, Verdict::Prohibit),
];
/// Before the rules that every machine has.
const FIRST_PRIORITY: u32 = 100;

/// Whether this is a machine of Fly.io.
pub(super) fn is_fly() -> bool {
    std::env::var_os(FLY_VARIABLE).is_some() || Path::new(FLY).exists()
}

/// Keeps the users of sessions from all that. The rules stay when the gateway has gone; nobody else has
/// these ids.
pub(super) fn keep_from(uids: UidRange) -> io::Result<()> {
    match fs::set_permissions(FLY, Permissions::from_mode(0o700)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    for (priority, (network, prefix, verdict)) in (FIRST_PRIORITY..).zip(NETWORKS) {
        match netlink::request(NEW_RULE, CREATE, &rule(uids, priority, network, prefix, verdict)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
    }
    Ok(())
}

/// A rule as `ip rule add uidrange … to …` makes it.
fn rule(uids: UidRange, priority: u32, network: IpAddr, prefix: u8, verdict: Verdict) -> Vec<u8> {
    const AF_INET: u8 = 2;
    const AF_INET6: u8 = 10;
    const TABLE_MAIN: u8 = 254;
    const TO_TABLE: u8 = 1;
    const PROHIBIT: u8 = 8;
    const DESTINATION: u16 = 1;
    const PRIORITY: u16 = 6;
    const UID_RANGE: u16 = 20;
    let (family, address) = match network {
        IpAddr::V4(v4) => (AF_INET, v4.octets().to_vec()),
        IpAddr::V6(v6) => (AF_INET6, v6.octets().to_vec()),
    };
    let (table, action) = match verdict {
        Verdict::Route => (TABLE_MAIN, TO_TABLE),
        Verdict::Prohibit => (0, PROHIBIT),
    };
    let mut rule = vec![family, prefix, 0, 0, table, 0, 0, action];
    rule.extend([0; 4]); // flags
    rule.extend(attribute(DESTINATION, &address));
    rule.extend(attribute(PRIORITY, &priority.to_ne_bytes()));
    rule.extend(attribute(UID_RANGE, &[uids.first.to_ne_bytes(), uids.last.to_ne_bytes()].concat()));
    rule
}
