//! A machine of its own, as far as its network goes. Nothing of the host changes, and nothing is left of it, however
//! the tests end: it is there as long as a process that ends with their end of a pipe.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

pub(crate) struct Namespace(Child);

impl Namespace {
    pub(crate) fn new() -> Self {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "echo ready; exec cat"]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let namespace = Self(process);
        namespace.run("ip link set lo up");
        namespace
    }

    /// The process that it is named by.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// The beginning of a command that runs there.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path()));
        command
    }

    pub(crate) fn run(&self, script: &str) {
        let status = self.command().args(["sh", "-ec", script]).status().unwrap();
        assert!(status.success(), "{script}");
    }

    /// Moves this thread there, with the threads and processes that it starts from now on.
    pub(crate) fn enter(&self) {
        let namespace = File::open(self.path()).unwrap();
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.id())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
