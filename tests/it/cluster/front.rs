//! What stands in front of the nodes, in Rust: a proxy that gives each request to the next node, or as Fly.io's does,
//! whose `fly-replay` it honours as its documentation has it.

use std::collections::HashMap;
use std::io::{ErrorKind, Result};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::nodes::Cluster;
use super::replay::{LARGEST, Replay};
use super::wire::{Body, Head, Line, hung_up, is_open, pass, read_whole};

/// Until another node is tried.
const CONNECT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Way {
    /// Each request to the next node.
    Turns,
    /// The same, and where the answer says so it is replayed.
    Fly,
    /// By what the client calls itself in `X-Client`, which needs no cluster.
    Sticky,
}

/// A front end that runs as long as it is there.
pub(super) struct Front {
    pub(super) base: String,
    pub(super) router: Arc<Router>,
    serving: JoinHandle<()>,
}

pub(super) struct Router {
    way: Way,
    /// By name.
    nodes: Vec<(String, SocketAddr)>,
    next: AtomicUsize,
    replays: AtomicUsize,
    /// What no node may do.
    faults: Mutex<Vec<String>>,
}

/// A request that has come, and what is to be kept of it.
pub(super) struct Request {
    pub(super) head: Head,
    /// `None`: it is not kept, but passed on once.
    pub(super) body: Option<Vec<u8>>,
}

/// A client's connection, and those that its requests are passed on by.
struct Passage {
    client: Line,
    kept: HashMap<usize, Line>,
}

/// Where the answer to a request stands: its head was read.
pub(super) struct Answer {
    pub(super) head: Head,
    node: usize,
    line: Line,
}

