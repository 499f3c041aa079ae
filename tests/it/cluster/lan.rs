//! The private network of a cluster: machines at a switch, each in a namespace of its own.

use std::process::Command;

use crate::namespace::Namespace;

/// Where frames go that are to arrive nowhere.
const NOBODY: &str = "02:00:00:00:00:01";

pub(super) struct Lan {
    switch: Namespace,
}

pub(super) struct Machine {
    namespace: Namespace,
    pub(super) address: String,
}

impl Lan {
    pub(super) fn new() -> Self {
        let switch = Namespace::new();
        switch.run("ip link add switch type bridge; ip link set switch up");
        Self { switch }
    }

    /// A machine at the switch, whose address ends with this number.
    pub(super) fn machine(&self, number: u8) -> Machine {
        let namespace = Namespace::new();
        let (port, address) = (format!("port{number}"), format!("10.77.0.{number}"));
        self.switch.run(&format!(
            "ip link add {port} type veth peer name eth0 netns {}; ip link set {port} master switch up",
            namespace.id()
        ));
        namespace.run(&format!("ip addr add {address}/24 dev eth0; ip link set eth0 up"));
        Machine { namespace, address }
    }
}

impl Machine {
    /// The beginning of a command that runs there, and ends with the tests, however they end.
    pub(super) fn command(&self) -> Command {
        let mut command = self.namespace.command();
        command.args(["setpriv", "--pdeathsig", "KILL"]);
        command
    }

    /// Moves this thread there, with all that it starts.
    pub(super) fn enter(&self) {
        self.namespace.enter();
    }

    /// Neither hears of the other any more: what they send is lost, as on a network that has broken.
    pub(super) fn part(&self, other: &Self) {
        self.lose(other);
        other.lose(self);
    }

    /// Ends that.
    pub(super) fn rejoin(&self, other: &Self) {
        self.find(other);
        other.find(self);
    }

    fn lose(&self, other: &Self) {
        let to = &other.address;
        self.namespace.run(&format!("ip neigh replace {to} lladdr {NOBODY} dev eth0 nud permanent"));
    }

    fn find(&self, other: &Self) {
        self.namespace.run(&format!("ip neigh del {} dev eth0", other.address));
    }
}
