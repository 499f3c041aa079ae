//! What all pages have in common: what browsers may do with them, their head and their navigation.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpResponse, HttpResponseBuilder};
use maud::{DOCTYPE, Markup, html};

use super::visitor::Visitor;
use super::{HOME, assets, form, login};

/// Nothing but our own files, which no text on a page can change, and nobody else's frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'; img-src 'self' data:";
/// A lock gate, half open.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
                    %3Crect width='16' height='16' rx='3' fill='%231f6feb'/%3E\
                    %3Cpath d='M4 3v10M12 3v10M4 8h3M9 8h3' stroke='white' stroke-width='2'/%3E%3C/svg%3E";
/// The parts of the first page, and what they are called.
const SECTIONS: [(&str, &str); 5] = [
    ("sessions", "Sessions"),
    ("servers", "Servers"),
    ("tenants", "Tenants"),
    ("sandbox", "Sandbox"),
    ("audit", "Audit"),
];
/// Where a client can be tried.
pub(super) const TRY: &str = "/admin/try";

/// A page for who has come in. `title` is what it shows, in a few words.
pub(super) fn page(
    response: HttpResponseBuilder,
    visitor: &Visitor,
    title: &str,
    main: &Markup,
) -> HttpResponse {
    let body = html! {
        a.skip href="#main" { "Skip to the content" }
        header.top {
            a.brand href=(HOME) { "Lockgate" }
            nav aria-label="Sections" {
                ul {
                    @for (anchor, name) in SECTIONS {
                        li { a href=(format!("{HOME}#{anchor}")) { (name) } }
                    }
                    li { a href=(TRY) { "Try it" } }
                }
            }
            @if let Some(token) = visitor.form_token() {
                form.logout method="post" action=(login::LOGOUT) {
                    (hidden_token(token))
                    button.quiet type="submit" { "Log out" }
                }
            }
        }
        p #connection .banner role="status" aria-live="polite" hidden {}
        main #main tabindex="-1" { (main) }
        dialog #dialog aria-label="Confirmation" {}
    };
    answer(response, title, true, &body)
}

/// A page for who has not.
pub(super) fn bare_page(response: HttpResponseBuilder, title: &str, main: &Markup) -> HttpResponse {
    answer(response, title, false, &html! { main #main .bare { (main) } })
}

/// The field of a form that says whose page it is on.
pub(super) fn hidden_token(token: &str) -> Markup {
    html! { input type="hidden" name=(form::TOKEN) value=(token); }
}

/// What every answer says to browsers. The policy on referrers is `same-origin`, not `no-referrer`, with which forms
/// are sent with `Origin: null` (Fetch, section 3.2), and nobody could tell them from those of other pages.
pub(super) fn protect(response: &mut HttpResponseBuilder) {
    response
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "same-origin"))
        .insert_header(("Cross-Origin-Opener-Policy", "same-origin"))
        .insert_header(("Cross-Origin-Resource-Policy", "same-origin"));
}

fn answer(mut response: HttpResponseBuilder, title: &str, with_script: bool, body: &Markup) -> HttpResponse {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Lockgate" }
                link rel="icon" href=(ICON);
                link rel="stylesheet" href=(assets::STYLE);
                @if with_script {
                    script type="module" src=(assets::SCRIPT) {}
                }
            }
            body { (body) }
        }
    };
    protect(&mut response);
    response.insert_header((CACHE_CONTROL, "no-store"));
    response.content_type("text/html; charset=utf-8").body(document.into_string())
}
