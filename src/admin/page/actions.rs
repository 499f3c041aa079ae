//! What the operator can have done. Each is asked about first, on a page of its own, which the script shows in a
//! dialog; what comes of it is told in the same way.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};

use super::form::Form;
use super::visitor::{Visitor, visit};
use super::{HOME, layout, login};
use crate::access::{Intent, Operator};
use crate::admin::Admin;
use crate::session::View;

/// Where a session is ended.
pub(super) const END: &str = "/admin/sessions/{number}/end";
/// Where the gateway is drained.
pub(super) const DRAIN: &str = "/admin/drain";
/// Where the settings are read again.
pub(super) const RELOAD: &str = "/admin/reload";

/// Where a secret is revoked.
pub(super) const REVOKE: &str = "/admin/revoke";
/// The field that says which.
const SECRET: &str = "secret";
/// The id of the form that does what was asked about.
const FORM: &str = "answer";

/// What is asked before something is done.
struct Question {
    title: String,
    /// What will happen.
    consequence: Markup,
    /// What the button says.
    answer: &'static str,
    action: String,
}

/// What has come of it.
struct Outcome {
    status: StatusCode,
    title: &'static str,
    told: String,
}

/// What leads to ending a session.
pub(super) fn end_link(view: &View) -> Markup {
    let name = format!("End session {} of {}", view.number, view.tenant);
    html! { a.button.danger href=(end_path(view.number)) aria-label=(name) data-confirm { "End" } }
}

/// What leads to all else.
pub(super) fn links() -> Markup {
    html! {
        p.actions {
            a.button href=(RELOAD) data-confirm { "Reload settings" }
            " "
            a.button.danger href=(REVOKE) data-confirm { "Revoke a secret" }
            " "
            a.button.danger href=(DRAIN) data-confirm { "Drain" }
        }
    }
}

pub(super) async fn ask_to_end(request: HttpRequest, number: Path<u64>, admin: Data<Admin>) -> HttpResponse {
    ask(&request, &admin, |operator| match find(&admin, operator, *number) {
        Some(view) => Ok(Question {
            title: format!("End session {number}?"),
            consequence: html! {
                p {
                    "Session " code { (view.tag) } " of tenant " strong { (view.tenant) } " with server "
                    strong { (view.server) } ". Its client is told that the operator has ended it, and its processes are ended."
                }
            },
            answer: "End the session",
            action: end_path(*number),
        }),
        None => Err(Outcome::gone()),
    })
}

pub(super) async fn end(
    request: HttpRequest,
    body: Payload,
    number: Path<u64>,
    admin: Data<Admin>,
) -> HttpResponse {
    act(&request, body, &admin, async |intent| match admin.front.policy().sessions.end(&intent, *number) {
        true => Outcome {
            status: StatusCode::OK,
            title: "The session ends",
            told: format!("Session {number} takes nothing any more; its processes are being ended."),
        },
        false => Outcome::gone(),
    })
    .await
}

pub(super) async fn ask_to_drain(request: HttpRequest, admin: Data<Admin>) -> HttpResponse {
    ask(&request, &admin, |_| {
        Ok(Question {
            title: "Drain the gateway?".to_owned(),
            consequence: html! {
                p {
                    "As with SIGTERM: new sessions are refused from now on, requests in flight may finish within "
                    code { "timeouts.drain" } ", then every session ends and the gateway exits. There is no way back; "
                    "what started it decides whether it is started again."
                }
            },
            answer: "Drain the gateway",
            action: DRAIN.to_owned(),
        })
    })
}

pub(super) async fn drain(request: HttpRequest, body: Payload, admin: Data<Admin>) -> HttpResponse {
    act(&request, body, &admin, async |intent| {
        admin.controls.drain(&intent);
        Outcome {
            status: StatusCode::ACCEPTED,
            title: "The gateway drains",
            told: "New sessions are refused. This page follows until the gateway exits.".to_owned(),
        }
    })
    .await
}

pub(super) async fn ask_to_reload(request: HttpRequest, admin: Data<Admin>) -> HttpResponse {
    ask(&request, &admin, |_| {
        Ok(Question {
            title: "Reload the settings?".to_owned(),
            consequence: html! {
                p {
                    "As with SIGHUP: servers, tenants, rates and limits are read again. Sessions go on as they were opened, "
                    "but for those whose secret, or right to their server, is gone. Settings that cannot be used change nothing."
                }
            },
            answer: "Reload the settings",
            action: RELOAD.to_owned(),
        })
    })
}

