//! Clients that leave at any point (C4), and those that stay and take nothing (C6).

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::client::Session;
use crate::gateway::until;
use crate::raw::{endpoint, open, request};
use crate::traces::written;

use super::all;
use super::crowd::{KEPT, echo_all};
use super::dice::Dice;
use super::field::Field;
use super::run::Run;

/// When a client goes, and how.
#[derive(Clone, Debug)]
struct Departure {
    server: &'static str,
    /// Bytes of the request's head that it sends at most.
    head: usize,
    /// Whether it waits for its endpoint, and then sends part of a message.
    posts: bool,
    pause: Duration,
    resets: bool,
}

impl Departure {
    fn any(dice: &mut Dice) -> Self {
        let longest = dice.one_of(&[60_000, 800_000]);
        Self {
            server: dice.one_of(&["plain", "slow", "stubborn", "escaping", "deaf"]),
            // Half of them send all of it.
            head: if dice.below(2) == 0 { dice.below(200) } else { usize::MAX },
            posts: dice.below(3) == 0,
            // Most go before it is their turn to be started, the others live for a while.
            pause: Duration::from_micros(dice.below(longest) as u64),
            resets: dice.below(2) == 0,
        }
    }

    async fn happen(self, address: String) {
        let Self { server, head, posts, pause, resets } = self;
        let Ok(mut stream) = TcpStream::connect(&address).await else { return };
        let text = request(&address, "GET", &format!("/{server}/sse"), "");
        let whole = head >= text.len();
        let _ = stream.write_all(&text.as_bytes()[..head.min(text.len())]).await;
        let mut other = None;
        if whole && posts {
            let endpoint = endpoint(&mut stream).await;
            let post = request(
                &address,
                "POST",
                &endpoint,
                "Content-Type: application/json\r\nContent-Length: 500\r\n",
            );
            let mut posting = TcpStream::connect(&address).await.unwrap();
            let _ = posting.write_all(format!("{post}{{\"jsonrpc\":\"2.0\",").as_bytes()).await;
            other = Some(posting);
        }
        tokio::time::sleep(pause).await;
        for stream in [Some(stream), other].into_iter().flatten() {
            if resets {
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            }
            drop(stream);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_leave_at_any_point_leave_nothing_behind() {
    let mut run = Run::new("C4 storm");
    let mut field = Field::start(&mut run.dice, &[]).await;
    let count = run.size(120, 500);
    let mut bystanders = field.connect("plain", 10).await;
    while run.again() {
        let leaving: Vec<_> = (0..count).map(|_| Departure::any(&mut run.dice)).collect();
        let address = field.gateway.address.clone();
        let storm =
            tokio::spawn(all(leaving.into_iter().map(move |departure| departure.happen(address.clone()))));
        bystanders = echo_all(bystanders, 0, Duration::ZERO).await.0;
        storm.await.unwrap();
        field.note_users();
        bystanders = echo_all(bystanders, 1, Duration::ZERO).await.0;
        field.gateway.until_active(bystanders.len() as u64).await;
        run.sample(&field, count);
    }
    drop(bystanders);
    field.until_quiet().await;
    run.finish(Some(&field));
}

/// What a client that takes nothing, a server that reads nothing, or one that floods may cost, in KiB: two
/// queues of 1 MiB, and a message in each direction on its way into them (I6).
const STALLED: usize = 2 * 1024 + 4 * 1024 + 256;

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_or_floods_costs_a_bounded_sum_and_slows_nobody() {
    let mut run = Run::new("C6 stall");
    // Who is deaf keeps its start slot for a while.
    let slots = ("LOCKGATE__LIMITS__STARTS", "100");
    let patient = ("LOCKGATE__TIMEOUTS__STALLED_READER", "5m");
    let mut field = Field::start(&mut run.dice, &[patient, slots]).await;
    let count = run.size(10, 50);
    let mut healthy = field.connect("plain", count * 3).await;
    let deaf = all((0..count).map(|_| fill_a_deaf_one(field.client()))).await;
    let readers = stalled(&mut field, count).await;
    let flooding = field.connect("flooding", run.size(2, 10)).await;
    let before = field.before().resident;
    let mut echoes = Vec::new();
    let mut peak = 0;
    let room = count * 2 * STALLED + 32 * 1024;
    let flood = || field.gateway.descendants().into_iter().map(written).sum::<u64>() >> 10;
    until("more was written than there is room for", || flood() > room as u64 + 64 * 1024).await;
    while run.again() {
        for round in 0..5 {
            let spread = Duration::from_secs(run.size(0, 1) as u64);
            let (back, took) = echo_all(healthy, round, spread).await;
            healthy = back;
            echoes.extend(took);
            peak = peak.max(field.counts().resident);
        }
        assert!(peak <= before + room, "{peak} KiB of {}", before + room);
        run.sample(&field, 0);
    }
    drop((healthy, deaf, flooding, readers));
    field.until_quiet().await;
    run.count(count * 5);
    run.judge("peak_mib", peak as f64 / 1024.0, f64::MAX);
    run.judge_echoes(echoes, 100.0);
    run.finish(Some(&field));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_read_goes_with_its_session() {
    let mut run = Run::new("C6 leave");
    let mut field = Field::start(&mut run.dice, &[("LOCKGATE__TIMEOUTS__STALLED_READER", "5m")]).await;
    let count = run.size(30, 50);
    while run.again() {
        // What is kept of each, a mebibyte at least, would add up.
        for _ in 0..4 {
            drop(stalled(&mut field, count).await);
            field.until_quiet().await;
        }
        let (before, now) = (field.before(), field.counts());
        assert!(now.resident <= before.resident + KEPT, "{before:?} {now:?}");
        run.sample(&field, count * 4);
    }
    run.finish(Some(&field));
}

/// So many clients that take nothing; their servers have nowhere to put what they say.
async fn stalled(field: &mut Field, count: usize) -> Vec<TcpStream> {
    let address = field.gateway.address.clone();
    let readers = all((0..count).map(|_| stall(address.clone(), field.client()))).await;
    field.note_users();
    field.gateway.until_stuck(count).await;
    readers
}

/// Sends a server that never reads as much as is taken.
async fn fill_a_deaf_one(client: crate::client::Client) -> Session {
    let session = client.open("deaf").await;
    let pad = "x".repeat(100_000);
    let params =
        json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": pad } });
    let first = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
    session.send(&first).await;
    for _ in 0..100 {
        let note = json!({ "jsonrpc": "2.0", "method": "notifications/x", "params": { "pad": pad } });
        let status = session.post_raw(note.to_string()).send().await.unwrap().status();
        if status == 503 {
            return session;
        }
        assert_eq!(status, 202);
    }
    panic!("a server that reads nothing was sent 10 MB");
}

/// Opens a stream, has far more sent to it than fits anywhere, and reads none of it.
async fn stall(address: String, client: crate::client::Client) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let endpoint = open(&mut stream, "plain").await;
    let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {} });
    let begin = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
    let begun = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let flood = json!({ "jsonrpc": "2.0", "id": 1, "method": "notes",
                        "params": { "count": 10_000, "pad": "x".repeat(10_000) } });
    for message in [begin, begun, flood] {
        assert_eq!(client.post(&endpoint, &message.to_string()).send().await.unwrap().status(), 202);
    }
    stream
}
