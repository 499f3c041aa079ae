//! A small HTTP server for tests: it answers each request as it is told to, on a connection of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::address::Reach;
use super::destination::Destination;
use crate::lifecycle::Lifecycle;

pub(super) struct Listener {
    pub(super) address: SocketAddr,
    /// Requests as they came, head and body.
    pub(super) requests: mpsc::Receiver<String>,
    connections: Arc<AtomicUsize>,
}

impl Listener {
    /// With what this says to each request; with nothing, for ever, to an empty text.
    pub(super) async fn new(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, requests) = mpsc::channel(64);
        let connections = Arc::<AtomicUsize>::default();
        let counted = connections.clone();
        let (lifecycle, answer) = (Lifecycle::default(), Arc::new(answer));
        lifecycle.clone().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                lifecycle.spawn(serve(stream, answer.clone(), tell.clone()));
            }
        });
        Self { address, requests, connections }
    }

    /// Those that were made so far.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// An URL of it, by this name for this host.
    pub(super) fn endpoint(&self, host: &str, path: &str, reach: Reach) -> Destination {
        let url = format!("http://{host}:{}{path}", self.address.port());
        Destination::new(url.parse().unwrap(), reach).unwrap()
    }
}

/// An answer in whole.
pub(super) fn answer(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

async fn serve(
    mut stream: TcpStream,
    answer: Arc<impl Fn(&str) -> String + Send + Sync>,
    tell: mpsc::Sender<String>,
) {
    let mut request = Vec::new();
    while !is_whole(&request) {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let request = String::from_utf8(request).unwrap();
    let text = answer(&request);
    tell.try_send(request).unwrap();
    if text.is_empty() {
        std::future::pending::<()>().await;
    }
    stream.write_all(text.as_bytes()).await.unwrap();
}

fn is_whole(request: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(request) else { return false };
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}
