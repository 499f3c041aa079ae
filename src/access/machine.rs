//! This machine, as far as it tells who calls.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

/// The addresses of this machine: any of its processes may call from each of them, those of sessions too.
/// Clones see the same.
#[derive(Clone, Debug, Default)]
pub struct Machine(Arc<RwLock<HashSet<IpAddr>>>);

impl Machine {
    /// These are the addresses from now on; the loopback ones need not be among them.
    pub fn set(&self, addresses: impl IntoIterator<Item = IpAddr>) {
        let addresses = addresses.into_iter().map(|address| address.to_canonical()).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    /// Whether an address (in canonical form) is this machine's, beside the loopback ones.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        !address.is_loopback() && self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&address)
    }
}
