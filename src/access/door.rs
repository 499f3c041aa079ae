//! Where the gateway itself finds its public listener, to try a server in the way that clients use it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Gate;

/// The public listener, as this process reaches it. Only a gate makes one, so it leads nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// Where to connect to.
    pub address: SocketAddr,
    /// The `Host` to ask for, which the gate admits.
    pub host: String,
}

impl Gate {
    /// Where this process reaches the public listener. One that takes connections at every address is reached by
    /// loopback, so that nothing of it leaves this machine.
    pub fn door(&self) -> Door {
        let ip = match self.bound.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let address = SocketAddr::new(ip, self.bound.port());
        let host = self.origins.listed_host().map_or_else(|| address.to_string(), str::to_owned);
        Door { address, host }
    }
}
