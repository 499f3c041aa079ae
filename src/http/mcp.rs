//! `/{server}/mcp`: Streamable HTTP of every revision on one endpoint. The body tells which era a message
//! belongs to (protocol.md section 3.1).

use actix_web::http::Method;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::admitted::Admitted;
use super::body::Body;
use super::error::Refusal;
use super::in_flight::Held;
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
    match *request.method() {
        Method::GET => streamable::get(&admitted),
        Method::DELETE => streamable::delete(&admitted),
        _ => {
            admitted.call.check_content().map_err(Refusal::Content)?;
            // Any answer may turn out to be a stream.
            if !admitted.takes_events() {
                return Err(Refusal::NoEvents);
            }
            let Body { bytes, held } = admitted.body(request, payload).await?;
            post(&admitted, read(bytes)?, held, id).await
        }
    }
}

async fn post(
    admitted: &Admitted<'_>,
    content: Content,
    held: Held,
    id: &mut Option<RequestId>,
) -> Result<HttpResponse, Refusal> {
    let mirror = admitted.call.mirror();
    match content {
        Content::One(frame) => {
            traced::says(&frame);
            if let Kind::Request(open, _) = frame.kind() {
                *id = Some(open.clone());
            }
            match era_of(&frame, &mirror)? {
                Era::Handshake => streamable::post(admitted, Content::One(frame), held).await,
                Era::Stateless => stateless::post(admitted, frame, &mirror, held).await,
            }
        }
        Content::Batch(frames) => {
            frames.first().into_iter().for_each(traced::says);
            if frames.iter().any(|frame| era_of(frame, &mirror) != Ok(Era::Handshake)) {
                return Err(Refusal::Batch("protocol version 2026-07-28 has no batches"));
            }
            streamable::post(admitted, Content::Batch(frames), held).await
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
