//! How a refusal looks on the wire. The one place that knows status codes; `operator` has those of the admin
//! listener.

mod operator;

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};

pub use self::operator::{not_operator, nothing_to_see, try_later, turning_away};

use super::connections;
use super::in_flight::Crowded;
use crate::access::{Allowance, Denied, Lost};
use crate::catalog::{BadNames, BadTarget, BadVariable, Refused};
use crate::mcp::{Code, Failure, Malformed, Misfit, RequestId, SESSION_VERSIONS};
use crate::session::{Full, NotCalled, NotOpened, NotResumed, Undelivered};

const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

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
    Names(#[from] BadNames),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    NotOpened(#[from] NotOpened),
    #[error(transparent)]
    Undelivered(#[from] Undelivered),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Misfit(#[from] Misfit),
    #[error(transparent)]
    NotResumed(#[from] NotResumed),
    #[error("{}", .0.message)]
    Failed(Failure),
    #[error("{0}")]
    Content(&'static str),
    #[error("the answer may be JSON or an event stream; send Accept: application/json, text/event-stream")]
    NoEvents,
    #[error(
        "protocol version {0} is not served in a session; served are: {list}, and 2026-07-28 without a session",
        list = SESSION_VERSIONS.join(", ")
    )]
    Revision(String),
    #[error("the header Mcp-Session-Id is missing; send `initialize` first, then the id that its answer has")]
    NoSessionNamed,
    #[error(
        "there is no stream and no session to end here without one: POST `initialize` first, and send Mcp-Session-Id"
    )]
    NotInSession,
    #[error("{0}")]
    Batch(&'static str),
    #[error("the answer is an event stream; send Accept: text/event-stream")]
    NotAcceptable,
    #[error("the message is larger than the {0} that limits.message allows; send less at once")]
    TooLarge(bytesize::ByteSize),
    #[error(transparent)]
    Crowded(#[from] Crowded),
    #[error(
        "the body did not come in time; send it without pauses, 64 KiB a second or faster, or ask the operator about timeouts.body"
    )]
    Slow,
    #[error("the body ended early or was framed wrongly; send as much as Content-Length says")]
    Broken,
    #[error(
        "the connection to the node that has what this needs broke; it may have got the message, so it was not sent again"
    )]
    NodeBroke,
    #[error(
        "only other nodes of this gateway may call here, with the secret that all of them have and clocks that agree"
    )]
    NoNode,
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
            Self::Denied(Denied::Away) | Self::NotOpened(NotOpened::Away) => {
                later(S::SERVICE_UNAVAILABLE, SOON)
            }
            Self::Target(_)
            | Self::Variable(_)
            | Self::Names(_)
            | Self::Refused(Refused::Variable(_) | Refused::Credential(_))
            | Self::NotResumed(NotResumed::Lost)
            | Self::Revision(_)
            | Self::NoSessionNamed => plain(S::BAD_REQUEST, Code::Refused),
            Self::Refused(Refused::NotAllowed) => plain(S::FORBIDDEN, Code::Refused),
            Self::NotOpened(NotOpened::Full(Full::Tenant)) => later(S::TOO_MANY_REQUESTS, SOON),
            Self::NotOpened(NotOpened::Full(Full::Host | Full::Server) | NotOpened::Draining) => {
                later(S::SERVICE_UNAVAILABLE, SOON)
            }
            Self::NotOpened(NotOpened::NoRandom | NotOpened::Fetching(_)) => {
                later(S::SERVICE_UNAVAILABLE, SOON)
            }
            Self::NotOpened(NotOpened::Start(_, failed)) if failed.is_shortage() => {
                later(S::SERVICE_UNAVAILABLE, SOON)
            }
            Self::NotOpened(NotOpened::Start(..)) => plain(S::BAD_GATEWAY, Code::Internal),
            Self::Misfit(misfit) => {
                let unknown = matches!(misfit, Misfit::NoMethod(_));
                plain(if unknown { S::NOT_FOUND } else { S::BAD_REQUEST }, misfit.code())
            }
            Self::Undelivered(Undelivered::NoSession) | Self::NotResumed(NotResumed::NoSession) => {
                plain(S::NOT_FOUND, Code::NoSession)
            }
            // The TypeScript SDK 1.32 comes back for streams whose answer was an error; this stops it
            // without a word (its `_startOrAuthSse`).
            Self::NotResumed(NotResumed::Exhausted) => plain(S::METHOD_NOT_ALLOWED, Code::Refused),
            Self::Batch(_) => plain(S::BAD_REQUEST, Code::InvalidRequest),
            Self::Undelivered(Undelivered::Busy | Undelivered::Draining) | Self::Crowded(_) => {
                later(S::SERVICE_UNAVAILABLE, SOON)
            }
            Self::Undelivered(
                Undelivered::DuplicateId | Undelivered::NotBegun(_) | Undelivered::Begun(_),
            ) => plain(S::BAD_REQUEST, Code::InvalidRequest),
            Self::Malformed(Malformed::NotJson(_)) => plain(S::BAD_REQUEST, Code::Parse),
            Self::Malformed(Malformed::Batch | Malformed::TooMany(_) | Malformed::NotMessage(_)) => {
                plain(S::BAD_REQUEST, Code::InvalidRequest)
            }
            // What happens to a backend is told in band.
            Self::Failed(failure) => plain(status_of(failure.code.number().into()), failure.code),
            Self::NodeBroke => plain(S::BAD_GATEWAY, Code::Internal),
            Self::NoNode => plain(S::MISDIRECTED_REQUEST, Code::Refused),
            Self::Content(_) => plain(S::UNSUPPORTED_MEDIA_TYPE, Code::Refused),
            Self::NotAcceptable | Self::NoEvents => plain(S::NOT_ACCEPTABLE, Code::Refused),
            Self::TooLarge(_) => plain(S::PAYLOAD_TOO_LARGE, Code::Refused),
            Self::Slow => plain(S::REQUEST_TIMEOUT, Code::Refused),
            Self::Broken => plain(S::BAD_REQUEST, Code::Parse),
            Self::Method(_) | Self::NotInSession => plain(S::METHOD_NOT_ALLOWED, Code::Refused),
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
            insert_allowance(&mut response, Some(allowance));
        }
        match self {
            Self::Method(methods) => drop(response.insert_header((ALLOW, *methods))),
            Self::NotInSession => drop(response.insert_header((ALLOW, "POST, OPTIONS"))),
            Self::Slow => drop(response.force_close()),
            Self::NotResumed(NotResumed::Exhausted) => drop(response.insert_header((ALLOW, "POST, DELETE"))),
            _ => {}
        }
        let data = match self {
            Self::Misfit(misfit) => misfit.data(),
            Self::Failed(failure) => failure.data.clone(),
            _ => None,
        };
        let failure = Failure { code, message: self.to_string(), data };
        response.content_type("application/json").body(failure.body(id))
    }
}

