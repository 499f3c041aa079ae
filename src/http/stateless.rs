//! The `stateless` transport: MCP 2026-07-28, where each request stands for itself. Closing the connection
//! cancels it; there is no session to name.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse};

use super::admitted::{Admitted, accepted_names, insert_accepted};
use super::answer::{self, Form};
use super::entered::Arrival;
use super::error::Refusal;
use super::handover::Errand;
use super::in_flight::Held;
use crate::catalog::LaunchPlan;
use crate::cluster::{NotPassedOn, Place};
use crate::ids::NodeId;
use crate::mcp::{Enveloped, Frame, Kind, Method, Mirror};

/// Longer than most servers take to start and answer: what kind of error it is, is told by the status, too.
const PATIENCE: Duration = Duration::from_secs(12);

/// A message of a client; `held` is what its bytes count as until they are passed on.
pub(super) async fn post(
    admitted: &Admitted<'_>,
    request: &HttpRequest,
    frame: Frame,
    mirror: &Mirror<'_>,
    held: Held,
) -> Result<HttpResponse, Refusal> {
    let Admitted { policy, front, .. } = admitted;
    let Kind::Request(_, method) = frame.kind() else {
        // No notification has a meaning here: what one would cancel is cancelled by closing its stream, and
        // an id of the caller's choosing could be somebody else's.
        return Ok(admitted.accepted().finish());
    };
    let listens = *method == Method::Listen;
    let call = Enveloped::check(frame, mirror)?;
    let plan = admitted.plan()?;
    let mut held = held;
    if let Some(node) = keeper(admitted, &plan, &call).await {
        let Kind::Request(id, _) = call.frame().kind() else { return Err(Refusal::NotInSession) };
        let Admitted { call: head, permit, arrival, worker, .. } = admitted;
        let errand = Errand { call: head, permit, arrival, worker };
        match errand.hand_over(&node, request, call.frame().bytes().clone(), &mut held, Some(id)).await {
            // Here it is not warm, but nothing is lost.
            Err(NotPassedOn::Gone) => {}
            outcome => return outcome.map_err(|_| Refusal::NodeBroke),
        }
    }
    let reader = policy.sessions.call(&plan, call, mirror, async || admitted.opening().await).await?;
    drop(held);
    let streams = listens || !admitted.takes_json();
    let patience = if streams { Duration::ZERO } else { PATIENCE };
    let form = Form { patience, batch: false, primes: false, status_tells: true };
    Ok(answer::answer(reader, form, front.heartbeat, |response, _| {
        admitted.add_allowance(response);
        insert_accepted(response, accepted_names(&plan));
    })
    .await)
}

/// The other node that this request is for, if it is for another. One that was handed over is for this one, whatever
/// this one would say.
async fn keeper(admitted: &Admitted<'_>, plan: &LaunchPlan, call: &Enveloped) -> Option<NodeId> {
    if admitted.arrival != Arrival::First || admitted.front.cluster.own().is_none() {
        return None;
    }
    match admitted.front.cluster.keeper(&plan.fingerprint(), call.state()).await {
        Place::At(node) => Some(node),
        Place::Here | Place::Gone => None,
    }
}
