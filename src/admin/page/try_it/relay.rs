//! Carries what the page's script says to the gateway's own public listener, by HTTP, and what that answers back, as
//! it comes. So a try goes the whole way that a client's request goes: the gate, the rates, the sandbox.
//!
//! It leads to that one address and takes what the page may say: a request that is the operator's intent, with the
//! number of a pass, which becomes the tenant's secret here. Of headers, only those pass that MCP knows.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, HeaderName, HeaderValue};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use tokio::time::timeout;

use super::Tries;
use crate::access::{Door, NoPass, NotOperator, Secret};
use crate::admin::Admin;
use crate::admin::page::layout;
use crate::admin::page::visitor::{Visitor, visit};
use crate::catalog::BadTarget;
use crate::http::{Call, not_operator, problem};

/// Where the page's script finds a server. What follows is as on the public listener.
pub(in crate::admin::page) const RELAY: &str = "/admin/relay";

/// The token of the login whose page this is.
const TOKEN: HeaderName = HeaderName::from_static("lockgate-token");
/// The number of a pass.
const PASS: HeaderName = HeaderName::from_static("lockgate-pass");
/// That an answer is the gateway's own.
const RELAYED: HeaderName = HeaderName::from_static("lockgate-relayed");
/// Headers of requests that are carried, beside those that begin with one of [`CARRIED_WITH`].
const CARRIED: [&str; 3] = ["accept", "content-type", "last-event-id"];
const CARRIED_WITH: [&str; 3] = ["mcp-", "env_", "x-env-"];
/// The same of answers.
const RETURNED: [&str; 8] = [
    "allow",
    "cache-control",
    "content-type",
    "lockgate-env",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "x-accel-buffering",
];
const RETURNED_WITH: [&str; 1] = ["mcp-"];
/// How long a body may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why nothing is carried.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotRelayed {
    #[error(transparent)]
    NotOperator(#[from] NotOperator),
    #[error(transparent)]
    NoPass(#[from] NoPass),
    #[error(transparent)]
    Target(#[from] BadTarget),
    #[error("this page has no pass any more, as after a quarter of an hour; connect again")]
    Over,
    #[error("the relay takes POST, GET and DELETE only")]
    Method,
    #[error("the message is larger than limits.message allows, or did not come in time; send less at once")]
    Body,
    #[error("the gateway's own listener does not answer; the log says whether it is ending")]
    Unreachable,
}

/// A request to be carried.
struct Carried {
    server: String,
    pass: Secret,
    body: Vec<u8>,
}

pub(in crate::admin::page) async fn relay(
    request: HttpRequest,
    body: Payload,
    admin: Data<Admin>,
) -> HttpResponse {
    let carried = async {
        let carried = Carried::read(&request, body, &admin).await?;
        let front = &admin.front;
        admin.tries.carry(&request, carried, &front.policy().gate.door(), &front.base_path).await
    };
    match carried.await {
        Ok(answer) => returned(answer),
        Err(reason) => reason.response(),
    }
}

impl Carried {
    async fn read(request: &HttpRequest, body: Payload, admin: &Admin) -> Result<Self, NotRelayed> {
        let header = |name: HeaderName| request.headers().get(name).map(HeaderValue::as_bytes);
        let intent = admin.gate.intend(&visit(request), header(TOKEN).unwrap_or_default())?;
        let visitor = Visitor::enter(request, admin)?;
        if !["POST", "GET", "DELETE"].contains(&request.method().as_str()) {
            return Err(NotRelayed::Method);
        }
        let number = header(PASS).and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
        let pass = number.and_then(|number| admin.tries.passes.find(number, &intent));
        // Decoded and encoded again, it is one segment and nothing else.
        let target = Call::read(request, RELAY).target()?;
        let server = urlencoding::encode(target.as_str()).into_owned();
        let limit = admin.front.policy().sessions.limits(visitor.operator()).message.as_u64();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        match timeout(PATIENCE, body.to_bytes_limited(limit)).await {
            Ok(Ok(Ok(bytes))) => Ok(Self { server, pass: pass.ok_or(NotRelayed::Over)?, body: bytes.into() }),
            _ => Err(NotRelayed::Body),
        }
    }
}

impl Tries {
    /// Has the gateway answer. Nothing is waited for longer than the browser waits: then this is dropped.
    async fn carry(
        &self,
        request: &HttpRequest,
        carried: Carried,
        door: &Door,
        base_path: &str,
    ) -> Result<reqwest::Response, NotRelayed> {
        let Carried { server, pass, body } = carried;
        let url = format!("http://{}{base_path}/{server}/mcp", door.address);
        let method = reqwest::Method::from_bytes(request.method().as_str().as_bytes());
        let mut relayed = self.client.request(method.map_err(|_| NotRelayed::Method)?, url);
        for (name, value) in request.headers() {
            if is_among(name.as_str(), &CARRIED, &CARRIED_WITH) {
                relayed = relayed.header(name.as_str(), value.as_bytes());
            }
        }
        let relayed = relayed.header("host", &door.host).bearer_auth(pass.reveal()).body(body);
        relayed.send().await.map_err(|_| NotRelayed::Unreachable)
    }
}

/// The gateway's answer, as it comes.
fn returned(answer: reqwest::Response) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = HttpResponse::build(status);
    layout::protect(&mut response);
    response.insert_header((CACHE_CONTROL, "no-store")).insert_header((RELAYED, "yes"));
    for (name, value) in answer.headers() {
        if is_among(name.as_str(), &RETURNED, &RETURNED_WITH) {
            response.insert_header((name.as_str(), value.as_bytes()));
        }
    }
    response.streaming(answer.bytes_stream())
}

/// Whether a header is one of these, or begins with one of those.
fn is_among(name: &str, names: &[&str], prefixes: &[&str]) -> bool {
    names.contains(&name) || prefixes.iter().any(|prefix| name.starts_with(prefix))
}

impl NotRelayed {
    /// A problem document that says so.
    pub(super) fn response(&self) -> HttpResponse {
        let status = match self {
            Self::NotOperator(reason) => return not_operator(reason),
            Self::NoPass(NoPass::Tenant) | Self::Over => StatusCode::NOT_FOUND,
            Self::NoPass(NoPass::Random) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Target(_) => StatusCode::BAD_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Body => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unreachable => StatusCode::BAD_GATEWAY,
        };
        let mut response = HttpResponse::build(status);
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.insert_header((ALLOW, "POST, GET, DELETE"));
        }
        problem(response, status, &self.to_string())
    }
}
