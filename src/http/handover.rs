//! Requests for what another node has: passed on to it, or brought there by Fly's proxy.

use std::rc::Rc;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, CONNECTION, CONTENT_LENGTH, EXPECT,
    HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VARY,
};
use actix_web::web::{Bytes, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::call::{Call, HANDOVER};
use super::entered::Arrival;
use super::error::{Refusal, insert_allowance};
use super::in_flight::Held;
use super::relayed::Relayed;
use super::server::DRAINING;
use super::traced::REQUEST_ID;
use super::worker::{Current, Worker};
use crate::access::Permit;
use crate::cluster::{Handed, NotPassedOn, Way};
use crate::ids::NodeId;
use crate::mcp::{Code, Frame, Kind, RequestId};
use crate::session::Undelivered;
use crate::telemetry;

/// A request of a tenant for a session that another node has.
pub(super) struct Elsewhere<'a> {
    pub(super) call: Call<'a>,
    pub(super) permit: Permit,
    pub(super) policy: Rc<Current>,
    pub(super) worker: &'a Worker,
    pub(super) arrival: Arrival,
    pub(super) node: NodeId,
}

/// Fly's proxy replays requests of up to 1 MB, with what is not the body (its documentation, dynamic request routing).
const REPLAYED: usize = 900_000;
/// How long Fly's proxy tries to reach the node. What it cannot bring there comes back here.
const REPLAY_TRIES: &str = "timeout=800ms;fallback=force_self";
const FLY_REPLAY: HeaderName = HeaderName::from_static("fly-replay");
const REQUEST_ID_NAME: HeaderName = HeaderName::from_static(REQUEST_ID);
/// What is about one connection, not about the request (RFC 9110 section 7.6.1), or is said anew.
const NOT_PASSED_ON: [HeaderName; 10] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
    CONTENT_LENGTH,
    HANDOVER,
];
/// What this node says itself of each answer.
const NOT_RETURNED: [HeaderName; 5] =
    [VARY, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, REQUEST_ID_NAME, DRAINING];

impl Elsewhere<'_> {
    /// Has the other node answer, with the body that the request still has.
    pub(super) async fn answer(
        self,
        request: &HttpRequest,
        payload: Payload,
        id: &mut Option<RequestId>,
    ) -> Result<HttpResponse, Refusal> {
        let body = self.policy.bodies.read(request, payload, self.permit.tenant()).await?;
        *id = asked(&body.bytes);
        let (call, permit, arrival) = (&self.call, &self.permit, &self.arrival);
        let errand = Errand { call, permit, arrival, worker: self.worker };
        let mut held = body.held;
        errand.hand_over(&self.node, request, body.bytes, &mut held, id.as_ref()).await.map_err(|reason| {
            match reason {
                NotPassedOn::Gone | NotPassedOn::Ended => {
                    self.worker.front.cluster.figures().gone();
                    Undelivered::NoSession.into()
                }
                NotPassedOn::Broken => Refusal::NodeBroke,
            }
        })
    }
}

/// What goes to another node.
pub(super) struct Errand<'e, 'a> {
    pub(super) call: &'e Call<'a>,
    pub(super) permit: &'e Permit,
    pub(super) arrival: &'e Arrival,
    pub(super) worker: &'a Worker,
}

impl Errand<'_, '_> {
    /// Has another node answer. `id` is that of the request in the body.
    pub(super) async fn hand_over(
        &self,
        node: &NodeId,
        request: &HttpRequest,
        body: Bytes,
        held: &mut Held,
        id: Option<&RequestId>,
    ) -> Result<HttpResponse, NotPassedOn> {
        let cluster = &self.worker.front.cluster;
        if cluster.is_replayed_to(node) && *self.arrival == Arrival::First && body.len() <= REPLAYED {
            cluster.figures().handed(Way::Replay, Handed::Over);
            return Ok(self.replay(node, id));
        }
        let outcome = self.forward(node, request, body, held, id).await;
        let how = match outcome {
            Ok(_) => Handed::Over,
            Err(NotPassedOn::Gone | NotPassedOn::Ended) => Handed::Gone,
            Err(NotPassedOn::Broken) => Handed::Broken,
        };
        cluster.figures().handed(Way::Forward, how);
        outcome
    }

