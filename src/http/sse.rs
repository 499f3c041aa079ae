//! `GET /{server}/sse`: opens a session of the `sse` transport (MCP 2024-11-05, HTTP with SSE).

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::http::Method;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_core::Stream;

use super::call::Call;
use super::error::{Refusal, insert_allowance};
use super::{Front, cors, event};
use crate::access::Purpose;
use crate::session::{Delivery, Reader};

const METHODS: &str = "GET, OPTIONS";

pub(super) async fn route(request: HttpRequest, front: Data<Front>) -> HttpResponse {
    let outcome = match *request.method() {
        Method::GET => open(&request, &front).await,
        Method::OPTIONS => cors::preflight(&request, &front, METHODS),
        _ => Err(Refusal::Method(METHODS)),
    };
    let mut response = outcome.unwrap_or_else(|refusal| refusal.response(None));
    cors::share(&request, &front, &mut response);
    response
}

async fn open(request: &HttpRequest, front: &Front) -> Result<HttpResponse, Refusal> {
    let call = Call::read(request, &front.base_path);
    let permit = front.gate.admit(&call.presented(), Purpose::Open)?;
    let plan = front.catalog.plan(&permit, &call.target()?, call.overrides()?)?;
    if !call.accepts("text", "event-stream") {
        return Err(Refusal::NotAcceptable);
    }
    let reader = front.sessions.open(plan).await?;
    let uri = format!("{}/{}/message?sessionId={}", front.base_path, call.segment(), reader.id().reveal());
    let mut response = HttpResponse::Ok();
    if let Some(allowance) = permit.allowance() {
        insert_allowance(&mut response, allowance);
    }
    Ok(response
        .content_type("text/event-stream")
        .insert_header(("Cache-Control", "no-cache, no-transform"))
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(Events { first: Some(event::endpoint(&uri)), reader }))
}

/// The body of the response. When the client goes away it is dropped, and the session ends.
struct Events {
    first: Option<Bytes>,
    reader: Reader,
}

impl Stream for Events {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        self.reader.poll_next(cx).map(|delivery| {
            delivery.map(|delivery| match delivery {
                Delivery::Frames(frames) => Ok(event::messages(&frames)),
                Delivery::Heartbeat => Ok(Bytes::from_static(event::HEARTBEAT)),
            })
        })
    }
}
