//! A request that was let in, and where it is answered: here, or at the node that has what it needs.

use std::rc::Rc;

use actix_web::HttpRequest;
use actix_web::web::Payload;

use super::Front;
use super::body::Body;
use super::call::Call;
use super::error::Refusal;
use super::handover::Elsewhere;
use super::lent;
use super::local::Local;
use super::worker::{Current, Side, Worker};
use crate::access::{Gate, Permit, Presented, Vouched};
use crate::cluster::Place;
use crate::ids::SessionId;
use crate::session::Undelivered;
use crate::settings::Reach;

/// A request of a tenant.
pub(super) struct Admitted<'a> {
    pub(super) call: Call<'a>,
    pub(super) permit: Permit,
    pub(super) policy: Rc<Current>,
    pub(super) front: &'a Front,
    pub(super) worker: &'a Worker,
    pub(super) arrival: Arrival,
}

/// Where a request is answered.
pub(super) enum Placed<'a> {
    Here(Local<'a>),
    Elsewhere(Elsewhere<'a>),
}

/// Whether a request was handed over to this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// A client has sent it.
    First,
    /// The same by Fly's proxy, which can bring it to another node.
    ByFly,
    /// A node has let it in and counted it.
    HandedOver(Vouched),
    /// Fly's proxy has found no way to the node that this one has named, such as one that drains.
    Returned,
    /// Fly's proxy has given up, and the node may have it.
    Lost,
}

impl<'a> Admitted<'a> {
    /// Lets a request in, before anything of its body is read.
    pub(super) async fn read(request: &'a HttpRequest, worker: &'a Worker) -> Result<Self, Refusal> {
        let front = &*worker.front;
        let call = Call::read(request, &front.base_path);
        let policy = worker.policy();
        let arrival = arrival(&call, worker, &policy.gate)?;
        let vouched = match &arrival {
            Arrival::HandedOver(vouched) => {
                front.cluster.figures().received();
                if worker.side == Side::Nodes {
                    lent::keep(request);
                }
                Some(vouched.clone())
            }
            Arrival::First | Arrival::ByFly | Arrival::Returned | Arrival::Lost => None,
        };
        let permit = policy.gate.admit(&Presented { vouched, ..call.presented() }).await?;
        Ok(Self { call, permit, policy, front, worker, arrival })
    }

    /// Its body, if that is not too much for the tenant.
    pub(super) async fn body(&self, payload: Payload) -> Result<Body, Refusal> {
        self.policy.bodies.read(self.call.headers(), payload, self.permit.tenant()).await
    }

    /// Has it answered where the session is that it names, if it names any.
    pub(super) async fn place(self, named: Option<SessionId>) -> Result<Placed<'a>, Refusal> {
        let cluster = &self.front.cluster;
        let place = match named {
            Some(id) if !matches!(self.arrival, Arrival::HandedOver(_)) => cluster.place(&id).await,
            _ => Place::Here,
        };
        match place {
            Place::Here => Ok(Placed::Here(Local::enter(self)?)),
            Place::At(owner) if self.arrival != Arrival::Lost => {
                Ok(Placed::Elsewhere(Elsewhere::new(self, owner)))
            }
            Place::At(_) | Place::Gone => {
                cluster.figures().gone();
                Err(Undelivered::NoSession.into())
            }
        }
    }
}

impl Arrival {
    /// Whether no node has had it before.
    pub(super) fn is_first(&self) -> bool {
        matches!(self, Self::First | Self::ByFly)
    }
}

fn arrival(call: &Call<'_>, worker: &Worker, gate: &Gate) -> Result<Arrival, Refusal> {
    let cluster = &worker.front.cluster;
    let Some(handovers) = cluster.handovers() else { return Ok(Arrival::First) };
    let verified = |said: Option<&str>| said.and_then(|said| handovers.verify(said, &call.handed_over()));
    match (worker.side, cluster.reach()) {
        // Nobody else has business there.
        (Side::Nodes, _) => verified(call.handover()).map(Arrival::HandedOver).ok_or(Refusal::NoNode),
        // What Fly's proxy says counts only if it may be the one who says it.
        (Side::Clients, Reach::Fly) if gate.is_by_fly(call.peer()) => Ok(match call.replay_failed() {
            Some("no_candidate") => Arrival::Returned,
            Some(_) => Arrival::Lost,
            None => verified(call.replay_state()).map_or(Arrival::ByFly, Arrival::HandedOver),
        }),
        (Side::Clients, _) => Ok(Arrival::First),
    }
}
