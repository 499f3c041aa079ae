//! How many connections are open, in all and of each address. Who has too many is told so and cut off
//! before anything is read.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::settings::Limits;

/// The open connections of a listener.
#[derive(Debug)]
pub struct Connections {
    all: usize,
    of_address: usize,
    open: Mutex<Open>,
}

/// No larger than the limit of all connections.
#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
    refused: u64,
}

/// One open connection. Dropping it makes room.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    address: Option<IpAddr>,
}

/// Why a connection is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crowded {
    /// The gateway has as many as it takes.
    All,
    /// This address has.
    Address,
}

impl Connections {
    /// `descriptors` is what the host allows: sessions need at least as many as connections do.
    pub fn new(limits: &Limits, descriptors: u64) -> Arc<Self> {
        let half = usize::try_from(descriptors / 2).unwrap_or(usize::MAX);
        if half < limits.connections {
            tracing::warn!(
                connections = half,
                "fewer connections than limits.connections: the host allows {descriptors} descriptors"
            );
        }
        let of_address = Some(limits.connections_per_address).filter(|&limit| limit > 0);
        Arc::new(Self {
            all: limits.connections.min(half),
            of_address: of_address.unwrap_or(usize::MAX),
            open: Mutex::default(),
        })
    }

    /// How many are open, how many there may be, and how many were refused.
    pub fn counts(&self) -> (usize, usize, u64) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        (open.all, self.all, open.refused)
    }

    /// A place for one more; `address` is whom it counts for, if for anybody.
    pub(super) fn place(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Place, Crowded> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = address.and_then(|address| open.by_address.get(&address)).copied().unwrap_or(0);
        let crowded = match (open.all >= self.all, of_address >= self.of_address) {
            (true, _) => Crowded::All,
            (_, true) => Crowded::Address,
            _ => {
                open.all += 1;
                if let Some(address) = address {
                    *open.by_address.entry(address).or_default() += 1;
                }
                return Ok(Place { connections: self.clone(), address });
            }
        };
        open.refused += 1;
        // The first, the second, the fourth: an attacker does not get to write the log.
        if open.refused.is_power_of_two() {
            tracing::warn!(reason = ?crowded, refused = open.refused, open = open.all, "connections are refused");
        }
        Err(crowded)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        let Some(address) = self.address else { return };
        if let Some(count) = open.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(all: usize, of_address: usize) -> Arc<Connections> {
        Arc::new(Connections { all, of_address, open: Mutex::default() })
    }

    #[test]
    fn nobody_has_more_than_its_share_and_leaving_makes_room() {
        let connections = connections(5, 2);
        let [one, two] = ["192.0.2.1", "192.0.2.2"].map(|address| Some(address.parse().unwrap()));
        let first = connections.place(one).unwrap();
        let _second = connections.place(one).unwrap();
        assert_eq!(connections.place(one).unwrap_err(), Crowded::Address);
        drop(first);
        let _third = connections.place(one).unwrap();
        // A proxy's connections count in all only.
        let proxied = [(); 3].map(|()| connections.place(None).unwrap());
        assert_eq!(connections.place(two).unwrap_err(), Crowded::All);
        assert_eq!(connections.place(None).unwrap_err(), Crowded::All);
        drop(proxied);
        drop(connections.place(two).unwrap());
        assert_eq!(connections.open.lock().unwrap().by_address.len(), 1, "who left is forgotten");
    }

    #[test]
    fn what_the_host_allows_goes_before_the_setting() {
        let settings = crate::settings::Settings::load(&Default::default(), &Default::default()).unwrap();
        assert_eq!(Connections::new(&settings.limits, 100).all, 50);
        assert_eq!(Connections::new(&settings.limits, 1_000_000).all, settings.limits.connections);
    }
}
