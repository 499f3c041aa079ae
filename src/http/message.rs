//! `POST /{server}/message?sessionId=…`: one message for a session of the `sse` transport.

use std::pin::Pin;

use actix_web::http::Method;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::{Bytes, BytesMut, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_core::Stream;

use super::call::Call;
use super::error::{Refusal, insert_allowance};
use super::{Front, cors};
use crate::access::Purpose;
use crate::mcp::{Frame, Kind, RequestId};
use crate::session::Undelivered;

const METHODS: &str = "POST, OPTIONS";

pub(super) async fn route(request: HttpRequest, body: Payload, front: Data<Front>) -> HttpResponse {
    let mut id = None;
    let outcome = match *request.method() {
        Method::POST => post(&request, body, &front, &mut id).await,
        Method::OPTIONS => cors::preflight(&request, &front, METHODS),
        _ => Err(Refusal::Method(METHODS)),
    };
    let mut response = outcome.unwrap_or_else(|refusal| refusal.response(id.as_ref()));
    cors::share(&request, &front, &mut response);
    response
}

async fn post(
    request: &HttpRequest,
    body: Payload,
    front: &Front,
    id: &mut Option<RequestId>,
) -> Result<HttpResponse, Refusal> {
    let call = Call::read(request, &front.base_path);
    let permit = front.gate.admit(&call.presented(), Purpose::Use)?;
    let server = front.catalog.find(&permit, &call.target()?)?;
    let named = call.session_id().ok_or(Undelivered::NoSession)?;
    let session = front.sessions.find(&named, permit.tenant(), &server)?;
    call.check_content().map_err(Refusal::Content)?;
    let frame = Frame::parse(read(request, body, front.max_message).await?)?;
    if let Kind::Request(open, _) = frame.kind() {
        *id = Some(open.clone());
    }
    session.deliver(frame, call.revision(), front.sessions.is_draining())?;
    let mut response = HttpResponse::Accepted();
    if let Some(allowance) = permit.allowance() {
        insert_allowance(&mut response, allowance);
    }
    Ok(response.content_type("text/plain").body("Accepted"))
}

/// Reads a body that is within the limit, and no more than the limit of one that is not.
async fn read(request: &HttpRequest, mut body: Payload, limit: usize) -> Result<Bytes, Refusal> {
    let too_large = || Refusal::TooLarge(bytesize::ByteSize(limit as u64));
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let announced: usize = announced.unwrap_or(0);
    if announced > limit {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    while let Some(piece) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
        let piece = piece.map_err(|_| Refusal::Broken)?;
        if whole.is_empty() && piece.len() == announced {
            return Ok(piece);
        }
        if whole.len() + piece.len() > limit {
            return Err(too_large());
        }
        whole.reserve(announced.saturating_sub(whole.len()).min(limit).max(piece.len()));
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}