impl From<NotCalled> for Refusal {
    fn from(reason: NotCalled) -> Self {
        match reason {
            NotCalled::Misfit(misfit) => misfit.into(),
            NotCalled::Denied(denied) => denied.into(),
            NotCalled::Lost(Lost::Secret) => Denied::Secret.into(),
            NotCalled::Lost(Lost::Server) => Refused::NotAllowed.into(),
            NotCalled::NotOpened(reason) => reason.into(),
            NotCalled::Undelivered(reason) => reason.into(),
            NotCalled::Failed(failure) => Self::Failed(failure),
            // As the backend's own answer would look to what it does not have.
            NotCalled::Misuse(misuse) => Self::Failed(Failure::from(&misuse)),
        }
    }
}

/// The status of an answer, by the code of its error, where it has to tell that (MCP 2026-07-28; protocol.md section
/// 3.1).
pub(super) fn status_of(code: i64) -> StatusCode {
    let is = |known: Code| code == i64::from(known.number());
    if is(Code::NoMethod) {
        StatusCode::NOT_FOUND
    } else if is(Code::MissingCapability) || is(Code::UnsupportedVersion) || is(Code::HeaderMismatch) {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::OK
    }
}

/// `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
pub(super) fn insert_allowance(response: &mut HttpResponseBuilder, allowance: Option<&Allowance>) {
    let Some(Allowance { per_minute, remaining, wait }) = allowance else { return };
    let wait = whole_seconds(*wait);
    response.insert_header((RATE_LIMIT_POLICY, format!("\"requests\";q={per_minute};w=60")));
    response.insert_header((RATE_LIMIT, format!("\"requests\";r={remaining};t={wait}")));
}

/// A problem document for what is no MCP route (RFC 9457).
pub(super) fn not_found(request: &HttpRequest) -> HttpResponse {
    tracing::debug!(method = %request.method(), "no such route");
    let detail = "There is nothing here. An MCP server is at /{server}/mcp, and for old clients at /{server}/sse; \
                  {server} is its short name or its percent-encoded command; `lockgate url \"<command>\"` prints the whole URL.";
    problem(HttpResponse::NotFound(), StatusCode::NOT_FOUND, detail)
}

/// A problem document (RFC 9457).
pub fn problem(mut response: HttpResponseBuilder, status: StatusCode, detail: &str) -> HttpResponse {
    let title = status.canonical_reason().unwrap_or_default();
    let body = serde_json::json!({ "title": title, "status": status.as_u16(), "detail": detail });
    response.content_type("application/problem+json").body(body.to_string())
}

/// The whole answer to a connection that is one too many: nothing of a request was read.
pub(super) fn turned_away(reason: connections::Crowded) -> String {
    let (status, text) = match reason {
        connections::Crowded::All => {
            ("503 Service Unavailable", "the gateway has as many connections as it takes; try again later")
        }
        connections::Crowded::Address => (
            "429 Too Many Requests",
            "there are too many connections from this address; close some, or use them again",
        ),
    };
    let body = Code::Refused.body(None, text);
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Retry-After: {retry}\r\nConnection: close\r\n\r\n{body}",
        length = body.len(),
        retry = SOON.as_secs(),
    )
}

/// A request whose target names another host than its `Host` header does.
pub(super) fn other_host() -> HttpResponse {
    let detail = "The request line names another host than the Host header; send the path alone.";
    problem(HttpResponse::BadRequest(), StatusCode::BAD_REQUEST, detail)
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests;