pub(super) async fn reload(request: HttpRequest, body: Payload, admin: Data<Admin>) -> HttpResponse {
    act(&request, body, &admin, async |intent| match admin.controls.reload(&intent).await {
        Ok(told) => Outcome { status: StatusCode::OK, title: "The settings are reloaded", told },
        Err(told) => Outcome {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            title: "The settings are refused, and nothing has changed",
            told,
        },
    })
    .await
}

pub(super) async fn ask_to_revoke(request: HttpRequest, admin: Data<Admin>) -> HttpResponse {
    ask(&request, &admin, |_| {
        Ok(Question {
            title: "Revoke a secret?".to_owned(),
            consequence: html! {
                p {
                    "It is refused from now on, and its sessions end: here, and on every node that shares the store. There "
                    "is no way back; give the tenant another secret."
                }
                label {
                    span { "Its hash, as " code { "[tenants.*]" } " has it" }
                    // Sent with the form that follows.
                    input type="text" name=(SECRET) form=(FORM) required pattern="sha256:[0-9a-f]{64}"
                        placeholder="sha256:…" autocomplete="off" spellcheck="false";
                }
            },
            answer: "Revoke the secret",
            action: REVOKE.to_owned(),
        })
    })
}

pub(super) async fn revoke(request: HttpRequest, body: Payload, admin: Data<Admin>) -> HttpResponse {
    let sent = Form::read(body).await;
    match admin.gate.intend(&visit(&request), sent.token().as_bytes()) {
        Ok(intent) => match admin.revoke(&intent, &sent.field(SECRET)).await {
            Ok(done) => Outcome { status: StatusCode::OK, title: "The secret is revoked", told: done.text },
            Err(told) => Outcome { status: StatusCode::BAD_REQUEST, title: "Nothing is revoked", told },
        }
        .answer(),
        Err(reason) => login::refuse(&request, &reason),
    }
}

fn ask(
    request: &HttpRequest,
    admin: &Admin,
    question: impl FnOnce(&Operator) -> Result<Question, Outcome>,
) -> HttpResponse {
    match Visitor::enter(request, admin) {
        Ok(visitor) => match question(visitor.operator()) {
            Ok(question) => question.answer(&visitor),
            Err(outcome) => outcome.answer(),
        },
        Err(reason) => login::turn_away(request, &reason),
    }
}

/// Does what takes an [`Intent`], if there is one.
async fn act(
    request: &HttpRequest,
    body: Payload,
    admin: &Admin,
    action: impl AsyncFnOnce(Intent) -> Outcome,
) -> HttpResponse {
    let sent = Form::read(body).await;
    match admin.gate.intend(&visit(request), sent.token().as_bytes()) {
        Ok(intent) => action(intent).await.answer(),
        Err(reason) => login::refuse(request, &reason),
    }
}

fn find(admin: &Admin, operator: &Operator, number: u64) -> Option<View> {
    let views = admin.front.policy().sessions.views(operator);
    views.into_iter().find(|view| view.number == number)
}

fn end_path(number: u64) -> String {
    END.replace("{number}", &number.to_string())
}

impl Question {
    fn answer(self, visitor: &Visitor) -> HttpResponse {
        let main = html! {
            section #confirm .card {
                h1 { (self.title) }
                (self.consequence)
                form id=(FORM) method="post" action=(self.action) {
                    @if let Some(token) = visitor.form_token() { (layout::hidden_token(token)) }
                    a.button href=(HOME) data-close autofocus { "Cancel" }
                    button.danger type="submit" { (self.answer) }
                }
            }
        };
        layout::page(HttpResponse::Ok(), visitor, &self.title, &main)
    }
}

impl Outcome {
    fn gone() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            title: "There is no such session",
            told: "It has ended already.".to_owned(),
        }
    }

    fn answer(self) -> HttpResponse {
        let main = html! {
            section #outcome .card {
                h1 { (self.title) }
                p { (self.told) }
                p { a.button href=(HOME) data-close autofocus { "Back to the page" } }
            }
        };
        layout::bare_page(HttpResponse::build(self.status), self.title, &main)
    }
}
