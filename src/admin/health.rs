//! `/health/deep?server=…`: whether a server works, found out by trying it. Anything but `200` means that it was not
//! found to work, so that who watches it needs to look at nothing else.

use std::borrow::Cow;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::json;

use super::{Admin, admit};
use crate::doctor::{Health, NotTried, Step};
use crate::http::{answer_json, not_looking, not_operator, problem, try_later};
use crate::mcp::Era;

/// What was found out. What is not known is null.
#[derive(Debug, Default, Serialize)]
struct Found {
    server: String,
    /// `ok`, `failed` or `not_tried`.
    status: &'static str,
    /// Which step failed.
    step: Option<Step>,
    /// Why it failed or was not tried.
    reason: Option<String>,
    /// The last line of its stderr that says something, without the values of its environment.
    last_line: Option<String>,
    /// What it calls itself, and its version.
    name: Option<String>,
    version: Option<String>,
    era: Option<Era>,
    /// How many tools it has; null as well if it does not say that it has any.
    tools: Option<usize>,
    /// From its start until everything was answered.
    seconds: Option<f64>,
}

/// When to come again for a server that is being tried: most trials take no longer.
const SOON: Duration = Duration::from_secs(5);
const NO_SERVER: &str = "Say once which server: /health/deep?server= and its short name.";
const UNKNOWN: &str = "No server is called that; /overview has the short name of each.";

pub(super) async fn deep(request: HttpRequest, admin: Data<Admin>) -> HttpResponse {
    let operator = match admit(&request, &admin) {
        Ok(operator) => operator,
        Err(reason) => return not_operator(&reason),
    };
    if let Some(refusal) = not_looking(&request) {
        return refusal;
    }
    let refuse = |status, detail| problem(HttpResponse::build(status), status, detail);
    let Some(name) = wanted(&request) else { return refuse(StatusCode::BAD_REQUEST, NO_SERVER) };
    let policy = admin.front.policy();
    let Some(trial) = policy.catalog.trial(&operator, &name) else {
        return refuse(StatusCode::NOT_FOUND, UNKNOWN);
    };
    let timeouts = policy.sessions.timeouts(&operator);
    // Boxed: what a start takes is much, and needed by few.
    match Box::pin(admin.examiner.examine(&operator, &trial, timeouts)).await {
        Ok(health) => {
            let is_fine = matches!(health, Health::Answered { .. });
            let status = if is_fine { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            let found = Found::new(trial.server.to_string(), health);
            answer_json(&request, HttpResponse::build(status), &json!(found))
        }
        Err(reason) => refusal(&reason),
    }
}

/// The server that the query names, if it names exactly one.
fn wanted(request: &HttpRequest) -> Option<String> {
    let pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
    let mut named = pairs.filter(|(key, _)| key == "server").map(|(_, name)| name);
    let first = named.next().filter(|name| !name.is_empty()).map(Cow::into_owned);
    first.filter(|_| named.next().is_none())
}

fn refusal(reason: &NotTried) -> HttpResponse {
    let detail = reason.to_string();
    match reason {
        NotTried::Draining => try_later(StatusCode::SERVICE_UNAVAILABLE, SOON, None, &detail),
        NotTried::Underway => try_later(StatusCode::TOO_MANY_REQUESTS, SOON, None, &detail),
        NotTried::TooOften(allowance) => {
            try_later(StatusCode::TOO_MANY_REQUESTS, allowance.wait, Some(allowance), &detail)
        }
    }
}

impl Found {
    fn new(server: String, health: Health) -> Self {
        let found = Self { server, status: health.word(), ..Self::default() };
        match health {
            Health::Answered { name, version, era, tools, seconds } => {
                Self { name, version, era: Some(era), tools, seconds: Some(seconds), ..found }
            }
            Health::NotStarted(reason) => Self { reason: Some(reason), ..found },
            Health::Failed { step, reason, last_line } => {
                Self { step: Some(step), reason: Some(reason), last_line, ..found }
            }
        }
    }
}
