//! A lean HTTP/1.1 client connection for loopback load: one socket, one
//! reusable buffer, bodies handed out as slices of it.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const READ_CHUNK: usize = 64 * 1024;

/// An address and path on this machine.
#[derive(Clone, Debug)]
pub struct Target {
    pub addr: SocketAddr,
    pub host: String,
    pub path: String,
}

impl Target {
    /// Parses `http://host:port/path`. Any address but loopback is refused: a
    /// load test has no business elsewhere.
    pub fn parse(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("http://").ok_or_else(|| format!("{url}: only http:// URLs"))?;
        let (host, path) = match rest.find(['/', '?']) {
            Some(at) if rest.as_bytes()[at] == b'/' => (&rest[..at], rest[at..].to_owned()),
            Some(at) => (&rest[..at], format!("/{}", &rest[at..])),
            None => (rest, "/".to_owned()),
        };
        let with_port = if host.rsplit(']').next().unwrap_or(host).contains(':') {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let addrs: Vec<SocketAddr> =
            with_port.to_socket_addrs().map_err(|e| format!("{url}: {e}"))?.collect();
        let addr = addrs
            .iter()
            .find(|a| a.is_ipv4())
            .or(addrs.first())
            .copied()
            .ok_or_else(|| format!("{url}: no address"))?;
        let loopback = match addr.ip() {
            IpAddr::V4(ip) => ip.is_loopback(),
            IpAddr::V6(ip) => ip.is_loopback(),
        };
        if !loopback {
            return Err(format!("{addr} is not a loopback address"));
        }
        Ok(Self { addr, host: host.to_owned(), path })
    }

    /// Resolves the data of an `endpoint` event: absolute, or relative to `self`.
    pub fn join(&self, reference: &str) -> Result<Self, String> {
        if reference.starts_with("http://") {
            return Self::parse(reference);
        }
        let path = if reference.starts_with('/') {
            reference.to_owned()
        } else if reference.starts_with('?') {
            let base = self.path.split('?').next().unwrap_or("/");
            format!("{base}{reference}")
        } else {
            let base = self.path.split('?').next().unwrap_or("/");
            let dir = &base[..base.rfind('/').map_or(0, |at| at + 1)];
            format!("{dir}{reference}")
        };
        Ok(Self { path, ..self.clone() })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Body {
    Done,
    Length(usize),
    /// Bytes left in the chunk; its line end follows.
    Chunk(usize),
    ChunkHead,
    ChunkEnd,
    Trailer,
    UntilClose,
}

#[derive(Debug)]
pub struct Head {
    pub status: u16,
    pub event_stream: bool,
    pub session_id: Option<String>,
}

pub struct Conn {
    io: TcpStream,
    buf: Vec<u8>,
    /// Unread bytes are `buf[pos..end]`.
    pos: usize,
    end: usize,
    body: Body,
    keep_alive: bool,
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

impl Conn {
    pub async fn open(addr: SocketAddr) -> io::Result<Self> {
        let io = TcpStream::connect(addr).await?;
        io.set_nodelay(true)?;
        Ok(Self { io, buf: Vec::new(), pos: 0, end: 0, body: Body::Done, keep_alive: true })
    }

    /// Whether another request may go out on this connection.
    pub fn reusable(&self) -> bool {
        if self.body != Body::Done || !self.keep_alive || self.pos != self.end {
            return false;
        }
        let mut probe = [0_u8; 1];
        matches!(self.io.try_read(&mut probe), Err(e) if e.kind() == io::ErrorKind::WouldBlock)
    }

    pub async fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.io.write_all(request).await
    }

    async fn fill(&mut self) -> io::Result<usize> {
        if self.pos == self.end {
            (self.pos, self.end) = (0, 0);
        } else if self.pos > 0 && self.buf.len() - self.end < READ_CHUNK / 4 {
            self.buf.copy_within(self.pos..self.end, 0);
            self.end -= self.pos;
            self.pos = 0;
        }
        if self.buf.len() - self.end < READ_CHUNK / 4 {
            let grown = (self.buf.len() * 2).max(READ_CHUNK);
            self.buf.resize(grown, 0);
        }
        let n = self.io.read(&mut self.buf[self.end..]).await?;
        self.end += n;
        Ok(n)
    }

    pub async fn head(&mut self) -> io::Result<Head> {
        loop {
            if let Some(head) = self.try_head()? {
                if head.status >= 200 {
                    return Ok(head);
                }
                continue;
            }
            if self.fill().await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed before a response"));
            }
        }
    }

    fn try_head(&mut self) -> io::Result<Option<Head>> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut res = httparse::Response::new(&mut headers);
        let parsed =
            res.parse(&self.buf[self.pos..self.end]).map_err(|e| bad(&format!("response head: {e}")))?;
        let httparse::Status::Complete(used) = parsed else {
            return Ok(None);
        };
        let status = res.code.unwrap_or(0);
        let mut head = Head { status, event_stream: false, session_id: None };
        let mut length = None;
        let mut chunked = false;
        self.keep_alive = res.version == Some(1);
        for h in res.headers.iter() {
            let value = std::str::from_utf8(h.value).unwrap_or("");
            if h.name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse::<usize>().map_err(|_| bad("length"))?);
            } else if h.name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = value.to_ascii_lowercase().contains("chunked");
            } else if h.name.eq_ignore_ascii_case("content-type") {
                head.event_stream = value.starts_with("text/event-stream");
            } else if h.name.eq_ignore_ascii_case("connection") {
                self.keep_alive = !value.eq_ignore_ascii_case("close");
            } else if h.name.eq_ignore_ascii_case("mcp-session-id") {
                head.session_id = Some(value.to_owned());
            }
        }
        self.pos += used;
        self.body = if status == 204 || status == 304 || status < 200 {
            Body::Done
        } else if chunked {
            Body::ChunkHead
        } else {
            match length {
                Some(0) => Body::Done,
                Some(n) => Body::Length(n),
                None => Body::UntilClose,
            }
        };
        Ok(Some(head))
    }

    /// The next decoded bytes of the response body; `None` at its end.
    pub async fn chunk(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            let have = self.end - self.pos;
            match self.body {
                Body::Done => return Ok(None),
                Body::Length(left) | Body::Chunk(left) if have > 0 => {
                    let take = left.min(have);
                    self.body = match (self.body, left - take) {
                        (Body::Length(_), 0) => Body::Done,
                        (Body::Length(_), rest) => Body::Length(rest),
                        (_, 0) => Body::ChunkEnd,
                        (_, rest) => Body::Chunk(rest),
                    };
                    self.pos += take;
                    return Ok(Some(&self.buf[self.pos - take..self.pos]));
                }
                Body::UntilClose if have > 0 => {
                    self.pos = self.end;
                    return Ok(Some(&self.buf[self.end - have..self.end]));
                }
                Body::ChunkHead | Body::ChunkEnd | Body::Trailer => {
                    if let Some(at) = memchr::memchr(b'\n', &self.buf[self.pos..self.end]) {
                        let line = self.buf[self.pos..self.pos + at].trim_ascii();
                        self.body = match self.body {
                            Body::ChunkEnd => Body::ChunkHead,
                            Body::Trailer if line.is_empty() => Body::Done,
                            Body::Trailer => Body::Trailer,
                            _ => match chunk_size(line)? {
                                0 => Body::Trailer,
                                n => Body::Chunk(n),
                            },
                        };
                        self.pos += at + 1;
                        continue;
                    }
                }
                _ => {}
            }
            if self.fill().await? == 0 {
                self.keep_alive = false;
                let clean = self.body == Body::UntilClose;
                self.body = Body::Done;
                return if clean {
                    Ok(None)
                } else {
                    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed within a response"))
                };
            }
        }
    }

    /// Reads the rest of the body into `into`.
    pub async fn read_body(&mut self, into: &mut Vec<u8>) -> io::Result<()> {
        while let Some(bytes) = self.chunk().await? {
            into.extend_from_slice(bytes);
        }
        Ok(())
    }
}

