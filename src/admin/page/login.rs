//! The way in and the way out.

use std::time::Duration;

use actix_web::http::header::{LOCATION, SET_COOKIE};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use maud::{Markup, html};

use super::form::Form;
use super::visitor::{Visitor, visit};
use super::{HOME, layout};
use crate::access::{LOGIN_COOKIE, LOGIN_LASTS, NotOperator, is_loopback_name};
use crate::admin::Admin;
use crate::http::{not_operator, turning_away};

/// Where one logs in.
pub(super) const LOGIN: &str = "/admin/login";
/// Where one logs out.
pub(super) const LOGOUT: &str = "/admin/logout";

/// The form to log in with.
pub(super) async fn ask(request: HttpRequest, admin: Data<Admin>) -> HttpResponse {
    match admin.gate.check_origin(&visit(&request).presented) {
        Err(reason) => not_operator(&reason),
        Ok(()) if Visitor::enter(&request, &admin).is_ok() => to_the_page(HttpResponse::SeeOther()),
        Ok(()) => form(HttpResponse::Ok(), &request, None),
    }
}

/// Takes the secret, and gives a cookie.
pub(super) async fn log_in(request: HttpRequest, body: Payload, admin: Data<Admin>) -> HttpResponse {
    let sent = Form::read(body).await;
    match admin.gate.log_in(&visit(&request), sent.field("secret").trim().as_bytes()) {
        Ok(cookie) => {
            let mut response = HttpResponse::SeeOther();
            response.insert_header((SET_COOKIE, cookie_of(&request, cookie.reveal(), LOGIN_LASTS)));
            to_the_page(response)
        }
        Err(reason @ NotOperator::Elsewhere) => not_operator(&reason),
        Err(reason) => form(turning_away(&reason), &request, Some(&reason)),
    }
}

/// Forgets the browser that wants it.
pub(super) async fn log_out(request: HttpRequest, body: Payload, admin: Data<Admin>) -> HttpResponse {
    let sent = Form::read(body).await;
    match admin.gate.intend(&visit(&request), sent.token().as_bytes()) {
        Ok(intent) => {
            admin.gate.log_out(&intent);
            let mut response = HttpResponse::SeeOther();
            response.insert_header((SET_COOKIE, cookie_of(&request, "", Duration::ZERO)));
            response.insert_header((LOCATION, LOGIN)).finish()
        }
        Err(reason) => refuse(&request, &reason),
    }
}

/// The answer to who may not look: a browser that has not logged in is led to where it can.
pub(super) fn turn_away(request: &HttpRequest, reason: &NotOperator) -> HttpResponse {
    match reason {
        NotOperator::LoggedOut => HttpResponse::SeeOther().insert_header((LOCATION, LOGIN)).finish(),
        _ => refuse(request, reason),
    }
}

/// The answer to who wants something done and may not.
pub(super) fn refuse(request: &HttpRequest, reason: &NotOperator) -> HttpResponse {
    match reason {
        NotOperator::LoggedOut => form(turning_away(reason), request, Some(reason)),
        NotOperator::Form => {
            let told = html! {
                h1 { "Not done" }
                p { "This form is of another login, or of one that has ended. Nothing was changed." }
                p { a href=(HOME) { "Back to the page" } }
            };
            layout::bare_page(turning_away(reason), "Not done", &told)
        }
        _ => not_operator(reason),
    }
}

fn to_the_page(mut response: HttpResponseBuilder) -> HttpResponse {
    response.insert_header((LOCATION, HOME)).finish()
}

fn form(response: HttpResponseBuilder, request: &HttpRequest, reason: Option<&NotOperator>) -> HttpResponse {
    let main: Markup = html! {
        h1 { "Lockgate" }
        p { "The operator’s page of this gateway." }
        @if let Some(reason) = reason {
            p.error role="alert" { (sentence(&reason.to_string())) }
        }
        @if !is_local(request) {
            p.hint {
                "A browser stays logged in here over https only. Over plain http, reach this listener by a loopback name: "
                "“ssh -L 8001:127.0.0.1:8001 host” or “fly proxy 8001”, then http://localhost:8001/admin."
            }
        }
        form.login method="post" action=(LOGIN) {
            // For managers of secrets, which keep them by name.
            input type="text" name="username" value="operator" autocomplete="username" hidden;
            label for="secret" { "Secret" }
            input #secret type="password" name="secret" autocomplete="current-password" required autofocus
                aria-describedby="which";
            p #which .hint { "The operator’s, as it was printed when the gateway was started, or as LOCKGATE_ADMIN_SECRET had it." }
            button type="submit" { "Log in" }
        }
    };
    layout::bare_page(response, "Log in", &main)
}

/// An error as one reads it on a page.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

/// Whether the browser is called to a name of this machine, or of a tunnel's end on its own. For those, plain http is
/// as safe as it gets; to all others the cookie goes by https alone.
fn is_local(request: &HttpRequest) -> bool {
    let host = visit(request).presented.host;
    host.and_then(|host| std::str::from_utf8(host).ok()).is_some_and(is_loopback_name)
}

/// What a browser keeps for so long.
fn cookie_of(request: &HttpRequest, value: &str, lasts: Duration) -> String {
    let lasts = lasts.as_secs();
    let secure = if is_local(request) { "" } else { "; Secure" };
    format!("{LOGIN_COOKIE}={value}; Path={HOME}; Max-Age={lasts}; HttpOnly; SameSite=Strict{secure}")
}