    /// An answer that Fly's proxy takes for itself.
    fn replay(&self, node: &NodeId, id: Option<&RequestId>) -> HttpResponse {
        let cluster = &self.worker.front.cluster;
        let state = cluster.handovers().map(|own| own.sign(node, &self.call.handed_over(), None));
        let state = state.unwrap_or_default();
        let message = "this is for another node, and Fly's proxy, which brings requests there, has not taken it; \
                       the operator's cluster.reach does not fit where the gateway runs";
        let body = Code::Refused.body(id, message);
        HttpResponse::Conflict()
            .insert_header((FLY_REPLAY, format!("instance={node};state={state};{REPLAY_TRIES}")))
            .content_type("application/json")
            .body(body)
    }

    async fn forward(
        &self,
        node: &NodeId,
        request: &HttpRequest,
        body: Bytes,
        held: &mut Held,
        id: Option<&RequestId>,
    ) -> Result<HttpResponse, NotPassedOn> {
        let cluster = &self.worker.front.cluster;
        let (Some(peers), Some(handovers)) = (cluster.peers(), cluster.handovers()) else {
            return Err(NotPassedOn::Gone);
        };
        let address = peers.find(node).await.ok_or(NotPassedOn::Gone)?;
        let policy = self.worker.policy();
        let client = policy.gate.client(&self.call.presented());
        let said = handovers.sign(node, &self.call.handed_over(), Some(client));
        let passed = passed_on(request, &said, body).ok_or(NotPassedOn::Broken)?;
        let open = cluster.figures().open();
        let line = &self.worker.line;
        let answer = match line.pass(address, passed).await {
            Ok(answer) => answer,
            Err(NotPassedOn::Broken) if peers.goes_on(line, address).await => {
                return Err(NotPassedOn::Broken);
            }
            Err(reason) => {
                peers.lost(node, address);
                return Err(if reason == NotPassedOn::Gone { reason } else { NotPassedOn::Ended });
            }
        };
        if answer.headers().contains_key(DRAINING.as_str()) {
            peers.drains(node);
        }
        // Its bytes are on their way no more.
        *held = Held::default();
        let status = StatusCode::from_u16(answer.status().as_u16()).map_err(|_| NotPassedOn::Broken)?;
        let mut response = HttpResponse::build(status);
        for (name, value) in answer.headers() {
            let Ok(name) = HeaderName::from_bytes(name.as_str().as_bytes()) else { continue };
            if !NOT_PASSED_ON.contains(&name) && !NOT_RETURNED.contains(&name) {
                response.append_header((name, value.as_bytes()));
            }
        }
        insert_allowance(&mut response, self.permit.allowance());
        let length = answer.body().length();
        let kind = answer.headers().get(http::header::CONTENT_TYPE);
        let is_events = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let waits = id.filter(|_| is_events).cloned();
        let body = Relayed::new(answer.into_body(), waits, cluster.figures().clone(), open);
        Ok(match length {
            Some(length) => response.body(SizedStream::new(length, body)),
            None => response.streaming(body),
        })
    }
}

/// The request as the other node gets it.
fn passed_on(request: &HttpRequest, said: &str, body: Bytes) -> Option<http::Request<Bytes>> {
    let target = request.uri().path_and_query()?.as_str();
    let mut passed = http::Request::builder().method(request.method().as_str()).uri(target);
    for (name, value) in request.headers() {
        if !NOT_PASSED_ON.contains(name) && *name != REQUEST_ID_NAME {
            passed = passed.header(name.as_str(), value.as_bytes());
        }
    }
    if let Some(tag) = telemetry::request() {
        passed = passed.header(REQUEST_ID, tag.as_str());
    }
    passed.header(HANDOVER.as_str(), said).body(body).ok()
}

/// The id of the request in a body, if that is one. Everything else of it is for the other node to see.
fn asked(body: &Bytes) -> Option<RequestId> {
    match Frame::parse(body.clone()).ok()?.kind() {
        Kind::Request(id, _) => Some(id.clone()),
        _ => None,
    }
}