fn chunk_size(line: &[u8]) -> io::Result<usize> {
    let digits = line.split(|b| *b == b';').next().unwrap_or(line);
    std::str::from_utf8(digits.trim_ascii())
        .ok()
        .and_then(|s| usize::from_str_radix(s, 16).ok())
        .ok_or_else(|| bad("chunk size"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        let t = Target::parse("http://127.0.0.1:8000/a/sse?x=1").unwrap();
        assert_eq!(t.path, "/a/sse?x=1");
        assert_eq!(t.join("/message?s=1").unwrap().path, "/message?s=1");
        assert_eq!(t.join("message?s=1").unwrap().path, "/a/message?s=1");
        assert_eq!(t.join("?s=1").unwrap().path, "/a/sse?s=1");
        assert_eq!(t.join("http://localhost:1/m").unwrap().addr.port(), 1);
        assert!(Target::parse("http://10.0.0.1/").is_err());
        assert!(Target::parse("https://127.0.0.1/").is_err());
    }

    async fn answered(raw: &'static [u8]) -> (Conn, Head) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut io, _) = listener.accept().await.unwrap();
            for byte in raw {
                io.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let mut conn = Conn::open(addr).await.unwrap();
        let head = conn.head().await.unwrap();
        (conn, head)
    }

    #[tokio::test]
    async fn chunked_body_byte_by_byte() {
        let (mut conn, head) = answered(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
              Transfer-Encoding: chunked\r\nMcp-Session-Id: a\r\n\r\n\
              3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: t\r\n\r\n",
        )
        .await;
        assert!(head.event_stream && head.status == 200);
        assert_eq!(head.session_id.as_deref(), Some("a"));
        let mut body = Vec::new();
        conn.read_body(&mut body).await.unwrap();
        assert_eq!(body, b"abc0123456789");
    }

    #[tokio::test]
    async fn lengths_and_closes() {
        let (mut conn, _) = answered(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok").await;
        let mut body = Vec::new();
        conn.read_body(&mut body).await.unwrap();
        assert_eq!(body, b"ok");
        let (mut conn, _) = answered(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok").await;
        assert!(conn.read_body(&mut body).await.is_err());
        let (mut conn, _) = answered(b"HTTP/1.0 200 OK\r\n\r\nall").await;
        body.clear();
        conn.read_body(&mut body).await.unwrap();
        assert_eq!(body, b"all");
        assert!(!conn.reusable());
    }
}
