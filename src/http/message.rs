//! `POST /{server}/message?sessionId=…`: one message for a session of the `sse` transport.

use actix_web::http::Method;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::call::Call;
use super::error::{Refusal, insert_allowance};
use super::{Front, body, cors};
use crate::mcp::{Frame, Kind, RequestId};
use crate::session::{Transport, Undelivered};

const METHODS: &str = "POST, OPTIONS";

pub(super) async fn route(request: HttpRequest, payload: Payload, front: Data<Front>) -> HttpResponse {
    let mut id = None;
    let outcome = match *request.method() {
        Method::POST => post(&request, payload, &front, &mut id).await,
        Method::OPTIONS => cors::preflight(&request, &front, METHODS),
        _ => Err(Refusal::Method(METHODS)),
    };
    cors::respond(&request, &front, outcome, id.as_ref())
}

async fn post(
    request: &HttpRequest,
    payload: Payload,
    front: &Front,
    id: &mut Option<RequestId>,
) -> Result<HttpResponse, Refusal> {
    let call = Call::read(request, &front.base_path);
    let permit = front.gate.admit(&call.presented())?;
    let server = front.catalog.find(&permit, &call.target()?)?;
    let named = call.session_id().ok_or(Undelivered::NoSession)?;
    let session = front.sessions.find(&named, Transport::Sse, permit.tenant(), &server)?;
    call.check_content().map_err(Refusal::Content)?;
    let frame = Frame::parse(body::read(request, payload, front.max_message).await?)?;
    if let Kind::Request(open, _) = frame.kind() {
        *id = Some(open.clone());
    }
    session.deliver([frame], call.revision())?;
    let mut response = HttpResponse::Accepted();
    if let Some(allowance) = permit.allowance() {
        insert_allowance(&mut response, allowance);
    }
    Ok(response.content_type("text/plain").body("Accepted"))
}
