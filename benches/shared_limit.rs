//! How long the guard takes where a store decides: `cargo bench --bench shared_limit`.
//!
//! It starts a store on loopback and three gates, as three nodes have them, and lets one tenant's requests through them,
//! some at a time: first at a rate of which nothing may be held ahead, so that each request asks, then at a usual one.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that cannot go on says so")]

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use lockgate::access::{Gate, Machine, Presented, Secret, Secrets};
use lockgate::lifecycle::Lifecycle;
use lockgate::settings::{Flags, Platform, Settings, WhileAway};
use lockgate::store::Store;
use tokio::time::Instant;

const SECRET: &str = "a-secret-of-the-usual-length-0123456789";
const NODES: [&str; 3] = ["one", "two", "three"];
/// Requests that are decided at the same time, and of each of them how many.
const AT_ONCE: usize = 8;
const EACH: usize = 5_000;

/// Ends when dropped.
struct Server(Child, u16);

impl Server {
    fn start() -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()]);
        let process = command.stdout(Stdio::null()).spawn().unwrap();
        let server = Self(process, port);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn presented() -> Presented<'static> {
    Presented {
        authorization: vec![b"Bearer a-secret-of-the-usual-length-0123456789"],
        origin: vec![],
        host: Some(b"localhost:8000"),
        peer: Ipv4Addr::LOCALHOST.into(),
        fly_client_ip: vec![],
        forwarded_for: vec![],
        vouched: None,
    }
}

async fn gate(
    server: &Server,
    node: &str,
    (per_minute, burst): (u32, u32),
    lifecycle: &Lifecycle,
) -> (Gate, Store) {
    let rate = [("PER_MINUTE", per_minute), ("BURST", burst)];
    let variables = rate.map(|(key, value)| (format!("LOCKGATE__RATE__{key}"), value.to_string()));
    let platform = Platform { variables: variables.into() };
    let mut settings = Settings::load(&Flags::default(), &platform).unwrap();
    settings.store.url = format!("redis://127.0.0.1:{}", server.1);
    settings.store.away = WhileAway::Refuse;
    let store = Store::new(&settings.store, None, node).unwrap().unwrap();
    lifecycle.spawn(store.clone().run());
    let mut told = store.told();
    while store.is_away() {
        told.changed().await.unwrap();
    }
    let secret = Secret::new(SECRET.into()).unwrap();
    let secrets = Secrets { tenant: Some(&secret), ..Secrets::default() };
    let gate = Gate::new(&settings, secrets, "127.0.0.1:8000".parse().unwrap(), &Machine::default()).unwrap();
    (gate.sharing(Some(store.clone()), lifecycle), store)
}

async fn measure(what: &str, rate: (u32, u32)) {
    let (server, lifecycle) = (Server::start(), Lifecycle::default());
    let mut gates = Vec::new();
    for node in NODES {
        gates.push(gate(&server, node, rate, &lifecycle).await);
    }
    let (sender, mut taken) = tokio::sync::mpsc::channel(AT_ONCE);
    let gates = Arc::new(gates);
    for task in 0..AT_ONCE {
        let (gates, sender) = (gates.clone(), sender.clone());
        lifecycle.spawn(async move {
            let (gate, _) = &gates[task % NODES.len()];
            let mut times = Vec::with_capacity(EACH);
            for _ in 0..EACH {
                let begun = Instant::now();
                gate.admit(&presented()).await.unwrap();
                times.push(begun.elapsed());
                tokio::task::yield_now().await;
            }
            sender.send(times).await.unwrap();
        });
    }
    drop(sender);
    let mut times = Vec::new();
    while let Some(more) = taken.recv().await {
        times.extend(more);
    }
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_micros();
    let asked: u64 = gates.iter().map(|(_, store)| store.figures().decisions[1].1).sum();
    println!(
        "{what}: {} requests, {asked} of them asked; p50 {} µs, p99 {} µs, p99.9 {} µs, max {} µs",
        times.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

#[tokio::main]
async fn main() {
    // 4 % of 24 among three nodes is nothing.
    measure("asked for each request", (24, 1_000_000)).await;
    measure("held ahead", (600_000, 1_000_000)).await;
}
