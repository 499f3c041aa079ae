//! Requests for what another node has: passed on to it, or brought there by Fly's proxy.

use actix_web::HttpResponse;
use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, CONNECTION, CONTENT_LENGTH, EXPECT,
    HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VARY,
};
use actix_web::web::{Bytes, Payload};

use super::admitted::{Admitted, Arrival};
use super::call::{Call, HANDOVER};
use super::error::{Refusal, insert_allowance};
use super::relayed::Relayed;
use super::traced::REQUEST_ID;
use crate::access::HandedOver;
use crate::cluster::{DRAINING, Handed, NotPassedOn, Open, Owner, Passing};
use crate::mcp::{Code, Frame, Kind, RequestId};
use crate::session::Undelivered;
use crate::telemetry;

/// A request for a session that another node has.
pub(super) struct Elsewhere<'a> {
    admitted: Admitted<'a>,
    owner: Owner<'a>,
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
const NOT_RETURNED: [HeaderName; 5] = [
    VARY,
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    REQUEST_ID_NAME,
    HeaderName::from_static(DRAINING),
];

impl<'a> Elsewhere<'a> {
    pub(super) fn new(admitted: Admitted<'a>, owner: Owner<'a>) -> Self {
        Self { admitted, owner }
    }

    /// Has the other node answer, with the body that the request still has.
    pub(super) async fn answer(
        self,
        payload: Payload,
        id: &mut Option<RequestId>,
    ) -> Result<HttpResponse, Refusal> {
        let Self { admitted, owner } = self;
        let body = admitted.body(payload).await?;
        *id = asked(&body.bytes);
        // Its bytes are on their way until there is an answer.
        let _held = body.held;
        admitted.hand_over(&owner, body.bytes, id.as_ref()).await.map_err(|reason| match reason {
            NotPassedOn::Gone | NotPassedOn::Ended => {
                admitted.front.cluster.figures().gone();
                Undelivered::NoSession.into()
            }
            NotPassedOn::Broken => Refusal::NodeBroke,
        })
    }
}

impl Admitted<'_> {
    /// Has another node answer. `id` is that of the request in the body.
    pub(super) async fn hand_over(
        &self,
        owner: &Owner<'_>,
        body: Bytes,
        id: Option<&RequestId>,
    ) -> Result<HttpResponse, NotPassedOn> {
        if owner.is_replayed_to() && self.arrival == Arrival::ByFly && body.len() <= REPLAYED {
            self.front.cluster.figures().replayed();
            return Ok(self.replay(owner, id));
        }
        self.forward(owner, body, id).await
    }

    /// An answer that Fly's proxy takes for itself.
    fn replay(&self, owner: &Owner<'_>, id: Option<&RequestId>) -> HttpResponse {
        let (node, state) = (owner.node(), owner.sign(&self.call.handed_over(), None));
        let message = "this is for another node, and Fly's proxy, which brings requests there, has not taken it; \
                       the operator's cluster.reach does not fit where the gateway runs";
        HttpResponse::Conflict()
            .insert_header((FLY_REPLAY, format!("instance={node};state={state};{REPLAY_TRIES}")))
            .content_type("application/json")
            .body(Code::Refused.body(id, message))
    }

    async fn forward(
        &self,
        owner: &Owner<'_>,
        body: Bytes,
        id: Option<&RequestId>,
    ) -> Result<HttpResponse, NotPassedOn> {
        let client = self.policy.gate.client(&self.call.presented());
        let said = owner.sign(&self.call.handed_over(), Some(client));
        let request = passed_on(&self.call, &said, body).ok_or(NotPassedOn::Broken)?;
        let mut open = self.front.cluster.pass_on(id.is_some());
        let answer = owner.pass(&self.worker.line, request).await.inspect_err(|reason| {
            open.ends(match reason {
                NotPassedOn::Gone | NotPassedOn::Ended => Handed::Gone,
                NotPassedOn::Broken => Handed::Broken,
            });
        })?;
        self.returned(answer, id, open).ok_or(NotPassedOn::Broken)
    }

    /// The other node's answer, as the client gets it.
    fn returned(
        &self,
        answer: http::Response<Passing>,
        id: Option<&RequestId>,
        open: Open,
    ) -> Option<HttpResponse> {
        let mut response = HttpResponse::build(StatusCode::from_u16(answer.status().as_u16()).ok()?);
        for (name, value) in answer.headers() {
            let Ok(name) = HeaderName::from_bytes(name.as_str().as_bytes()) else { continue };
            if !NOT_PASSED_ON.contains(&name) && !NOT_RETURNED.contains(&name) {
                response.append_header((name, value.as_bytes()));
            }
        }
        insert_allowance(&mut response, self.permit.allowance());
        let kind = answer.headers().get(http::header::CONTENT_TYPE);
        let is_events = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let waits = id.filter(|_| is_events).cloned();
        let length = answer.body().length();
        let body = Relayed::new(answer.into_body(), waits, open);
        Some(match length {
            Some(length) => response.body(SizedStream::new(length, body)),
            None => response.streaming(body),
        })
    }
}

/// The request as the other node gets it.
fn passed_on(call: &Call<'_>, said: &str, body: Bytes) -> Option<http::Request<Bytes>> {
    let HandedOver { method, target, .. } = call.handed_over();
    let mut passed = http::Request::builder().method(method).uri(target);
    for (name, value) in call.headers() {
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
