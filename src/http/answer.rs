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
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use super::error::status_of;
use super::event;
use crate::mcp::{Frame, Kind, error_code};
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
    /// The first event is empty, so that the client has an id from the beginning.
    pub(super) primes: bool,
    /// The status tells what kind of error an answer is, as of 2026-07-28.
    pub(super) status_tells: bool,
}

/// Waits for the answer, or for what precedes it. `head` adds headers.
pub(super) async fn answer(
    mut reader: Reader,
    form: Form,
    heartbeat: Duration,
    head: impl FnOnce(&mut HttpResponseBuilder, Option<&Frame>),
) -> HttpResponse {
    let came = gather(&mut reader, form).await;
    if !is_whole(&came, form) {
        let mut response = HttpResponse::Ok();
        head(&mut response, None);
        return stream(&mut response, Events::new(reader, form, heartbeat, &came));
    }
    let answer = came.first().and_then(|delivery| delivery.frames.first());
    let code = answer.filter(|_| form.status_tells).and_then(error_code);
    let mut response = HttpResponse::build(code.map_or(StatusCode::OK, status_of));
    head(&mut response, answer);
    response.content_type("application/json").body(json(came, form))
}

/// What comes within the patience of a request: its answer, what precedes that, or the answers to a batch
/// one after the other.
async fn gather(reader: &mut Reader, form: Form) -> Vec<Delivery> {
    let mut came = Vec::new();
    if form.patience.is_zero() {
        return came;
    }
    let until = Instant::now() + form.patience;
    while let Ok(Some(delivery)) = timeout_at(until, reader.next()).await {
        let goes_on = form.batch && !delivery.last && is_answers(&delivery);
        came.push(delivery);
        if !goes_on {
            break;
        }
    }
    came
}

/// An event stream as the response.
pub(super) fn stream(response: &mut HttpResponseBuilder, events: Events) -> HttpResponse {
    response
        .content_type("text/event-stream")
        .insert_header(("Cache-Control", "no-cache, no-transform"))
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(events)
}

/// Whether a client that expects JSON finds everything in what came.
fn is_whole(came: &[Delivery], form: Form) -> bool {
    let frames: usize = came.iter().map(|delivery| delivery.frames.len()).sum();
    let is_all = came.last().is_some_and(|delivery| delivery.last);
    is_all && came.iter().all(is_answers) && (form.batch || frames == 1)
}

fn is_answers(delivery: &Delivery) -> bool {
    delivery.frames.iter().all(|frame| matches!(frame.kind(), Kind::Response(_)))
}

fn json(came: Vec<Delivery>, form: Form) -> Bytes {
    let mut frames = came.into_iter().flat_map(|delivery| delivery.frames);
    if !form.batch {
        return frames.next().map(|frame| frame.bytes().clone()).unwrap_or_default();
    }
    let mut text = BytesMut::from("[");
    for (position, frame) in frames.enumerate() {
        if position > 0 {
            text.extend_from_slice(b",");
        }
        text.extend_from_slice(frame.bytes());
    }
    text.extend_from_slice(b"]");
    text.freeze()
}

/// The body of an event stream. When the client goes away it is dropped, and its reader with it.
pub(super) struct Events {
    reader: Reader,
    /// Events have ids, because the client can come back for them.
    with_ids: bool,
    /// The client understands an event without data.
    takes_empty: bool,
    /// Nothing comes any more.
    over: bool,
    /// What goes ahead of what the reader has next.
    ahead: Option<Bytes>,
    heartbeat: Duration,
    last_sign: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Events {
    /// `came` is what was read already.
    pub(super) fn new(mut reader: Reader, form: Form, heartbeat: Duration, came: &[Delivery]) -> Self {
        let with_ids = reader.make_resumable();
        let mut ahead = BytesMut::new();
        if form.primes && !(came.is_empty() && reader.has_ended()) {
            ahead.extend_from_slice(&event::priming(reader.origin()));
        }
        for delivery in came {
            ahead.extend_from_slice(&event::messages(delivery, with_ids));
        }
        Self { takes_empty: form.primes, ..Self::behind(ahead.freeze(), reader, heartbeat) }
    }

    /// What a reader gets, behind something else.
    pub(super) fn behind(ahead: Bytes, mut reader: Reader, heartbeat: Duration) -> Self {
        let now = Instant::now();
        let timer = Box::pin(sleep_until(now + heartbeat));
        let ahead = (!ahead.is_empty()).then_some(ahead);
        let with_ids = reader.make_resumable();
        Self { reader, with_ids, takes_empty: false, over: false, ahead, heartbeat, last_sign: now, timer }
    }

    /// What is to be said at the end, once.
    fn farewell(&mut self) -> Option<Bytes> {
        let is_over = std::mem::replace(&mut self.over, true);
        (!is_over && self.reader.is_sent_away()).then(|| event::farewell(self.takes_empty))
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
        match self.reader.poll_next(cx) {
            Poll::Ready(Some(delivery)) => {
                self.last_sign = Instant::now();
                Poll::Ready(Some(Ok(event::messages(&delivery, self.with_ids))))
            }
            Poll::Ready(None) => Poll::Ready(self.farewell().map(Ok)),
            Poll::Pending => self.poll_heartbeat(cx).map(|sign| Some(Ok(sign))),
        }
    }
}
