//! A network of two machines, made of namespaces: a host, and a neighbour of it with several addresses.

use std::process::Command;

use crate::namespace::Namespace;

pub(super) struct Network {
    host: Namespace,
    neighbour: Namespace,
}

impl Network {
    /// The address of the host.
    pub(super) const HOST: &str = "10.9.9.1";
    /// Those of the neighbour.
    pub(super) const NEIGHBOURS: [&str; 2] = ["10.9.9.2", "10.9.9.3"];

    pub(super) fn new() -> Self {
        let network = Self { host: Namespace::new(), neighbour: Namespace::new() };
        let neighbour = network.neighbour.id();
        network.host.run(&format!("ip link add v0 type veth peer name v1 netns {neighbour}"));
        network.host.run(&format!("ip addr add {}/24 dev v0; ip link set v0 up", Self::HOST));
        for address in Self::NEIGHBOURS {
            network.neighbour.run(&format!("ip addr add {address}/24 dev v1"));
        }
        network.neighbour.run("ip link set v1 up");
        network
    }

    /// The beginning of a command that runs on the host.
    pub(super) fn host(&self) -> Command {
        self.host.command()
    }

    /// The same on the neighbour.
    pub(super) fn neighbour(&self) -> Command {
        self.neighbour.command()
    }
}
