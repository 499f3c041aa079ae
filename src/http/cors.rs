//! What a browser needs to be told. Only for origins that the gate has let through; never credentials.

use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW,
    HeaderValue, ORIGIN, VARY,
};
use actix_web::{HttpRequest, HttpResponse};

use super::call::{ALLOW_TOOLS, Call};
use super::error::Refusal;
use super::traced::{REQUEST_ID, TRACE_PARENT, TRACE_STATE};
use super::worker::Worker;
use crate::mcp::RequestId;

/// Headers that a page may send, beside `env_…`, `x-env-…` and `mcp-param-…` (protocol.md section 7).
const ALLOWED: [&str; 13] = [
    "authorization",
    "content-type",
    "accept",
    "mcp-session-id",
    "mcp-protocol-version",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    ALLOW_TOOLS[0],
    ALLOW_TOOLS[1],
    REQUEST_ID,
    TRACE_PARENT,
    TRACE_STATE,
];
/// Headers that a page may read.
const EXPOSED: &str = "Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After, RateLimit, RateLimit-Policy, \
                       Lockgate-Env, X-Request-Id";

/// Answers `OPTIONS`: nothing is admitted or started.
pub(super) fn preflight(
    request: &HttpRequest,
    worker: &Worker,
    methods: &'static str,
) -> Result<HttpResponse, Refusal> {
    worker.policy().gate.check_origin(&Call::read(request, &worker.front.base_path).presented())?;
    let wanted = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS).and_then(|value| value.to_str().ok());
    let granted: Vec<String> = wanted
        .unwrap_or_default()
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| may_send(name))
        .collect();
    Ok(HttpResponse::NoContent()
        .insert_header((ALLOW, methods))
        .insert_header((ACCESS_CONTROL_ALLOW_METHODS, methods))
        .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, granted.join(", ")))
        .insert_header((ACCESS_CONTROL_MAX_AGE, "600"))
        .finish())
}

fn may_send(name: &str) -> bool {
    let token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let prefixed = ["env_", "x-env-", "mcp-param-"].iter().any(|prefix| name.starts_with(prefix));
    ALLOWED.contains(&name) || prefixed && name.chars().all(token)
}

/// The response to a request for an MCP route, which a page may read if it was let in. `id` is that of the
/// request in the body, if one was read.
pub(super) fn respond(
    request: &HttpRequest,
    worker: &Worker,
    outcome: Result<HttpResponse, Refusal>,
    id: Option<&RequestId>,
) -> HttpResponse {
    let mut response = outcome.unwrap_or_else(|refusal| {
        worker.front.refusals.count(&refusal);
        refusal.response(id)
    });
    share(request, worker, &mut response);
    response
}

fn share(request: &HttpRequest, worker: &Worker, response: &mut HttpResponse) {
    response.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = request.headers().get(ORIGIN) else { return };
    if worker.policy().gate.check_origin(&Call::read(request, &worker.front.base_path).presented()).is_ok() {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
}
