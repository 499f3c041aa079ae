//! What reached the remote, byte for byte.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// One request as it came.
pub(crate) struct Request {
    /// The connection's number, from 1.
    pub(crate) connection: u64,
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    /// Names in lower case, in the order in which they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    left: AtomicBool,
}

impl Request {
    /// The next one on this connection; `None` at its end.
    pub(super) async fn read(stream: &mut TcpStream, unread: &mut Vec<u8>, connection: u64) -> Option<Self> {
        let end = loop {
            if let Some(at) = unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            more(stream, unread).await?;
        };
        let head = String::from_utf8(unread.drain(..end).collect()).unwrap();
        let mut lines = head.lines();
        let mut first = lines.next().unwrap().split(' ');
        let (method, path) = (first.next().unwrap().to_owned(), first.next().unwrap().to_owned());
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut request = Self { connection, method, path, headers, body: Vec::new(), left: false.into() };
        request.body = request.read_body(stream, unread).await?;
        Some(request)
    }

    async fn read_body(&self, stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<Vec<u8>> {
        if self.header("transfer-encoding").is_none() {
            let length: usize = self.header("content-length").unwrap_or("0").parse().unwrap();
            return take(stream, unread, length).await;
        }
        let mut body = Vec::new();
        loop {
            let line = loop {
                if let Some(at) = unread.windows(2).position(|bytes| bytes == b"\r\n") {
                    break String::from_utf8(unread.drain(..at + 2).collect()).unwrap();
                }
                more(stream, unread).await?;
            };
            let length = usize::from_str_radix(line.trim(), 16).unwrap();
            let chunk = take(stream, unread, length + 2).await?;
            if length == 0 {
                return Some(body);
            }
            body.extend_from_slice(&chunk[..length]);
        }
    }

    /// The value of a header that came once; `None` if it did not come.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(own, _)| own == name).map(|(_, value)| &**value);
        let value = values.next();
        assert_eq!(values.next(), None, "{name} came twice");
        value
    }

    /// The body as JSON; null if it is none.
    pub(crate) fn message(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The JSON-RPC method; empty if the body has none.
    pub(crate) fn rpc(&self) -> String {
        self.message()["method"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether the connection was closed from the other side before the answer was whole.
    pub(crate) fn has_left(&self) -> bool {
        self.left.load(Ordering::SeqCst)
    }

    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::SeqCst);
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = if self.has_left() { " (left)" } else { "" };
        write!(formatter, "{} {}{left} {}", self.method, self.path, String::from_utf8_lossy(&self.body))
    }
}

/// Reads what comes next; `None` at the end.
pub(super) async fn more(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<()> {
    matches!(stream.read_buf(unread).await, Ok(1..)).then_some(())
}

async fn take(stream: &mut TcpStream, unread: &mut Vec<u8>, length: usize) -> Option<Vec<u8>> {
    while unread.len() < length {
        more(stream, unread).await?;
    }
    Some(unread.drain(..length).collect())
}
