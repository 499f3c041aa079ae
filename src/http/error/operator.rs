//! What the admin listener refuses: problem documents, since only programs and browsers call it.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder};

use super::{SOON, insert_allowance, problem, whole_seconds};
use crate::access::{Allowance, NotOperator};

/// A problem document for who is not let in at the admin listener.
pub fn not_operator(reason: &NotOperator) -> HttpResponse {
    problem(turning_away(reason), status_of_stranger(reason), &reason.to_string())
}

/// Status and headers of the answer to who is not let in at the admin listener.
pub fn turning_away(reason: &NotOperator) -> HttpResponseBuilder {
    let status = status_of_stranger(reason);
    let mut response = HttpResponse::build(status);
    if status == StatusCode::UNAUTHORIZED {
        response.insert_header((WWW_AUTHENTICATE, "Bearer realm=\"lockgate-admin\""));
    }
    let retry = match reason {
        NotOperator::Failures(wait) => Some(*wait),
        NotOperator::NoRandom => Some(SOON),
        _ => None,
    };
    if let Some(wait) = retry {
        response.insert_header((RETRY_AFTER, whole_seconds(wait).max(1).to_string()));
    }
    response
}

fn status_of_stranger(reason: &NotOperator) -> StatusCode {
    match reason {
        NotOperator::Elsewhere | NotOperator::Form => StatusCode::FORBIDDEN,
        NotOperator::Credentials(_) | NotOperator::Secret | NotOperator::LoggedOut => {
            StatusCode::UNAUTHORIZED
        }
        NotOperator::Failures(_) => StatusCode::TOO_MANY_REQUESTS,
        NotOperator::NoRandom => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Nothing is there for the operator.
pub fn nothing_to_see() -> HttpResponse {
    problem(HttpResponse::NotFound(), StatusCode::NOT_FOUND, "There is nothing here; see /admin.")
}

/// The answer to who is to come again, after so long; with what is left of a rate, if that is why.
pub fn try_later(status: StatusCode, wait: Duration, rate: Option<&Allowance>, detail: &str) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    response.insert_header((RETRY_AFTER, whole_seconds(wait).max(1).to_string()));
    insert_allowance(&mut response, rate);
    problem(response, status, detail)
}
