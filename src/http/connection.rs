//! A client's connection, as the HTTP machinery reads and writes it. It ends when nothing comes of it.
//!
//! actix times the first head of a connection and idle ones. What it leaves open for as long as a client
//! likes (actix-http 3.20) is timed here: a later head that does not become whole, and the rest of a
//! chunked body that was refused.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::rt::net::TcpStream;
use actix_web::web::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::connections::Place;
use crate::telemetry::Cause;

/// A head that takes longer is cut off.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle connections between requests.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long the rest of a refused body is taken, so that the client gets to read why.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// A socket that has its place among all connections, if they are counted, for as long as it is open.
#[derive(Debug)]
pub(super) struct Connection {
    socket: TcpStream,
    course: Rc<Course>,
    timer: Pin<Box<Sleep>>,
    _place: Option<Place>,
}

/// How a connection gets on. Known to its socket and to the requests on it.
#[derive(Debug)]
pub(super) struct Course {
    /// Requests that are being answered.
    open: Cell<usize>,
    /// Since when there is none.
    quiet_since: Cell<Instant>,
    /// When the first byte came after that.
    begun: Cell<Option<Instant>>,
    /// There shall be no further request.
    closing: Cell<bool>,
    /// It is somebody else's turn.
    cut: Cell<bool>,
    /// Whoever has called on it is whom the listener is for.
    known: Cell<bool>,
    /// Who is to look at the time again.
    waker: RefCell<Option<Waker>>,
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Answering(Rc<Course>);

/// The body of a response, and what goes on until it is sent or given up.
pub(super) struct Attended {
    pub(super) body: BoxBody,
    pub(super) _answering: Option<Answering>,
    /// Its span lasts until then, too, if it has one.
    pub(super) _cause: Option<Arc<Cause>>,
}

// === impl Connection ===

impl Connection {
    pub(super) fn new(socket: TcpStream, place: Option<Place>) -> Self {
        let now = Instant::now();
        let course = Course {
            open: Cell::new(0),
            quiet_since: Cell::new(now),
            begun: Cell::new(None),
            closing: Cell::new(false),
            cut: Cell::new(false),
            known: Cell::new(false),
            waker: RefCell::new(None),
        };
        let timer = Box::pin(sleep_until(course.patience_ends()));
        Self { socket, course: Rc::new(course), timer, _place: place }
    }

    pub(super) fn course(&self) -> &Rc<Course> {
        &self.course
    }

    /// Nothing has come: ready once it is too late for it.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        *self.course.waker.borrow_mut() = Some(cx.waker().clone());
        if self.course.open.get() > 0 {
            return Poll::Pending;
        }
        let end = self.course.patience_ends();
        // A timer that is early finds out when it fires.
        if end < self.timer.deadline() {
            self.timer.as_mut().reset(end);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if end <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(end);
        }
        Poll::Pending
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.course.check()?;
        let before = into.filled().len();
        match Pin::new(&mut self.socket).poll_read(cx, into) {
            // The end, as if the client had closed it.
            Poll::Pending => self.poll_patience(cx).map(Ok),
            ready => {
                if into.filled().len() > before {
                    self.course.heard();
                }
                ready
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, text: &[u8]) -> Poll<io::Result<usize>> {
        self.course.check()?;
        Pin::new(&mut self.socket).poll_write(cx, text)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

// === impl Course ===

impl Course {
    /// A request is whole as far as its head goes.
    pub(super) fn begin(self: &Rc<Self>) -> Answering {
        self.open.set(self.open.get() + 1);
        self.begun.set(None);
        Answering(self.clone())
    }

    /// Ends the connection, whatever goes on on it.
    pub(super) fn cut(&self) {
        self.cut.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// From now on it is known whose it is.
    pub(super) fn is_known(&self) {
        self.known.set(true);
    }

    /// Whether nobody knows that.
    pub(super) fn is_strangers(&self) -> bool {
        !self.known.get()
    }

    fn check(&self) -> io::Result<()> {
        if self.cut.get() { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    fn heard(&self) {
        if self.open.get() == 0 && self.begun.get().is_none() {
            self.begun.set(Some(Instant::now()));
        }
    }

    fn patience_ends(&self) -> Instant {
        if self.closing.get() {
            return self.quiet_since.get() + LINGER;
        }
        // actix ends idle ones a little earlier.
        let idle = self.quiet_since.get() + KEEP_ALIVE + HEAD_TIMEOUT;
        self.begun.get().map_or(idle, |begun| idle.min(begun + HEAD_TIMEOUT))
    }
}

// === impl Answering ===

impl Answering {
    /// The connection is to be closed behind this response.
    pub(super) fn is_last(&self) {
        self.0.closing.set(true);
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let course = &self.0;
        course.open.set(course.open.get() - 1);
        course.quiet_since.set(Instant::now());
        if let Some(waker) = course.waker.take() {
            waker.wake();
        }
    }
}

// === impl Attended ===

impl MessageBody for Attended {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
