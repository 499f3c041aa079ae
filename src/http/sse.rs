//! `GET /{server}/sse`: opens a session of the `sse` transport (MCP 2024-11-05, HTTP with SSE).

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse};

use super::admitted::{accepted_names, insert_accepted};
use super::answer::{Events, stream};
use super::entered::Entered;
use super::error::Refusal;
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
    // It opens a session of its own, so it is answered here.
    let Entered::Here(admitted) = Entered::read(request, worker, |_| None).await? else {
        return Err(Refusal::NotInSession);
    };
    let plan = admitted.plan()?;
    if !admitted.takes_events() {
        return Err(Refusal::NotAcceptable);
    }
    let opening = admitted.opening().await?;
    let accepted = accepted_names(&plan);
    let reader = admitted.policy.sessions.open_sse(plan, opening).await?;
    let id = reader.session().id().reveal();
    let uri = format!("{}/{}/message?sessionId={id}", admitted.front.base_path, admitted.call.segment());
    let mut response = HttpResponse::Ok();
    admitted.add_allowance(&mut response);
    insert_accepted(&mut response, accepted);
    Ok(stream(&mut response, Events::behind(event::endpoint(&uri), reader, admitted.front.heartbeat)))
}
