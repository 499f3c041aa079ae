//! What a request has been let in with. The one place where the guard is passed on the way to a session.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};

use super::Front;
use super::call::Call;
use super::error::{Refusal, insert_allowance};
use crate::access::Permit;
use crate::catalog::LaunchPlan;
use crate::ids::{ServerName, SessionId};
use crate::session::{Session, Transport, Undelivered};

/// A request of a tenant for a server that it may use.
pub(super) struct Admitted<'a> {
    pub(super) call: Call<'a>,
    pub(super) permit: Permit,
    pub(super) front: &'a Front,
    server: ServerName,
}

impl<'a> Admitted<'a> {
    /// Lets a request in, before anything of its body is read.
    pub(super) fn read(request: &'a HttpRequest, front: &'a Front) -> Result<Self, Refusal> {
        let call = Call::read(request, &front.base_path);
        let permit = front.gate.admit(&call.presented())?;
        let server = front.catalog.find(&permit, &call.target()?)?;
        Ok(Self { call, permit, front, server })
    }

    /// The session that it names, if that is its to use.
    pub(super) fn find(
        &self,
        id: Option<SessionId>,
        transport: Transport,
    ) -> Result<Arc<Session>, Undelivered> {
        let id = id.ok_or(Undelivered::NoSession)?;
        self.front.sessions.find(&id, transport, self.permit.tenant(), &self.server)
    }

    /// What to start for it.
    pub(super) fn plan(&self) -> Result<LaunchPlan, Refusal> {
        Ok(self.front.catalog.plan(&self.permit, &self.call.target()?, self.call.overrides()?)?)
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

/// The variables that a session starts with by its client's wish. Names only.
pub(super) fn accepted_names(plan: &LaunchPlan) -> String {
    plan.accepted().collect::<Vec<_>>().join(", ")
}

/// Lets a client see which of its variables came through: proxies drop headers without a word.
pub(super) fn insert_accepted(response: &mut HttpResponseBuilder, names: String) {
    if !names.is_empty() {
        response.insert_header(("Lockgate-Env", names));
    }
}
