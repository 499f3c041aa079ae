//! What a script answers: a proper response, or bytes and pauses of its own.

use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;

use super::request::more;

/// Between two bytes that drip.
const DRIP: Duration = Duration::from_millis(10);

/// Written at once, where something is written again and again.
const FLOOD: usize = 64 << 10;

/// A status, headers and what follows them.
pub(crate) struct Reply {
    head: Option<(u16, Vec<(String, String)>)>,
    body: Vec<Step>,
}

/// What happens on the connection, one step after the other.
pub(crate) enum Step {
    Bytes(Vec<u8>),
    /// The same, a byte every 10 ms.
    Drip(Vec<u8>),
    /// Again and again, until the other side closes.
    Flood(Vec<u8>),
    /// Each as a chunk, as they come; the last chunk once nobody can send any more.
    Live(UnboundedReceiver<Vec<u8>>),
    /// Nothing, until the door opens.
    Until(Door),
    /// Nothing, until the other side closes.
    Hang,
    Close,
    /// Closes so that the other side sees a reset.
    Reset,
}

/// How a response came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The connection serves the next request.
    Whole,
    /// We closed.
    Closed,
    /// The other side closed first.
    Left,
}

/// Shut at first; a test opens it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Door(watch::Sender<bool>);

impl Door {
    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    async fn opened(&self) {
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

impl Reply {
    /// A body of known length.
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let length = body.len().to_string();
        Self { head: Some((status, Vec::new())), body: vec![Step::Bytes(body)] }
            .header("content-length", &length)
            .header("content-type", content_type)
    }

    pub(crate) fn json(message: &Value) -> Self {
        Self::new(200, "application/json", message.to_string())
    }

    /// Nothing but a status.
    pub(crate) fn status(status: u16) -> Self {
        Self { head: Some((status, Vec::new())), body: Vec::new() }.header("content-length", "0")
    }

    /// Events as they come, until nobody can send any more.
    pub(crate) fn events(events: UnboundedReceiver<Vec<u8>>) -> Self {
        Self::stream(vec![Step::Live(events)])
    }

    /// These messages, an event each, and the proper end.
    pub(crate) fn messages(messages: &[Value]) -> Self {
        let mut steps: Vec<_> = messages.iter().map(|message| Step::Bytes(chunk(&event(message)))).collect();
        steps.push(Step::Bytes(chunk(b"")));
        Self::stream(steps)
    }

    /// An event stream whose chunks are the caller's matter.
    pub(crate) fn stream(body: Vec<Step>) -> Self {
        Self { head: Some((200, Vec::new())), body }
            .header("content-type", "text/event-stream")
            .header("transfer-encoding", "chunked")
    }

    /// A head of status 200 with these headers, and then these steps.
    pub(crate) fn steps(headers: &[(&str, &str)], body: Vec<Step>) -> Self {
        let bare = Self { head: Some((200, Vec::new())), body };
        headers.iter().fold(bare, |reply, (name, value)| reply.header(name, value))
    }

    /// These steps, without a head.
    pub(crate) fn raw(body: Vec<Step>) -> Self {
        Self { head: None, body }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        if let Some((_, headers)) = &mut self.head {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// Comes only when the door is open.
    pub(crate) fn behind(door: &Door, reply: Self) -> Self {
        let mut steps = vec![Step::Until(door.clone())];
        steps.extend(reply.head_bytes().map(Step::Bytes));
        steps.extend(reply.body);
        Self::raw(steps)
    }

    fn head_bytes(&self) -> Option<Vec<u8>> {
        let (status, headers) = self.head.as_ref()?;
        let mut text = format!("HTTP/1.1 {status} Scripted\r\n");
        headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
        Some((text + "\r\n").into_bytes())
    }

    pub(super) async fn play(self, stream: &mut TcpStream, unread: &mut Vec<u8>) -> End {
        let head = self.head_bytes().map(Step::Bytes);
        for step in head.into_iter().chain(self.body) {
            match step.play(stream, unread).await {
                End::Whole => {}
                end => return end,
            }
        }
        End::Whole
    }
}

impl Step {
    async fn play(self, stream: &mut TcpStream, unread: &mut Vec<u8>) -> End {
        match self {
            Self::Bytes(bytes) => write(stream, &bytes).await,
            Self::Drip(bytes) => drip(stream, &bytes).await,
            Self::Flood(bytes) => {
                let many = bytes.repeat(FLOOD.div_ceil(bytes.len()));
                while write(stream, &many).await == End::Whole {}
                End::Left
            }
            Self::Live(messages) => live(stream, unread, messages).await,
            Self::Until(door) => tokio::select! {
                () = door.opened() => End::Whole,
                () = closed(stream, unread) => End::Left,
            },
            Self::Hang => {
                closed(stream, unread).await;
                End::Left
            }
            Self::Close => End::Closed,
            Self::Reset => {
                socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO)).unwrap();
                End::Closed
            }
        }
    }
}

async fn write(stream: &mut TcpStream, bytes: &[u8]) -> End {
    match stream.write_all(bytes).await {
        Ok(()) => End::Whole,
        Err(_) => End::Left,
    }
}

async fn drip(stream: &mut TcpStream, bytes: &[u8]) -> End {
    stream.set_nodelay(true).unwrap();
    for byte in bytes {
        tokio::time::sleep(DRIP).await;
        if write(stream, &[*byte]).await == End::Left {
            return End::Left;
        }
    }
    End::Whole
}

async fn live(stream: &mut TcpStream, unread: &mut Vec<u8>, mut messages: UnboundedReceiver<Vec<u8>>) -> End {
    loop {
        let bytes = tokio::select! {
            message = messages.recv() => message.map(|message| chunk(&message)),
            () = closed(stream, unread) => return End::Left,
        };
        let Some(bytes) = bytes else { return write(stream, &chunk(b"")).await };
        if write(stream, &bytes).await == End::Left {
            return End::Left;
        }
    }
}

/// Comes back when the other side closes; what it sends before is kept.
async fn closed(stream: &mut TcpStream, unread: &mut Vec<u8>) {
    while more(stream, unread).await.is_some() {}
}

/// As an event of the type `message`.
pub(crate) fn event(message: &Value) -> Vec<u8> {
    format!("event: message\ndata: {message}\n\n").into_bytes()
}

/// The same with an id, from which the stream can be resumed.
pub(crate) fn event_with_id(id: &str, message: &Value) -> Vec<u8> {
    format!("id: {id}\nevent: message\ndata: {message}\n\n").into_bytes()
}

/// As a chunk of a body of unknown length; the last one, if it is empty.
pub(crate) fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
