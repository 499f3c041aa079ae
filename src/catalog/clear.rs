//! Servers whose secrets could be read on the way.

use url::{Host, Url};

use super::{Backing, Catalog};
use crate::ids::ServerName;

impl Catalog {
    /// The remote servers that are told secrets without TLS, over a network; by name.
    pub fn in_the_clear(&self) -> Vec<&ServerName> {
        let by_name = self.entries.iter().filter(|(key, entry)| **key == entry.name.as_str());
        let told = by_name.filter(|(_, entry)| match &entry.backing {
            Backing::Remote(remote) => remote.secrets_go_to().any(is_clear),
            Backing::Command(_) => false,
        });
        let mut names: Vec<&ServerName> = told.map(|(_, entry)| &entry.name).collect();
        names.sort();
        names
    }
}

/// Whether what goes there can be read on a network.
fn is_clear(url: &Url) -> bool {
    let stays_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && !stays_here
}
