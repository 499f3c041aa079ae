//! The `streamable` transport: sessions of MCP 2025-03-26, 2025-06-18 and 2025-11-25.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, HttpResponseBuilder};
use tokio::time::Instant;

use super::answer::{self, Events, Form};
use super::call::SESSION_ID;
use super::error::Refusal;
use super::in_flight::Held;
use super::local::{Local, accepted_names, insert_accepted};
use super::mcp::Content;
use crate::catalog::Offer;
use crate::ids::SessionId;
use crate::mcp::{Frame, Kind, Method};
use crate::session::{NotResumed, Session, Transport, Undelivered};

/// The first revision whose clients understand an event without data.
const PRIMES_FROM: &str = "2025-11-25";
/// How long an answer may take to come as JSON.
const PATIENCE: Duration = Duration::from_secs(5);
/// The only revision with batches.
const BATCHES: &str = "2025-03-26";

/// A message or a batch of a client; `held` is what its bytes count as until they are passed on.
pub(super) async fn post(local: &Local<'_>, content: Content, held: Held) -> Result<HttpResponse, Refusal> {
    match (content, local.call.named_session()) {
        (content, Some(id)) => deliver(local, id, content, held).await,
        (Content::One(frame), None) if begins(&frame) => open(local, frame, held).await,
        (Content::Batch(frames), None) if frames.iter().any(begins) => {
            Err(Refusal::Batch("`initialize` must be sent by itself"))
        }
        (_, None) => Err(Refusal::NoSessionNamed),
    }
}

/// A client that takes no JSON gets events for everything.
fn patience(local: &Local<'_>) -> Duration {
    if local.takes_json() { PATIENCE } else { Duration::ZERO }
}

fn begins(frame: &Frame) -> bool {
    matches!(frame.kind(), Kind::Request(_, Method::Initialize))
}

/// `initialize`: a session, which the client learns of with the answer. Until then nobody else knows it, so
/// it ends if the client leaves or the answer is an error.
async fn open(local: &Local<'_>, frame: Frame, held: Held) -> Result<HttpResponse, Refusal> {
    let plan = local.plan()?;
    let accepted = accepted_names(&plan);
    let opening = local.opening().await?;
    let opened = local.policy.sessions.open(plan, opening, Transport::Streamable).await?;
    let session = opened.session().clone();
    let reader =
        session.deliver([frame], None, &Offer::EVERYTHING, Instant::now())?.ok_or(Undelivered::NoSession)?;
    drop(held);
    let patience = patience(local);
    let form = Form { patience, batch: false, primes: false, status_tells: false };
    Ok(answer::answer(reader, form, local.front.heartbeat, |response, answer| {
        local.add_allowance(response);
        insert_accepted(response, accepted);
        if answer.is_none_or(|answer| !answer.is_error()) {
            name_session(response, &session);
            opened.keep();
        }
    })
    .await)
}

/// `id` is the session that the request names, if that can be one.
async fn deliver(
    local: &Local<'_>,
    id: Option<SessionId>,
    content: Content,
    held: Held,
) -> Result<HttpResponse, Refusal> {
    let session = find(local, id)?;
    let revision = session.revision();
    let offer = local.offer()?;
    let batch = matches!(content, Content::Batch(_));
    let reader = match content {
        Content::One(frame) => session.deliver([frame], None, &offer, local.arrived())?,
        Content::Batch(_) if revision.as_deref() != Some(BATCHES) => {
            return Err(Refusal::Batch(
                "only protocol version 2025-03-26 has batches; send one message at a time",
            ));
        }
        Content::Batch(frames) => session.deliver(frames, None, &offer, local.arrived())?,
    };
    drop(held);
    let Some(reader) = reader else {
        return Ok(local.accepted().finish());
    };
    let (patience, primes) = (patience(local), primes(revision.as_deref()));
    let form = Form { patience, batch, primes, status_tells: false };
    Ok(answer::answer(reader, form, local.front.heartbeat, |response, _| {
        local.add_allowance(response);
        name_session(response, &session);
    })
    .await)
}

/// The listening stream, or the rest of one that broke off. Without a session there is neither: that is how
/// clients of other transports find out.
pub(super) fn get(local: &Local<'_>) -> Result<HttpResponse, Refusal> {
    let id = local.call.named_session().ok_or(Refusal::NotInSession)?;
    if !local.takes_events() {
        return Err(Refusal::NotAcceptable);
    }
    let session = find(local, id)?;
    let reader = match local.call.last_event() {
        None => session.listen()?,
        Some(last) => session.resume(last.ok_or(NotResumed::Lost)?)?,
    };
    let primes = primes(session.revision().as_deref());
    let form = Form { patience: Duration::ZERO, batch: false, primes, status_tells: false };
    let mut response = HttpResponse::Ok();
    local.add_allowance(&mut response);
    name_session(&mut response, &session);
    Ok(answer::stream(&mut response, Events::new(reader, form, local.front.heartbeat, &[])))
}

/// The client has done with the session.
pub(super) fn delete(local: &Local<'_>) -> Result<HttpResponse, Refusal> {
    let id = local.call.named_session().ok_or(Refusal::NotInSession)?;
    find(local, id)?.end();
    let mut response = HttpResponse::Ok();
    local.add_allowance(&mut response);
    Ok(response.finish())
}

/// The session that the request names. Its version header must name a revision that has sessions, or whatever else
/// client and server agreed on.
fn find(local: &Local<'_>, id: Option<SessionId>) -> Result<Arc<Session>, Refusal> {
    let session = local.find(id, Transport::Streamable)?;
    match local.call.foreign_revision() {
        Some(named) if session.revision().as_deref() != Some(&named) => Err(Refusal::Revision(named)),
        _ => Ok(session),
    }
}

fn primes(revision: Option<&str>) -> bool {
    revision.is_some_and(|revision| revision >= PRIMES_FROM)
}

fn name_session(response: &mut HttpResponseBuilder, session: &Session) {
    response.insert_header((SESSION_ID, session.id().reveal()));
}
