//! A network of two machines, made of namespaces: a host, and a neighbour of it with several addresses.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

pub(super) struct Network {
    host: Child,
    neighbour: Child,
}

impl Network {
    /// The address of the host.
    pub(super) const HOST: &str = "10.9.9.1";
    /// Those of the neighbour.
    pub(super) const NEIGHBOURS: [&str; 2] = ["10.9.9.2", "10.9.9.3"];

    pub(super) fn new() -> Self {
        let network = Self { host: namespace(), neighbour: namespace() };
        let neighbour = network.neighbour.id();
        run(
            network.host(),
            &format!("ip link set lo up; ip link add v0 type veth peer name v1 netns {neighbour}"),
        );
        run(network.host(), &format!("ip addr add {}/24 dev v0; ip link set v0 up", Self::HOST));
        for address in Self::NEIGHBOURS {
            run(network.neighbour(), &format!("ip addr add {address}/24 dev v1"));
        }
        run(network.neighbour(), "ip link set lo up; ip link set v1 up");
        network
    }

    /// The beginning of a command that runs on the host.
    pub(super) fn host(&self) -> Command {
        within(&self.host)
    }

    /// The same on the neighbour.
    pub(super) fn neighbour(&self) -> Command {
        within(&self.neighbour)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for process in [&mut self.host, &mut self.neighbour] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// What keeps a network there, until its input ends or it is killed.
fn namespace() -> Child {
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", "echo ready; exec cat"]);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    process
}

fn within(process: &Child) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/proc/{}/ns/net", process.id()));
    command
}

fn run(mut around: Command, script: &str) {
    let status = around.args(["sh", "-ec", script]).status().unwrap();
    assert!(status.success(), "{script}");
}
