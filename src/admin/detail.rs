//! `/health/detail`: what `/health` says, and what only the operator may know. Always `200`: it is to be looked at,
//! not to steer a load balancer.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::{Admin, admit};
use crate::http::{answer_json, glance, not_operator};

pub(super) async fn detail(request: HttpRequest, admin: Data<Admin>) -> HttpResponse {
    let operator = match admit(&request, &admin) {
        Ok(operator) => operator,
        Err(reason) => return not_operator(&reason),
    };
    let policy = admin.front.policy();
    let sessions = &policy.sessions;
    let (sandbox, census) = (sessions.sandbox(&operator), sessions.census(&operator));
    let missing: Vec<&str> = sandbox.missing().map(|(item, _)| item.name).collect();
    let mut body = glance(&admin.front);
    body["draining"] = sessions.is_draining().into();
    body["sessions"]["by_tenant"] = json!(census.by_tenant);
    body["sessions"]["by_server"] = json!(census.by_server);
    body["limits"] = json!(sessions.limits(&operator));
    body["sandbox"] = json!(sandbox);
    body["sandbox"]["missing"] = json!(missing);
    body["sandbox"]["uids"] = json!(sessions.uid_count(&operator));
    body["warm"] = json!(sessions.started_ahead(&operator));
    answer_json(&request, HttpResponse::Ok(), &body)
}
