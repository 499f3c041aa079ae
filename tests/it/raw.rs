//! Bytes on a socket, where a client library would tidy them up.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::gateway::{Gateway, SECRET};

/// Longer than anything here takes; a test that would hang fails instead.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection of one's own.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn connect(gateway: &Gateway) -> Self {
        Self(TcpStream::connect(&gateway.address).await.unwrap())
    }

    /// What cannot be sent any more tells itself by what is read.
    pub(crate) async fn send(&mut self, text: impl AsRef<[u8]>) {
        let _ = self.0.write_all(text.as_ref()).await;
    }

    /// Everything until the gateway closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut text = Vec::new();
        let reading = async {
            // A reset is an end, too.
            while let Ok(1..) = self.0.read_buf(&mut text).await {}
        };
        let ended = tokio::time::timeout(PATIENCE, reading).await;
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(ended.is_ok(), "the connection was not closed after: {text:?}");
        text
    }

    /// One response with a body of known length; empty if there is none any more.
    pub(crate) async fn response(&mut self) -> String {
        let mut text = Vec::new();
        let reading =
            async { while !is_whole(&text) && matches!(self.0.read_buf(&mut text).await, Ok(1..)) {} };
        let read = tokio::time::timeout(PATIENCE, reading).await;
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(read.is_ok(), "no whole response: {text:?}");
        text
    }

    /// Whether `GET /health` is answered.
    pub(crate) async fn is_served(&mut self) -> bool {
        self.send(format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", self.0.peer_addr().unwrap())).await;
        self.response().await.starts_with("HTTP/1.1 200")
    }
}

fn is_whole(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.to_ascii_lowercase();
    let length = length.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0usize)
}

/// Sends a text and gets everything that comes back until the end.
pub(crate) async fn exchange(gateway: &Gateway, text: impl AsRef<[u8]>) -> String {
    let mut raw = Raw::connect(gateway).await;
    raw.send(text).await;
    raw.rest().await
}

/// The head of a request with the secret, its last line not closed yet.
pub(crate) fn head(gateway: &Gateway, line: &str) -> String {
    format!(
        "{line} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {SECRET}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n",
        gateway.address
    )
}

/// A whole request with the secret, but for a body.
pub(crate) fn request(address: &str, method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {SECRET}\r\n{headers}\r\n")
}

/// Opens a session over this connection. Its endpoint, beyond which nothing is read.
pub(crate) async fn open(stream: &mut TcpStream, server: &str) -> String {
    let address = stream.peer_addr().unwrap().to_string();
    let get = request(&address, "GET", &format!("/{server}/sse"), "");
    stream.write_all(get.as_bytes()).await.unwrap();
    endpoint(stream).await
}

/// Reads no further than the first event, which tells it.
pub(crate) async fn endpoint(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\n\n") {
        text.push(stream.read_u8().await.unwrap());
    }
    let text = String::from_utf8(text).unwrap();
    text.rsplit_once("data: ").expect("an endpoint").1.trim().to_owned()
}