impl Front {
    /// In front of these nodes; must be called on the machine where it is to be.
    pub(super) async fn start(way: Way, cluster: &Cluster) -> Self {
        let nodes = cluster.nodes.iter().map(|node| (node.name.clone(), node.address()));
        let router = Arc::new(Router {
            way,
            nodes: nodes.collect(),
            next: AtomicUsize::new(0),
            replays: AtomicUsize::new(0),
            faults: Mutex::default(),
        });
        let listener = TcpListener::bind((cluster.front(), 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(router.clone().listen(listener));
        Self { base, router, serving }
    }

    /// How many requests were replayed.
    pub(super) fn replays(&self) -> usize {
        self.router.replays.load(Ordering::Relaxed)
    }

    /// Fails if a node has done what the proxy does not allow.
    pub(super) fn is_content(&self) {
        let faults = self.router.faults.lock().unwrap();
        assert!(faults.is_empty(), "{faults:?}");
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Router {
    pub(super) fn way(&self) -> Way {
        self.way
    }

    async fn listen(self: Arc<Self>, listener: TcpListener) {
        while let Ok((client, peer)) = listener.accept().await {
            let _ = client.set_nodelay(true);
            let passage = Passage { client: Line::new(client), kept: HashMap::new() };
            let router = self.clone();
            tokio::spawn(async move { router.serve(passage, peer.ip()).await });
        }
    }

    async fn serve(&self, mut passage: Passage, peer: IpAddr) -> Result<()> {
        while let Some(mut head) = Head::read(&mut passage.client).await? {
            head.set("x-forwarded-for", &peer.to_string());
            if self.way == Way::Fly {
                head.set("fly-client-ip", &peer.to_string());
            }
            let body = match head.body_of_request() {
                Body::Length(length) if head.bytes().len() as u64 + length <= LARGEST => {
                    Some(read_whole(&mut passage.client, length).await?)
                }
                _ => None,
            };
            let mut request = Request { head, body };
            match self.answer(&mut request, &mut passage).await? {
                Ok(answer) => self.hand_back(answer, &request, &mut passage).await?,
                Err(reason) => refuse(&mut passage.client, &reason).await?,
            }
            if !request.head.keeps() {
                break;
            }
        }
        Ok(())
    }

    /// Whom the client is told of instead where there is no answer.
    async fn answer(
        &self,
        request: &mut Request,
        passage: &mut Passage,
    ) -> Result<std::result::Result<Answer, String>> {
        let (first, count) = (self.first(&request.head), self.nodes.len());
        for node in (0..count).map(|number| (first + number) % count) {
            let Some(line) = self.connect(node, passage, CONNECT).await else { continue };
            let Some(answer) = exchange(request, node, line, passage).await? else {
                return Ok(Err(self.ended(node)));
            };
            let Some(value) = answer.head.header("fly-replay") else { return Ok(Ok(answer)) };
            return self.replay(value, node, request, passage).await;
        }
        Ok(Err("no node can be reached".into()))
    }

    /// Does what the answer of a node asks for.
    async fn replay(
        &self,
        value: &str,
        issuer: usize,
        request: &mut Request,
        passage: &mut Passage,
    ) -> Result<std::result::Result<Answer, String>> {
        let from = &self.nodes[issuer].0;
        self.replays.fetch_add(1, Ordering::Relaxed);
        let replay = match Replay::read(value) {
            Ok(replay) if self.way == Way::Fly => replay,
            Ok(_) => return Ok(Err(self.fault("a replay where there is no Fly.io".into()))),
            Err(reason) => return Ok(Err(self.fault(reason))),
        };
        if request.body.is_none() {
            return Ok(Err(self.fault(format!("{from} asks for a replay of more than {LARGEST} bytes"))));
        }
        let begun = tokio::time::Instant::now();
        let (to, line) = match self.find(&replay, passage).await {
            Ok((node, line)) => {
                request.head.set("fly-replay-src", &replay.source(from));
                (node, Some(line))
            }
            Err(reason) if replay.falls_back => {
                request.head.set("fly-replay-failed", &replay.failed(from, reason, begun.elapsed()));
                (issuer, self.connect(issuer, passage, CONNECT).await)
            }
            Err(reason) => return Ok(Err(format!("replay failed: {reason}"))),
        };
        let Some(line) = line else { return Ok(Err(format!("{from} cannot be reached any more"))) };
        match exchange(request, to, line, passage).await? {
            None => Ok(Err(self.ended(to))),
            Some(answer) if answer.head.header("fly-replay").is_some() => {
                Ok(Err(self.fault(format!("{} asks for a second replay", self.nodes[to].0))))
            }
            Some(answer) => Ok(Ok(answer)),
        }
    }

    /// A connection to the node that is to have it, or why there is none.
    async fn find(
        &self,
        replay: &Replay,
        passage: &mut Passage,
    ) -> std::result::Result<(usize, Line), &'static str> {
        let place = self.nodes.iter().position(|(name, _)| *name == replay.instance);
        let node = place.ok_or("no_candidate")?;
        let until = tokio::time::Instant::now() + replay.timeout;
        // A machine that was there a moment ago may come back.
        for tried in 0.. {
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            if let Some(line) = self.connect(node, passage, left).await {
                return Ok((node, line));
            }
            if tokio::time::Instant::now() >= until {
                return Err(if tried == 0 { "timeout" } else { "retries_exhausted" });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err("timeout")
    }

    async fn connect(&self, node: usize, passage: &mut Passage, within: Duration) -> Option<Line> {
        if let Some(line) = passage.kept.remove(&node).filter(is_open) {
            return Some(line);
        }
        let connecting = TcpStream::connect(self.nodes[node].1);
        let stream = tokio::time::timeout(within, connecting).await.ok()?.ok()?;
        let _ = stream.set_nodelay(true);
        Some(Line::new(stream))
    }

    async fn hand_back(&self, answer: Answer, request: &Request, passage: &mut Passage) -> Result<()> {
        let Answer { head, node, mut line } = answer;
        let body = head.body_of_response(&request.head);
        passage.client.write_all(&head.bytes()).await?;
        pass(&mut line, &mut passage.client, body).await?;
        match body {
            Body::UntilClosed => Err(ErrorKind::ConnectionAborted.into()),
            _ if head.keeps() => {
                passage.kept.insert(node, line);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Which node has the first try.
    fn first(&self, head: &Head) -> usize {
        match head.header("x-client").filter(|_| self.way == Way::Sticky) {
            Some(client) => client.bytes().map(usize::from).sum::<usize>() % self.nodes.len(),
            None => self.next.fetch_add(1, Ordering::Relaxed) % self.nodes.len(),
        }
    }

    fn ended(&self, node: usize) -> String {
        format!("{} ended before it answered", self.nodes[node].0)
    }

    fn fault(&self, reason: String) -> String {
        self.faults.lock().unwrap().push(reason.clone());
        reason
    }
}

/// Sends a request over this connection and reads the head of the answer; `None` if the node ends instead. It is an error
/// if the client does.
async fn exchange(
    request: &Request,
    node: usize,
    mut line: Line,
    passage: &mut Passage,
) -> Result<Option<Answer>> {
    if line.write_all(&request.head.bytes()).await.is_err() {
        return Ok(None);
    }
    // What is not taken may have been answered all the same.
    let _ = match &request.body {
        Some(body) => line.write_all(body).await,
        None => pass(&mut passage.client, &mut line, request.head.body_of_request()).await,
    };
    loop {
        let head = tokio::select! {
            head = Head::read(&mut line) => head,
            () = hung_up(&passage.client) => return Err(ErrorKind::BrokenPipe.into()),
        };
        match head {
            Ok(Some(head)) if head.status() == 100 => passage.client.write_all(&head.bytes()).await?,
            Ok(Some(head)) => return Ok(Some(Answer { head, node, line })),
            Ok(None) | Err(_) => return Ok(None),
        }
    }
}

/// As a proxy does that has nobody to ask.
async fn refuse(client: &mut Line, reason: &str) -> Result<()> {
    let mut whole = Head::answer("502 Bad Gateway", reason.len()).bytes();
    whole.extend_from_slice(reason.as_bytes());
    client.write_all(&whole).await
}
