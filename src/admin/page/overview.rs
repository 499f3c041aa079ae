//! The first page: all sections, as they are at one moment.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};

use super::section::{Column, Section};
use super::visitor::Visitor;
use super::{actions, audit, layout, login, sandbox, servers, sessions, status, tenants};
use crate::admin::{Admin, Overview};

/// Everything that there is to be seen, rendered.
#[derive(Debug)]
pub(super) struct Picture {
    notice: Section,
    status: Section,
    sessions: Section,
    servers: Section,
    tenants: Section,
    sandbox: Section,
    audit: Section,
}

/// Everything that there is to be seen.
pub(super) async fn overview(request: HttpRequest, admin: Data<Admin>) -> HttpResponse {
    let visitor = match Visitor::enter(&request, &admin) {
        Ok(visitor) => visitor,
        Err(reason) => return login::turn_away(&request, &reason),
    };
    let picture = Picture::of(&Overview::of(&admin, visitor.operator()).await);
    layout::page(HttpResponse::Ok(), &visitor, "Overview", &picture.page(visitor.form_token().is_some()))
}

impl Picture {
    pub(super) fn of(overview: &Overview) -> Self {
        Self {
            notice: status::notice(overview),
            status: status::section(overview),
            sessions: sessions::section(overview),
            servers: servers::section(overview),
            tenants: tenants::section(overview),
            sandbox: sandbox::section(overview),
            audit: audit::section(overview),
        }
    }

    pub(super) fn sections(&self) -> [&Section; 7] {
        let Self { notice, status, sessions, servers, tenants, sandbox, audit } = self;
        [notice, status, sessions, servers, tenants, sandbox, audit]
    }

    /// `can_act` is whether there is a login, with whose token something can be done.
    fn page(&self, can_act: bool) -> Markup {
        html! {
            div role="status" aria-live="polite" { (self.notice.summary()) }
            div.title {
                h1 { "Overview" }
                (self.status.summary())
                @if can_act { (actions::links()) }
            }
            section #sessions aria-labelledby="sessions-title" {
                h2 #sessions-title { "Sessions" }
                (self.sessions.summary())
                // Of no use without the script, which shows it.
                p.filter hidden {
                    label for="filter" { "Show only sessions with " }
                    input #filter type="search" placeholder="tenant, server, state…" autocomplete="off";
                    span #shown {}
                }
                (self.sessions.table("Live sessions, oldest first", &sessions::COLUMNS))
            }
            (part(&self.servers, "Servers", "Servers of the allowlist", &servers::COLUMNS))
            (part(&self.tenants, "Tenants", "Tenants by id", &tenants::COLUMNS))
            (part(&self.sandbox, "Sandbox", "Parts of the sandbox", &sandbox::COLUMNS))
            (part(&self.audit, "Audit", "The last audit lines, newest first", &audit::COLUMNS))
        }
    }
}

fn part(section: &Section, title: &str, caption: &str, columns: &[Column]) -> Markup {
    let id = format!("{}-title", section.name);
    html! {
        section id=(section.name) aria-labelledby=(id) {
            h2 id=(id) { (title) }
            (section.summary())
            (section.table(caption, columns))
        }
    }
}
