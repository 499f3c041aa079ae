//! HTTP/1.1 as a proxy needs it: heads that can be changed, and bodies that are passed on as they come.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// One end of a connection.
pub(super) type Line = BufReader<TcpStream>;

/// Of a request or of a response.
#[derive(Clone)]
pub(super) struct Head {
    first: String,
    headers: Vec<(String, String)>,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Body {
    Length(u64),
    Chunked,
    UntilClosed,
}

impl Head {
    /// `None` if the connection ends instead.
    pub(super) async fn read(line: &mut Line) -> Result<Option<Self>> {
        let first = text_line(line).await?;
        if first.is_empty() {
            return Ok(None);
        }
        let mut head = Self { first, headers: Vec::new() };
        loop {
            let text = text_line(line).await?;
            let Some((name, value)) = text.split_once(':') else { break };
            head.headers.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(Some(head))
    }

    pub(super) fn answer(status: &str, length: usize) -> Self {
        let headers = vec![("content-length".to_owned(), length.to_string())];
        Self { first: format!("HTTP/1.1 {status}"), headers }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }

    /// Whoever wrote one of this name before is not heard.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.headers.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
    }

    pub(super) fn status(&self) -> u16 {
        self.first.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.first);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        (text + "\r\n").into_bytes()
    }

    /// Whether the connection is to be used again.
    pub(super) fn keeps(&self) -> bool {
        !self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// What follows the head of a request.
    pub(super) fn body_of_request(&self) -> Body {
        if self.header("transfer-encoding").is_some() {
            return Body::Chunked;
        }
        Body::Length(self.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0))
    }

    /// What follows the head of the response to this request.
    pub(super) fn body_of_response(&self, request: &Self) -> Body {
        if request.first.starts_with("HEAD ") || matches!(self.status(), 100..200 | 204 | 304) {
            return Body::Length(0);
        }
        match self.header("content-length").and_then(|value| value.parse().ok()) {
            Some(length) => Body::Length(length),
            None if self.header("transfer-encoding").is_some() => Body::Chunked,
            None => Body::UntilClosed,
        }
    }
}

/// Without its end; empty where nothing comes any more.
async fn text_line(line: &mut Line) -> Result<String> {
    let mut text = Vec::new();
    line.read_until(b'\n', &mut text).await?;
    String::from_utf8(text).map(|text| text.trim_end().to_owned()).map_err(|_| ErrorKind::InvalidData.into())
}

/// Waits until this end hangs up. What comes before that is not looked at.
pub(super) async fn hung_up(line: &Line) {
    let mut one = [0];
    match line.get_ref().peek(&mut one).await {
        Ok(0) | Err(_) => {}
        Ok(_) => std::future::pending().await,
    }
}

/// Whether an idle connection can still be used.
pub(super) fn is_open(line: &Line) -> bool {
    let mut one = [0];
    matches!(line.get_ref().try_read(&mut one), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// Passes a body on, piece by piece as they come, to the other end; stops where that hangs up.
pub(super) async fn pass(from: &mut Line, to: &mut Line, body: Body) -> Result<()> {
    match body {
        Body::Length(length) => pieces(from, to, length).await,
        Body::UntilClosed => pieces(from, to, u64::MAX).await.or_else(|error| match error.kind() {
            ErrorKind::UnexpectedEof => Ok(()),
            _ => Err(error),
        }),
        Body::Chunked => loop {
            let size = tokio::select! {
                size = text_line(from) => size?,
                () = hung_up(to) => return Err(ErrorKind::BrokenPipe.into()),
            };
            let length = u64::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16);
            let length = length.map_err(|_| Error::from(ErrorKind::UnexpectedEof))?;
            to.write_all(format!("{size}\r\n").as_bytes()).await?;
            // With the end of the line behind it; there are no trailers here.
            pieces(from, to, length + 2).await?;
            if length == 0 {
                return Ok(());
            }
        },
    }
}

async fn pieces(from: &mut Line, to: &mut Line, mut left: u64) -> Result<()> {
    while left > 0 {
        let piece = tokio::select! {
            piece = from.fill_buf() => piece?,
            () = hung_up(to) => return Err(ErrorKind::BrokenPipe.into()),
        };
        if piece.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let count = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        to.write_all(&piece[..count]).await?;
        from.consume(count);
        left -= count as u64;
    }
    Ok(())
}

/// Reads a whole body of this length.
pub(super) async fn read_whole(line: &mut Line, length: u64) -> Result<Vec<u8>> {
    let mut whole = vec![0; usize::try_from(length).expect("a small body")];
    line.read_exact(&mut whole).await?;
    Ok(whole)
}
