//! `GET /{server}/sse`: opens a session of the `sse` transport (MCP 2024-11-05, HTTP with SSE).

use actix_web::http::Method;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::admitted::{accepted_names, insert_accepted};
use super::answer::{Events, stream};
use super::call::Call;
use super::error::{Refusal, insert_allowance};
use super::{Front, cors, event};

const METHODS: &str = "GET, OPTIONS";

pub(super) async fn route(request: HttpRequest, front: Data<Front>) -> HttpResponse {
    let outcome = match *request.method() {
        Method::GET => open(&request, &front).await,
        Method::OPTIONS => cors::preflight(&request, &front, METHODS),
        _ => Err(Refusal::Method(METHODS)),
    };
    cors::respond(&request, &front, outcome, None)
}

async fn open(request: &HttpRequest, front: &Front) -> Result<HttpResponse, Refusal> {
    let call = Call::read(request, &front.base_path);
    let permit = front.gate.admit(&call.presented())?;
    let plan = front.catalog.plan(&permit, &call.target()?, call.overrides()?)?;
    if !call.accepts("text", "event-stream") {
        return Err(Refusal::NotAcceptable);
    }
    let opening = front.gate.opening(&permit)?;
    let accepted = accepted_names(&plan);
    let reader = front.sessions.open_sse(plan, opening).await?;
    let id = reader.session().id().reveal();
    let uri = format!("{}/{}/message?sessionId={id}", front.base_path, call.segment());
    let mut response = HttpResponse::Ok();
    insert_allowance(&mut response, permit.allowance());
    insert_accepted(&mut response, accepted);
    Ok(stream(&mut response, Events::behind(event::endpoint(&uri), reader, front.heartbeat)))
}
