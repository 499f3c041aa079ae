//! `GET /{server}/sse`: opens a session of the `sse` transport (MCP 2024-11-05, HTTP with SSE).

use actix_web::http::Method;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::admitted::{Admitted, accepted_names, insert_accepted};
use super::answer::{Events, stream};
use super::error::Refusal;
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
    let admitted = Admitted::read(request, front)?;
    let plan = admitted.plan()?;
    if !admitted.takes_events() {
        return Err(Refusal::NotAcceptable);
    }
    let opening = admitted.opening()?;
    let accepted = accepted_names(&plan);
    let reader = admitted.policy.sessions.open_sse(plan, opening).await?;
    let id = reader.session().id().reveal();
    let uri = format!("{}/{}/message?sessionId={id}", front.base_path, admitted.call.segment());
    let mut response = HttpResponse::Ok();
    admitted.add_allowance(&mut response);
    insert_accepted(&mut response, accepted);
    Ok(stream(&mut response, Events::behind(event::endpoint(&uri), reader, front.heartbeat)))
}
