//! The `stateless` transport: MCP 2026-07-28, where each request stands for itself. Closing the connection
//! cancels it; there is no session to name.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::admitted::Arrival;
use super::answer::{self, Form};
use super::error::Refusal;
use super::in_flight::Held;
use super::local::{Local, accepted_names, insert_accepted};
use crate::catalog::LaunchPlan;
use crate::cluster::{NotPassedOn, Owner, Place};
use crate::mcp::{Enveloped, Frame, Kind, Method, Mirror, RequestId};

/// Longer than most servers take to start and answer: what kind of error it is, is told by the status, too.
const PATIENCE: Duration = Duration::from_secs(12);

/// A message of a client; `held` is what its bytes count as until they are passed on, `id` its id if it is a request.
pub(super) async fn post(
    local: &Local<'_>,
    frame: Frame,
    mirror: &Mirror<'_>,
    held: Held,
    id: Option<&RequestId>,
) -> Result<HttpResponse, Refusal> {
    let Kind::Request(_, method) = frame.kind() else {
        // No notification has a meaning here: what one would cancel is cancelled by closing its stream, and
        // an id of the caller's choosing could be somebody else's.
        return Ok(local.accepted().finish());
    };
    let listens = *method == Method::Listen;
    let call = Enveloped::check(frame, mirror)?;
    let plan = local.plan()?;
    if local.arrival == Arrival::Lost {
        return Err(Refusal::NodeBroke);
    }
    if let Some(keeper) = keeper(local, &plan, &call) {
        match local.hand_over(&keeper, call.frame().bytes().clone(), id).await {
            // It drains or is full, and has done nothing. Here it is not warm, but nothing is lost.
            Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => {}
            Err(NotPassedOn::Gone) => {}
            outcome => return outcome.map_err(|_| Refusal::NodeBroke),
        }
    }
    let reader = local.policy.sessions.call(&plan, call, mirror, async || local.opening().await).await?;
    drop(held);
    let streams = listens || !local.takes_json();
    let patience = if streams { Duration::ZERO } else { PATIENCE };
    let form = Form { patience, batch: false, primes: false, status_tells: true };
    Ok(answer::answer(reader, form, local.front.heartbeat, |response, _| {
        local.add_allowance(response);
        insert_accepted(response, accepted_names(&plan));
    })
    .await)
}

/// The other node that this request is for, if it is for another. One that was handed over is for this one, whatever
/// this one would say.
fn keeper<'a>(local: &Local<'a>, plan: &LaunchPlan, call: &Enveloped) -> Option<Owner<'a>> {
    let cluster = &local.front.cluster;
    if !local.arrival.is_first() || cluster.is_alone() {
        return None;
    }
    match cluster.keeper(&plan.fingerprint(), call.state()) {
        Place::At(owner) => Some(owner),
        Place::Here | Place::Gone => None,
    }
}
