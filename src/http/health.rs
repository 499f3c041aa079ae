//! `/health`: open to all, starts nothing, tells nothing about anybody.

use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde_json::{Value, json};

use super::Front;

/// Everything at a glance; `503` while draining.
pub(super) fn health(request: &HttpRequest, front: &Front) -> HttpResponse {
    answer(request, ready_status(front), &glance(front))
}

/// What anybody may know.
pub fn glance(front: &Front) -> Value {
    let sessions = &front.policy().sessions;
    json!({
        "status": if sessions.is_draining() { "draining" } else { "ok" },
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": front.since.elapsed().as_secs(),
        "sessions": { "active": sessions.active(), "total": sessions.total() },
    })
}

/// The process is up.
pub(super) fn live(request: &HttpRequest) -> HttpResponse {
    answer(request, HttpResponse::Ok(), &json!({ "status": "ok" }))
}

/// It takes new sessions.
pub(super) fn ready(request: &HttpRequest, front: &Front) -> HttpResponse {
    let status = if front.policy().sessions.is_draining() { "draining" } else { "ok" };
    answer(request, ready_status(front), &json!({ "status": status }))
}

fn ready_status(front: &Front) -> HttpResponseBuilder {
    if front.policy().sessions.is_draining() {
        HttpResponse::ServiceUnavailable()
    } else {
        HttpResponse::Ok()
    }
}

/// A JSON document for who looks at something.
pub fn answer(request: &HttpRequest, mut response: HttpResponseBuilder, body: &Value) -> HttpResponse {
    if let Some(refusal) = not_looking(request) {
        return refusal;
    }
    response
        .insert_header(("Cache-Control", "no-store"))
        .content_type("application/json")
        .body(body.to_string())
}

/// What somebody gets who wants anything but to look.
pub fn not_looking(request: &HttpRequest) -> Option<HttpResponse> {
    let looks = ["GET", "HEAD"].contains(&request.method().as_str());
    (!looks).then(|| HttpResponse::MethodNotAllowed().insert_header(("Allow", "GET, HEAD")).finish())
}
