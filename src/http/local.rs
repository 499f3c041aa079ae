//! A request that is answered here, and what it may use of this gateway.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::Arc;

use actix_web::web::Payload;
use actix_web::{HttpResponse, HttpResponseBuilder};
use http::HeaderName;
use tokio::time::Instant;

use super::admitted::Admitted;
use super::body::Body;
use super::error::{Refusal, insert_allowance};
use crate::access::{Denied, Opening, Permit};
use crate::audit::{self, Event};
use crate::catalog::{BadNames, BadVariable, LaunchPlan, Offer, Refused};
use crate::ids::{ServerName, SessionId};
use crate::session::{Session, Transport, Undelivered};
use crate::telemetry;

/// A request of a tenant for a server that it may use.
pub(super) struct Local<'a> {
    admitted: Admitted<'a>,
    server: ServerName,
    /// When all of it was there.
    arrived: Cell<Instant>,
}

impl<'a> Local<'a> {
    /// Lets a request of a tenant go on to the server that it names, if it may.
    pub(super) fn enter(admitted: Admitted<'a>) -> Result<Self, Refusal> {
        let Admitted { call, permit, policy, .. } = &admitted;
        let target = call.target()?;
        let server = match policy.catalog.find(permit, &target) {
            Ok(server) => server,
            Err(refused) => {
                let named = call.session_id().or_else(|| call.named_session().flatten());
                let live = named.and_then(|id| policy.sessions.server_of(&id, permit.tenant(), &target));
                live.ok_or_else(|| refuse(permit, None, refused))?
            }
        };
        telemetry::describe(|span| {
            span.set("lockgate.tenant", permit.tenant());
            span.set("lockgate.server", &server);
        });
        Ok(Self { admitted, server, arrived: Cell::new(Instant::now()) })
    }

    /// The session that it names, if that is its to use.
    pub(super) fn find(
        &self,
        id: Option<SessionId>,
        transport: Transport,
    ) -> Result<Arc<Session>, Undelivered> {
        let id = id.ok_or(Undelivered::NoSession)?;
        let session = self.policy.sessions.find(&id, transport, self.permit.tenant(), &self.server)?;
        telemetry::found(session.tag());
        Ok(session)
    }

    /// Its body, if that is not too much for the tenant.
    pub(super) async fn body(&self, payload: Payload) -> Result<Body, Refusal> {
        let body = self.admitted.body(payload).await;
        self.arrived.set(Instant::now());
        body
    }

    /// When all of it was there.
    pub(super) fn arrived(&self) -> Instant {
        self.arrived.get()
    }

    /// What to start for it.
    pub(super) fn plan(&self) -> Result<LaunchPlan, Refusal> {
        let refuse = |refused: Refused| refuse(&self.permit, Some(&self.server), refused);
        let overrides = self.call.overrides().map_err(|fault| refuse(fault.into()))?;
        let offer = self.offer()?;
        let header = |name: &HeaderName| self.call.only(name);
        let plan = self.policy.catalog.plan(&self.permit, &self.call.target()?, overrides, header);
        Ok(plan.map_err(refuse)?.narrowed(&offer))
    }

    /// What it asks to be confined to, for itself and, if it opens a session, for that.
    pub(super) fn offer(&self) -> Result<Offer, BadNames> {
        self.call.allowed_tools()
    }

    /// Lets it open a session.
    pub(super) async fn opening(&self) -> Result<Opening, Denied> {
        self.policy.gate.opening(&self.permit).await
    }

    pub(super) fn takes_json(&self) -> bool {
        self.call.accepts("application", "json")
    }

    pub(super) fn takes_events(&self) -> bool {
        self.call.accepts("text", "event-stream")
    }

    /// Says how much of the tenant's rate is left.
    pub(super) fn add_allowance(&self, response: &mut HttpResponseBuilder) {
        insert_allowance(response, self.permit.allowance());
    }

    /// The answer to what needs none.
    pub(super) fn accepted(&self) -> HttpResponseBuilder {
        let mut response = HttpResponse::Accepted();
        self.add_allowance(&mut response);
        response
    }
}

impl<'a> Deref for Local<'a> {
    type Target = Admitted<'a>;

    fn deref(&self) -> &Admitted<'a> {
        &self.admitted
    }
}

/// The variables that a session starts with by its client's wish. Names only.
pub(super) fn accepted_names(plan: &LaunchPlan) -> String {
    plan.accepted().join(", ")
}

/// Lets a client see which of its variables came through: proxies drop headers without a word.
pub(super) fn insert_accepted(response: &mut HttpResponseBuilder, names: String) {
    if !names.is_empty() {
        response.insert_header(("Lockgate-Env", names));
    }
}

/// Tells the operator what a tenant may not have. Without the text, which holds what the client sent.
fn refuse(permit: &Permit, server: Option<&ServerName>, refused: Refused) -> Refused {
    let reason = match refused {
        Refused::NotAllowed => "the server is not on the allowlist, or not for this tenant",
        Refused::Variable(BadVariable::Missing(_)) => "an environment variable is missing",
        Refused::Variable(_) => "an environment variable may not be set",
        Refused::Credential(_) => "a credential of the client is missing",
    };
    audit::record(Event::SessionRefused(permit.tenant(), server, reason));
    refused
}
