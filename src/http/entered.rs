//! A request that was let in, and where it is answered: here, or at the node that has what it needs.

use actix_web::HttpRequest;

use super::admitted::Admitted;
use super::call::Call;
use super::error::Refusal;
use super::handover::Elsewhere;
use super::worker::{Side, Worker};
use crate::access::{Presented, Vouched};
use crate::cluster::Place;
use crate::ids::SessionId;
use crate::session::Undelivered;
use crate::settings::Reach;

/// What becomes of a request.
pub(super) enum Entered<'a> {
    Here(Admitted<'a>),
    Elsewhere(Elsewhere<'a>),
}

/// Whether a request was handed over to this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// A client has sent it.
    First,
    /// A node has let it in and counted it.
    HandedOver(Vouched),
    /// Fly's proxy has found no way to the node that this one has named, such as one that drains.
    Returned,
    /// Fly's proxy has given up, and the node may have it.
    Lost,
}

impl<'a> Entered<'a> {
    /// Lets a request in, before anything of its body is read. `names` says which session it names.
    pub(super) async fn read(
        request: &'a HttpRequest,
        worker: &'a Worker,
        names: impl FnOnce(&Call<'a>) -> Option<SessionId>,
    ) -> Result<Self, Refusal> {
        let call = Call::read(request, &worker.front.base_path);
        let arrival = arrival(&call, worker)?;
        let policy = worker.policy();
        let cluster = &worker.front.cluster;
        let vouched = match &arrival {
            Arrival::HandedOver(vouched) => {
                cluster.figures().received();
                Some(vouched.clone())
            }
            Arrival::First | Arrival::Returned | Arrival::Lost => None,
        };
        let permit = policy.gate.admit(&Presented { vouched, ..call.presented() }).await?;
        let place = match names(&call) {
            Some(id) if !matches!(arrival, Arrival::HandedOver(_)) => cluster.place(&id).await,
            _ => Place::Here,
        };
        match place {
            Place::At(node) if arrival != Arrival::Lost => {
                Ok(Self::Elsewhere(Elsewhere { call, permit, policy, worker, arrival, node }))
            }
            Place::At(_) | Place::Gone => {
                cluster.figures().gone();
                Err(Undelivered::NoSession.into())
            }
            Place::Here => Ok(Self::Here(Admitted::enter(call, permit, policy, worker, arrival)?)),
        }
    }
}

fn arrival(call: &Call<'_>, worker: &Worker) -> Result<Arrival, Refusal> {
    let cluster = &worker.front.cluster;
    let Some(handovers) = cluster.handovers() else { return Ok(Arrival::First) };
    let verified = |said: Option<&str>| said.and_then(|said| handovers.verify(said, &call.handed_over()));
    match (worker.side, cluster.reach()) {
        // Nobody else has business there.
        (Side::Nodes, _) => verified(call.handover()).map(Arrival::HandedOver).ok_or(Refusal::NoNode),
        (Side::Clients, Reach::Fly) => Ok(match call.replay_failed() {
            Some("no_candidate") => Arrival::Returned,
            Some(_) => Arrival::Lost,
            None => verified(call.replay_state()).map_or(Arrival::First, Arrival::HandedOver),
        }),
        (Side::Clients, _) => Ok(Arrival::First),
    }
}
