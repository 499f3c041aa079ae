//! `POST /{server}/message?sessionId=…`: one message for a session of the `sse` transport.

use actix_web::http::Method;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::admitted::{Admitted, Placed};
use super::error::Refusal;
use super::worker::Worker;
use super::{cors, traced};
use crate::mcp::{Frame, Kind, RequestId};
use crate::session::Transport;

const METHODS: &str = "POST, OPTIONS";

pub(super) async fn route(request: HttpRequest, payload: Payload, worker: &Worker) -> HttpResponse {
    let mut id = None;
    let outcome = match *request.method() {
        Method::POST => post(&request, payload, worker, &mut id).await,
        Method::OPTIONS => cors::preflight(&request, worker, METHODS),
        _ => Err(Refusal::Method(METHODS)),
    };
    cors::respond(&request, worker, outcome, id.as_ref())
}

async fn post(
    request: &HttpRequest,
    payload: Payload,
    worker: &Worker,
    id: &mut Option<RequestId>,
) -> Result<HttpResponse, Refusal> {
    let admitted = Admitted::read(request, worker).await?;
    let named = admitted.call.session_id();
    let local = match admitted.place(named.clone()).await? {
        Placed::Here(local) => local,
        Placed::Elsewhere(elsewhere) => return elsewhere.answer(payload, id).await,
    };
    let session = local.find(named, Transport::Sse)?;
    local.call.check_content().map_err(Refusal::Content)?;
    let body = local.body(payload).await?;
    let frame = Frame::parse(body.bytes)?;
    traced::says(&frame);
    if let Kind::Request(open, _) = frame.kind() {
        *id = Some(open.clone());
    }
    session.deliver([frame], local.call.revision(), &local.offer()?, local.arrived())?;
    Ok(local.accepted().content_type("text/plain").body("Accepted"))
}
