//! A real `redis-server` for tests, of their own.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Script, Store};
use crate::settings::{self, WhileAway};

/// Ends when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    port: u16,
}

impl Server {
    pub(crate) fn start() -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        Self { process: run(port), port }
    }

    /// Loses everything that it was told.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.process = run(self.port);
    }

    pub(crate) fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// As a node of this name has it; not connected yet.
    pub(crate) fn store(&self, node: &str, away: WhileAway) -> Store {
        let url = format!("redis://127.0.0.1:{}", self.port);
        Store::new(&settings::Store { url, away, ca: "".into() }, None, node).unwrap().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Store {
    /// Resolves once it answers.
    pub(crate) async fn up(&self) {
        let mut told = self.told();
        while self.is_away() {
            told.changed().await.unwrap();
        }
    }

    /// Resolves once it has been lost: who asks it finds out.
    pub(crate) async fn lost(&self) {
        while !self.is_away() {
            let _: Result<(), _> = self.call(&Script::new("return 1"), &[], 0).await;
        }
    }
}

fn run(port: u16) -> Child {
    let arguments = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"];
    let mut command = Command::new("redis-server");
    let command = command.args(arguments).arg(port.to_string()).stdout(Stdio::null());
    let mut process = command.spawn().expect("redis-server, which apt has");
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(process.try_wait().unwrap().is_none(), "redis-server has ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    process
}
