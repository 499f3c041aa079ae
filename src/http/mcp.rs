//! `/{server}/mcp`: Streamable HTTP of every revision on one endpoint. The body tells which era a message
//! belongs to (protocol.md section 3.1).

use actix_web::http::Method;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::admitted::{Admitted, Placed};
use super::body::Body;
use super::error::Refusal;
use super::in_flight::Held;
use super::local::Local;
use super::worker::Worker;
use super::{cors, stateless, streamable, traced};
use crate::mcp::{Era, Frame, Kind, Malformed, RequestId, era_of};

const METHODS: &str = "GET, POST, DELETE, OPTIONS";

/// One message, or the members of a batch.
pub(super) enum Content {
    One(Frame),
    Batch(Vec<Frame>),
}

/// Members of a batch.
const MAX_BATCH: usize = 100;

pub(super) async fn route(request: HttpRequest, payload: Payload, worker: &Worker) -> HttpResponse {
    let mut id = None;
    let outcome = match *request.method() {
        Method::OPTIONS => cors::preflight(&request, worker, METHODS),
        Method::GET | Method::POST | Method::DELETE => serve(&request, payload, worker, &mut id).await,
        _ => Err(Refusal::Method(METHODS)),
    };
    cors::respond(&request, worker, outcome, id.as_ref())
}

async fn serve(
    request: &HttpRequest,
    payload: Payload,
    worker: &Worker,
    id: &mut Option<RequestId>,
) -> Result<HttpResponse, Refusal> {
    let admitted = Admitted::read(request, worker).await?;
    let named = admitted.call.named_session().flatten();
    let local = match admitted.place(named).await? {
        Placed::Here(local) => local,
        Placed::Elsewhere(elsewhere) => return elsewhere.answer(payload, id).await,
    };
    match *request.method() {
        Method::GET => streamable::get(&local),
        Method::DELETE => streamable::delete(&local),
        _ => {
            local.call.check_content().map_err(Refusal::Content)?;
            // Any answer may turn out to be a stream.
            if !local.takes_events() {
                return Err(Refusal::NoEvents);
            }
            let Body { bytes, held } = local.body(payload).await?;
            post(&local, read(bytes)?, held, id).await
        }
    }
}

async fn post(
    local: &Local<'_>,
    content: Content,
    held: Held,
    id: &mut Option<RequestId>,
) -> Result<HttpResponse, Refusal> {
    let mirror = local.call.mirror();
    match content {
        Content::One(frame) => {
            traced::says(&frame);
            if let Kind::Request(open, _) = frame.kind() {
                *id = Some(open.clone());
            }
            match era_of(&frame, &mirror)? {
                Era::Handshake => streamable::post(local, Content::One(frame), held).await,
                Era::Stateless => stateless::post(local, frame, &mirror, held, id.as_ref()).await,
            }
        }
        Content::Batch(frames) => {
            frames.first().into_iter().for_each(traced::says);
            if frames.iter().any(|frame| era_of(frame, &mirror) != Ok(Era::Handshake)) {
                return Err(Refusal::Batch("protocol version 2026-07-28 has no batches"));
            }
            streamable::post(local, Content::Batch(frames), held).await
        }
    }
}

fn read(bytes: actix_web::web::Bytes) -> Result<Content, Refusal> {
    match Frame::parse(bytes.clone()) {
        Err(Malformed::Batch) => {}
        other => return Ok(Content::One(other?)),
    }
    match Frame::parse_all(bytes, MAX_BATCH)? {
        frames if frames.is_empty() => Err(Refusal::Batch("the batch is empty")),
        frames => Ok(Content::Batch(frames)),
    }
}
