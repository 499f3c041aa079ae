//! The addresses of this machine, by which its processes reach the gateway, those of sessions too.

use std::io;
use std::net::IpAddr;

use super::sandbox::netlink::{GET_ADDRESS, attributes, list};

/// What comes before the attributes of an address (rtnetlink(7), `ifaddrmsg`).
const FIXED: usize = 8;
/// The other end's address where an interface has but one other end; else our own.
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;

/// Every address of every interface.
///
/// # Errors
/// If the kernel does not tell.
pub fn own_addresses() -> io::Result<Vec<IpAddr>> {
    let entries = list(GET_ADDRESS, &[0; FIXED])?;
    Ok(entries.iter().filter_map(|entry| own(entry.get(FIXED..)?)).collect())
}

fn own(entry: &[u8]) -> Option<IpAddr> {
    let named = |wanted| attributes(entry).find_map(|(kind, value)| (kind == wanted).then_some(value));
    let bytes = named(LOCAL).or_else(|| named(ADDRESS))?;
    let v4 = || <[u8; 4]>::try_from(bytes).map(IpAddr::from).ok();
    <[u8; 16]>::try_from(bytes).map(IpAddr::from).ok().or_else(v4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_lists_can_be_taken_and_nothing_else() {
        let own = own_addresses().unwrap();
        assert!(own.contains(&IpAddr::from([127, 0, 0, 1])), "{own:?}");
        for address in own {
            let scoped = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
            assert!(scoped || std::net::UdpSocket::bind((address, 0)).is_ok(), "{address} is not ours");
        }
    }

    #[test]
    fn of_two_ends_our_own_counts() {
        let attribute =
            |kind: u16, value: &[u8]| [&8u16.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
        let both = [attribute(ADDRESS, &[10, 0, 0, 2]), attribute(LOCAL, &[10, 0, 0, 1])].concat();
        assert_eq!(own(&both), Some(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(own(&attribute(ADDRESS, &[10, 0, 0, 2])), Some(IpAddr::from([10, 0, 0, 2])));
        assert_eq!(own(&both[..3]), None);
    }
}
