//! The admin listener: an address of its own, a secret of its own. Nothing here is told to anybody without
//! it, because the loopback address is shared with every session's processes.

use std::sync::Arc;

use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::call::Call;
use super::{Front, error, health};
use crate::access::{AdminGate, NotOperator, Operator};

/// What the operator's routes work with.
#[derive(Debug)]
pub struct Admin {
    /// Who may come in.
    pub gate: AdminGate,
    /// What is looked at.
    pub front: Arc<Front>,
}

pub(super) fn routes(admin: &Arc<Admin>) -> impl Fn(&mut ServiceConfig) + Clone + use<> {
    let admin = Data::from(admin.clone());
    move |config| {
        config
            .app_data(admin.clone())
            .service(web::resource("/health/detail").to(detail))
            .default_service(web::to(nowhere));
    }
}

/// What `/health` says, and what only the operator may know. Always `200`: it is to be looked at, not to
/// steer a load balancer.
async fn detail(request: HttpRequest, admin: Data<Admin>) -> HttpResponse {
    let operator = match admit(&request, &admin) {
        Ok(operator) => operator,
        Err(reason) => return error::not_operator(&reason),
    };
    let policy = admin.front.policy();
    let sessions = &policy.sessions;
    let (sandbox, census) = (sessions.sandbox(&operator), sessions.census(&operator));
    let missing: Vec<&str> = sandbox.missing().map(|(item, _)| item.name).collect();
    let mut body = health::glance(&admin.front);
    body["draining"] = sessions.is_draining().into();
    body["sessions"]["by_tenant"] = json!(census.by_tenant);
    body["sessions"]["by_server"] = json!(census.by_server);
    body["limits"] = json!(sessions.limits(&operator));
    body["sandbox"] = json!(sandbox);
    body["sandbox"]["missing"] = json!(missing);
    body["sandbox"]["uids"] = json!(sessions.uid_count(&operator));
    body["warm"] = json!(sessions.started_ahead(&operator));
    health::answer(&request, HttpResponse::Ok(), &body)
}

/// Without the secret, nobody learns what is there and what is not.
async fn nowhere(request: HttpRequest, admin: Data<Admin>) -> HttpResponse {
    match admit(&request, &admin) {
        Ok(_) => error::nothing_to_see(),
        Err(reason) => error::not_operator(&reason),
    }
}

fn admit(request: &HttpRequest, admin: &Admin) -> Result<Operator, NotOperator> {
    let presented = Call::read(request, "").presented();
    admin.gate.admit(&presented)
}
