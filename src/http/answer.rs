//! The answer to a request that a backend answers: JSON if there is nothing but that, an event stream if
//! something precedes it or it takes a while.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_core::Stream;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::event;
use crate::mcp::{Code, Frame, Kind, error_code};
use crate::session::{Delivery, Reader};

/// How the answers of one request are sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// How long the answer may be waited for before the response becomes an event stream: proxies and
    /// clients give up on one of which they see nothing. Not at once, because some clients take larger
    /// messages as JSON than as events (Python SDK 2.3: 1 MiB).
    pub(super) patience: Duration,
    /// Several answers in one array.
    pub(super) batch: bool,
    /// Events have ids, because the client can come back for them.
    pub(super) with_ids: bool,
    /// The first event is empty, so that the client has an id from the beginning.
    pub(super) primes: bool,
    /// The status says what kind of error the one answer is (MCP 2026-07-28).
    pub(super) by_code: bool,
}

/// Waits for the answer, or for what precedes it. `head` adds headers.
pub(super) async fn answer(
    mut reader: Reader,
    form: Form,
    heartbeat: Duration,
    head: impl FnOnce(&mut HttpResponseBuilder, Option<&Frame>),
) -> HttpResponse {
    let first = match form.patience {
        Duration::ZERO => None,
        patience => timeout(patience, reader.next()).await.ok(),
    };
    match first {
        Some(Some(delivery)) if is_whole(&delivery, form) => {
            let mut response = HttpResponse::build(status(&delivery, form));
            head(&mut response, delivery.frames.first());
            response.content_type("application/json").body(json(delivery, form))
        }
        first => {
            let mut response = HttpResponse::Ok();
            head(&mut response, None);
            stream(&mut response, Events::new(reader, form, heartbeat, first))
        }
    }
}

/// An event stream as the response.
pub(super) fn stream(response: &mut HttpResponseBuilder, events: Events) -> HttpResponse {
    response
        .content_type("text/event-stream")
        .insert_header(("Cache-Control", "no-cache, no-transform"))
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(events)
}

/// Whether a client that expects JSON finds everything in this delivery.
fn is_whole(delivery: &Delivery, form: Form) -> bool {
    let answers = delivery.frames.iter().all(|frame| matches!(frame.kind(), Kind::Response(_)));
    delivery.last && delivery.first.number == 1 && answers && (form.batch || delivery.frames.len() == 1)
}

fn json(delivery: Delivery, form: Form) -> Bytes {
    let mut frames = delivery.frames;
    if !form.batch {
        return frames.pop().map(|frame| frame.bytes().clone()).unwrap_or_default();
    }
    let mut text = BytesMut::from("[");
    for (position, frame) in frames.iter().enumerate() {
        if position > 0 {
            text.extend_from_slice(b",");
        }
        text.extend_from_slice(frame.bytes());
    }
    text.extend_from_slice(b"]");
    text.freeze()
}

/// protocol.md section 3.1, error map.
fn status(delivery: &Delivery, form: Form) -> StatusCode {
    const NO_CAPABILITY: i64 = -32021;
    let code = delivery.frames.first().filter(|_| form.by_code).and_then(error_code);
    let is = |known: Code| code == Some(i64::from(known.number()));
    if is(Code::NoMethod) {
        StatusCode::NOT_FOUND
    } else if code == Some(NO_CAPABILITY) || is(Code::UnsupportedVersion) || is(Code::HeaderMismatch) {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::OK
    }
}

/// The body of an event stream. When the client goes away it is dropped, and its reader with it.
pub(super) struct Events {
    reader: Reader,
    with_ids: bool,
    /// What goes ahead of what the reader has next.
    ahead: Option<Bytes>,
    /// Nothing follows `ahead`.
    ended: bool,
    heartbeat: Duration,
    last_sign: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Events {
    /// `first` is what was read already; `Some(None)` is the end.
    pub(super) fn new(
        mut reader: Reader,
        form: Form,
        heartbeat: Duration,
        first: Option<Option<Delivery>>,
    ) -> Self {
        let ended = matches!(first, Some(None));
        let mut ahead = BytesMut::new();
        if form.primes && !ended {
            ahead.extend_from_slice(&event::priming(reader.origin()));
        }
        if let Some(Some(delivery)) = first {
            ahead.extend_from_slice(&event::messages(&delivery, form.with_ids));
        }
        if form.with_ids {
            reader.make_resumable();
        }
        let mut events = Self::of(reader, ahead.freeze(), heartbeat);
        events.ended = ended;
        events.with_ids = form.with_ids;
        events
    }

    /// Events without ids, behind one of another kind.
    pub(super) fn of(reader: Reader, ahead: Bytes, heartbeat: Duration) -> Self {
        let now = Instant::now();
        let timer = Box::pin(sleep_until(now + heartbeat));
        let ahead = (!ahead.is_empty()).then_some(ahead);
        Self { reader, with_ids: false, ahead, ended: false, heartbeat, last_sign: now, timer }
    }

    /// A sign of life, if nothing was sent for a while.
    fn poll_heartbeat(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let is_due = now >= self.last_sign + self.heartbeat;
            if is_due {
                self.last_sign = now;
            }
            let next = self.last_sign + self.heartbeat;
            self.timer.as_mut().reset(next);
            if is_due {
                return Poll::Ready(Bytes::from_static(event::HEARTBEAT));
            }
        }
        Poll::Pending
    }
}

impl Stream for Events {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(ahead) = self.ahead.take() {
            return Poll::Ready(Some(Ok(ahead)));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        match self.reader.poll_next(cx) {
            Poll::Ready(Some(delivery)) => {
                self.last_sign = Instant::now();
                Poll::Ready(Some(Ok(event::messages(&delivery, self.with_ids))))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => self.poll_heartbeat(cx).map(|sign| Some(Ok(sign))),
        }
    }
}
