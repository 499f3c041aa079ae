//! How a refusal looks on the wire. The one place that knows status codes.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse};

use crate::access::{Allowance, Denied};
use crate::catalog::{BadTarget, BadVariable, Refused};
use crate::mcp::{Code, Malformed, RequestId};
use crate::session::{Full, NotOpened, Undelivered};

/// Every reason to refuse a request to an MCP route.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Target(#[from] BadTarget),
    #[error(transparent)]
    Variable(#[from] BadVariable),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    NotOpened(#[from] NotOpened),
    #[error(transparent)]
    Undelivered(#[from] Undelivered),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("{0}")]
    Content(&'static str),
    #[error("the answer is an event stream; send Accept: text/event-stream")]
    NotAcceptable,
    #[error("the message is larger than the {0} that limits.message allows; send less at once")]
    TooLarge(bytesize::ByteSize),
    #[error("the body ended early")]
    Broken,
    #[error("this route takes {0} only")]
    Method(&'static str),
}

/// What a refusal becomes.
struct Wire {
    status: StatusCode,
    code: Code,
    /// When to try again.
    retry: Option<Duration>,
}

const SOON: Duration = Duration::from_secs(5);

impl Refusal {
    fn wire(&self) -> Wire {
        use StatusCode as S;
        let plain = |status, code| Wire { status, code, retry: None };
        let later = |status, wait| Wire { status, code: Code::Refused, retry: Some(wait) };
        match self {
            Self::Denied(Denied::Origin | Denied::Host) => plain(S::FORBIDDEN, Code::Refused),
            Self::Denied(Denied::Credentials(_) | Denied::Secret) => plain(S::UNAUTHORIZED, Code::Refused),
            Self::Denied(Denied::Failures(wait)) => later(S::TOO_MANY_REQUESTS, *wait),
            Self::Denied(Denied::Rate(_, allowance)) => later(S::TOO_MANY_REQUESTS, allowance.wait),
            Self::Target(_) | Self::Variable(_) | Self::Refused(Refused::Variable(_)) => {
                plain(S::BAD_REQUEST, Code::Refused)
            }
            Self::Refused(Refused::NotAllowed) => plain(S::FORBIDDEN, Code::Refused),
            Self::NotOpened(NotOpened::Full(Full::Tenant)) => later(S::TOO_MANY_REQUESTS, SOON),
            Self::NotOpened(NotOpened::Full(Full::Host | Full::Server) | NotOpened::Draining) => {
                later(S::SERVICE_UNAVAILABLE, SOON)
            }
            Self::NotOpened(NotOpened::NoRandom) => later(S::SERVICE_UNAVAILABLE, SOON),
            Self::NotOpened(NotOpened::Start(..)) => plain(S::BAD_GATEWAY, Code::Internal),
            Self::Undelivered(Undelivered::NoSession) => plain(S::NOT_FOUND, Code::NoSession),
            Self::Undelivered(Undelivered::Busy | Undelivered::Draining) => {
                later(S::SERVICE_UNAVAILABLE, SOON)
            }
            Self::Undelivered(Undelivered::DuplicateId | Undelivered::NotBegun(_)) => {
                plain(S::BAD_REQUEST, Code::InvalidRequest)
            }
            Self::Malformed(Malformed::NotJson(_)) => plain(S::BAD_REQUEST, Code::Parse),
            Self::Malformed(Malformed::Batch | Malformed::NotMessage(_)) => {
                plain(S::BAD_REQUEST, Code::InvalidRequest)
            }
            Self::Content(_) => plain(S::UNSUPPORTED_MEDIA_TYPE, Code::Refused),
            Self::NotAcceptable => plain(S::NOT_ACCEPTABLE, Code::Refused),
            Self::TooLarge(_) => plain(S::PAYLOAD_TOO_LARGE, Code::Refused),
            Self::Broken => plain(S::BAD_REQUEST, Code::Parse),
            Self::Method(_) => plain(S::METHOD_NOT_ALLOWED, Code::Refused),
        }
    }

    /// The response; `id` is that of the request in the body, if one was read.
    pub(super) fn response(&self, id: Option<&RequestId>) -> HttpResponse {
        let Wire { status, code, retry } = self.wire();
        let mut response = HttpResponse::build(status);
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer realm=\"lockgate\""));
        }
        if let Some(wait) = retry {
            response.insert_header((RETRY_AFTER, whole_seconds(wait).max(1).to_string()));
        }
        if let Self::Denied(Denied::Rate(_, allowance)) = self {
            insert_allowance(&mut response, allowance);
        }
        if let Self::Method(methods) = self {
            response.insert_header((ALLOW, *methods));
        }
        response.content_type("application/json").body(code.body(id, &self.to_string()))
    }
}

/// `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
pub(super) fn insert_allowance(response: &mut actix_web::HttpResponseBuilder, allowance: &Allowance) {
    let Allowance { per_minute, remaining, wait } = allowance;
    let wait = whole_seconds(*wait);
    response.insert_header(("RateLimit-Policy", format!("\"requests\";q={per_minute};w=60")));
    response.insert_header(("RateLimit", format!("\"requests\";r={remaining};t={wait}")));
}

/// A problem document for what is no MCP route (RFC 9457).
pub(super) fn not_found(request: &HttpRequest) -> HttpResponse {
    let problem = serde_json::json!({
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing here. An MCP server is at /{server}/sse, where {server} is its short name \
                   or its percent-encoded command; `lockgate url \"<command>\"` prints the whole URL.",
    });
    tracing::debug!(method = %request.method(), "no such route");
    HttpResponse::NotFound().content_type("application/problem+json").body(problem.to_string())
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
