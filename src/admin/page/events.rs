//! Keeps the pages up to date that are looked at. Once a second, and only while somebody looks, everything is
//! rendered once; each who looks is sent what has changed of it since what was sent last.
//!
//! What there is to be seen takes an `Operator` as the proof, and only who looks brings one along.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_core::Stream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::layout;
use super::overview::Picture;
use super::visitor::Visitor;
use crate::admin::{Admin, Overview};
use crate::http::not_operator;

/// Where changes are told.
pub(super) const EVENTS: &str = "/admin/events";

/// So many may look at once.
const MOST: usize = 8;
/// How often they are told.
const EVERY: Duration = Duration::from_secs(1);
/// One who takes nothing is told the sum of it when there is room again.
const AHEAD: usize = 2;
/// The first words: how many milliseconds a browser waits before it comes back.
const GREETING: &[u8] = b"retry: 2000\n\n";
/// After so much silence there is a sign of life.
const SILENCE: Duration = Duration::from_secs(15);
const HEARTBEAT: &[u8] = b": keepalive\n\n";
const LAST_WORDS: &[u8] = b"event: end\ndata: \n\n";

/// Everybody who looks.
#[derive(Debug)]
pub(in crate::admin) struct Lookers {
    present: Mutex<Present>,
    /// Somebody has come.
    came: Notify,
    seats: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Present {
    lookers: Vec<Looker>,
    /// Nobody is told anything any more.
    is_over: bool,
}

/// One who looks.
#[derive(Debug)]
struct Looker {
    visitor: Arc<Visitor>,
    /// What was sent last.
    known: Option<Arc<Picture>>,
    last_sign: Instant,
    events: mpsc::Sender<Bytes>,
}

/// The body of an event stream. Dropping it frees the seat.
struct Events {
    events: mpsc::Receiver<Bytes>,
    _seat: OwnedSemaphorePermit,
}

pub(super) async fn events(request: HttpRequest, admin: Data<Admin>) -> HttpResponse {
    let visitor = match Visitor::enter(&request, &admin) {
        Ok(visitor) => visitor,
        Err(reason) => return not_operator(&reason),
    };
    let Some(events) = admin.lookers.join(visitor) else {
        let text = "as many pages as may update themselves are open; close one, then reload this one";
        return HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, "30")).body(text);
    };
    let mut response = HttpResponse::Ok();
    layout::protect(&mut response);
    response.insert_header((CACHE_CONTROL, "no-store")).insert_header(("X-Accel-Buffering", "no"));
    response.content_type("text/event-stream").streaming(events)
}

impl Lookers {
    pub(in crate::admin) fn new() -> Self {
        Self { present: Mutex::default(), came: Notify::new(), seats: Arc::new(Semaphore::new(MOST)) }
    }

    /// Tells everybody what changes, for as long as it is awaited.
    pub(in crate::admin) async fn tell(&self, admin: &Admin) -> Infallible {
        let mut clock = interval(EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while self.present().lookers.is_empty() {
                self.came.notified().await;
            }
            clock.tick().await;
            let first = self.present().lookers.first().map(|looker| looker.visitor.clone());
            if let Some(visitor) = first {
                self.tell_once(admin, &Overview::of(admin, visitor.operator()).await);
            }
        }
    }

    /// Tells everybody that there is nothing more to come. What was sent before is read to its end.
    pub(in crate::admin) fn end(&self) {
        let mut present = self.present();
        present.is_over = true;
        for looker in present.lookers.drain(..) {
            let _ = looker.events.try_send(Bytes::from_static(LAST_WORDS));
        }
    }

    fn join(&self, visitor: Visitor) -> Option<Events> {
        let seat = self.seats.clone().try_acquire_owned().ok()?;
        let (sender, events) = mpsc::channel(AHEAD);
        let _ = sender.try_send(Bytes::from_static(GREETING));
        let looker =
            Looker { visitor: Arc::new(visitor), known: None, last_sign: Instant::now(), events: sender };
        let mut present = self.present();
        if present.is_over {
            return None;
        }
        present.lookers.push(looker);
        drop(present);
        self.came.notify_one();
        Some(Events { events, _seat: seat })
    }

    fn tell_once(&self, admin: &Admin, overview: &Overview) {
        // Whoever comes meanwhile need not wait for it.
        let mut lookers = std::mem::take(&mut self.present().lookers);
        lookers.retain(|looker| looker.visitor.may_still_look(&admin.gate));
        if !lookers.is_empty() {
            let picture = Arc::new(Picture::of(overview));
            lookers.retain_mut(|looker| looker.tell(&picture));
        }
        let mut present = self.present();
        lookers.append(&mut present.lookers);
        present.lookers = lookers;
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Looker {
    /// Says whether it still looks.
    fn tell(&mut self, picture: &Arc<Picture>) -> bool {
        let changes = self.changes(picture);
        let is_due = self.last_sign.elapsed() >= SILENCE;
        let text = match changes.is_empty() {
            true if is_due => Bytes::from_static(HEARTBEAT),
            true => return !self.events.is_closed(),
            false => Bytes::from(changes),
        };
        match self.events.try_send(text) {
            Ok(()) => {
                self.known = Some(picture.clone());
                self.last_sign = Instant::now();
                true
            }
            Err(mpsc::error::TrySendError::Full(_)) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }

    /// An event for each section that has changed. JSON has no line ends, so each is one line of data.
    fn changes(&self, picture: &Picture) -> String {
        let known = self.known.as_ref().map(|known| known.sections());
        let mut text = String::new();
        for (position, section) in picture.sections().into_iter().enumerate() {
            let before = known.as_ref().map(|sections| sections[position]);
            let change = section.change(before).and_then(|change| serde_json::to_string(&change).ok());
            change.iter().for_each(|data| text += &format!("event: {}\ndata: {data}\n\n", section.name));
        }
        text
    }
}

impl Stream for Events {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_recv(cx).map(|event| event.map(Ok))
    }
}
