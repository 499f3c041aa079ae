//! `GET /{server}/sse`: opens a session of the `sse` transport (MCP 2024-11-05, HTTP with SSE).

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse};

use super::admitted::Admitted;
use super::answer::{Events, stream};
use super::error::Refusal;
use super::local::{Local, accepted_names, insert_accepted};
use super::worker::Worker;
use super::{cors, event};

const METHODS: &str = "GET, OPTIONS";

pub(super) async fn route(request: HttpRequest, worker: &Worker) -> HttpResponse {
    let outcome = match *request.method() {
        Method::GET => open(&request, worker).await,
        Method::OPTIONS => cors::preflight(&request, worker, METHODS),
        _ => Err(Refusal::Method(METHODS)),
    };
    cors::respond(&request, worker, outcome, None)
}

async fn open(request: &HttpRequest, worker: &Worker) -> Result<HttpResponse, Refusal> {
    let local = Local::enter(Admitted::read(request, worker).await?)?;
    let plan = local.plan()?;
    if !local.takes_events() {
        return Err(Refusal::NotAcceptable);
    }
    let opening = local.opening().await?;
    let accepted = accepted_names(&plan);
    let reader = local.policy.sessions.open_sse(plan, opening).await?;
    let id = reader.session().id().reveal();
    let uri = format!("{}/{}/message?sessionId={id}", local.front.base_path, local.call.segment());
    let mut response = HttpResponse::Ok();
    local.add_allowance(&mut response);
    insert_accepted(&mut response, accepted);
    Ok(stream(&mut response, Events::behind(event::endpoint(&uri), reader, local.front.heartbeat)))
}
