//! The page on which the operator tries a server, as a client of one of its tenants would use it, and finds what to
//! paste into clients of that server.
//!
//! The page is a form; the script does the rest, by `relay`, with a `pass`. `script` is that script.

mod pass;
mod relay;
mod script;

use actix_web::web::{self, Data, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};
use serde::Deserialize;

use self::pass::Passes;
use super::layout::{self, TRY};
use super::visitor::Visitor;
use super::{login, sent, shown};
use crate::access::PASS_LASTS;
use crate::admin::Admin;
use crate::backend::http_client;
use crate::catalog::Listing;
use crate::ids::TenantId;
use crate::snippets::{Place, Snippet};

/// What the page's script works with.
#[derive(Debug)]
pub struct Tries {
    passes: Passes,
    client: reqwest::Client,
    /// What the URLs of servers begin with, as clients know them.
    base: String,
    /// Whether the operator has said so.
    is_base_given: bool,
}

/// What the page is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    server: Option<String>,
}

/// A server that can be tried, and by whom.
struct Choice {
    listings: Vec<Listing>,
    server: Option<String>,
    tenants: Vec<TenantId>,
}

impl Tries {
    /// Nothing is tried yet. `base` is what the URLs of servers begin with, as clients know them, and `is_base_given`
    /// whether the settings say so.
    ///
    /// # Errors
    /// If the host does not let anybody be an HTTP client.
    pub fn new(base: String, is_base_given: bool) -> reqwest::Result<Self> {
        // To one address, which no proxy and no redirect may change.
        let client =
            http_client().no_proxy().redirect(reqwest::redirect::Policy::none()).http1_only().build()?;
        Ok(Self { passes: Passes::default(), client, base, is_base_given })
    }
}

/// What answers for the page.
pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(shown(TRY, page))
        .service(shown(script::PLACE, script::part))
        .service(sent(pass::PASS, pass::give))
        .service(web::resource(format!("{}/{{server}}/mcp", relay::RELAY)).to(relay::relay));
}

async fn page(request: HttpRequest, asked: Query<Asked>, admin: Data<Admin>) -> HttpResponse {
    let visitor = match Visitor::enter(&request, &admin) {
        Ok(visitor) => visitor,
        Err(reason) => return login::turn_away(&request, &reason),
    };
    let choice = Choice::of(&admin, &visitor, asked.into_inner().server);
    let main = html! {
        div.try {
            div {
                h1 { "Try it" }
                p.lead {
                    "Be a client of one of your servers: connect by the gateway’s own public routes, call a tool, and see what "
                    "is said."
                }
            }
            (choice.server_form())
            @match &choice.server {
                None => p.empty { "No server of that name is on the allowlist; choose one above." }
                Some(server) => {
                    (choice.panel(server, visitor.form_token().unwrap_or_default()))
                    (snippets(&admin.tries, server))
                }
            }
        }
        script type="module" src=(script::ENTRY) {}
    };
    layout::page(HttpResponse::Ok(), &visitor, "Try it", &main)
}

impl Choice {
    /// Without a name, the first.
    fn of(admin: &Admin, visitor: &Visitor, wanted: Option<String>) -> Self {
        let policy = admin.front.policy();
        let listings = policy.catalog.listings(visitor.operator());
        let found = match wanted {
            None => listings.first(),
            Some(wanted) => listings.iter().find(|listing| listing.server.as_str() == wanted),
        };
        let found = found.map(|listing| listing.server.clone());
        let of = |server| policy.gate.tenants_of(visitor.operator(), server);
        let tenants = found.iter().flat_map(of).collect();
        Self { server: found.map(|server| server.to_string()), listings, tenants }
    }

    fn server_form(&self) -> Markup {
        html! {
            form #choice .row method="get" action=(TRY) {
                label {
                    span { "Server" }
                    select name="server" {
                        @for listing in &self.listings {
                            @let name = listing.server.as_str();
                            option value=(name) selected[self.server.as_deref() == Some(name)] { (name) }
                        }
                    }
                }
                button.quiet type="submit" { "Choose" }
            }
        }
    }

    /// All but the server is the script's, which finds its way by these ids.
    fn panel(&self, server: &str, token: &str) -> Markup {
        let relay = format!("{}/{}/mcp", relay::RELAY, urlencoding::encode(server));
        html! {
            noscript {
                p.banner { "Trying a server takes a script; without one, the snippets below work from a terminal." }
            }
            section #try data-relay=(relay) data-pass=(pass::PASS) data-token=(token) data-server=(server) hidden
                aria-labelledby="connect-title" {
                h2 #connect-title { "Connect" }
                (self.connect_form())
                p #state role="status" aria-live="polite" {}
                div #tried hidden {
                    section aria-labelledby="tools-title" {
                        h2 #tools-title { "Tools" }
                        div #tools {}
                    }
                    div.work {
                        div #tool {}
                        div #asked {}
                        div #outcome aria-live="polite" {}
                    }
                }
                details #messages-panel {
                    summary { "Messages " span #message-count { "(none yet)" } }
                    div.row { button #clear-messages .quiet type="button" { "Clear" } }
                    ol #messages {}
                }
            }
        }
    }

    /// As whom, and how.
    fn connect_form(&self) -> Markup {
        html! {
            form #connect autocomplete="off" {
                div.row {
                    label {
                        span { "Tenant" }
                        select name="tenant" required {
                            @for tenant in &self.tenants { option { (tenant) } }
                        }
                    }
                    label {
                        span { "Protocol" }
                        select name="revision" {
                            option value="2025-11-25" { "2025-11-25, with a session" }
                            option value="2026-07-28" { "2026-07-28, without one" }
                        }
                    }
                }
                fieldset {
                    legend { "Variables" }
                    p.hint { "What the client’s ENV_ headers would set. They are kept on this page only." }
                    div #variables {}
                    button #add-variable .quiet type="button" { "Add a variable" }
                }
                @if self.tenants.is_empty() {
                    p.error { "No tenant may use this server; add it to a tenant’s servers." }
                }
                div.row {
                    button #begin type="submit" disabled[self.tenants.is_empty()] { "Connect" }
                    button #leave .quiet type="button" hidden { "Disconnect" }
                }
                p.hint {
                    "The tenant’s rates, limits and environment hold; the audit log has it. A try ends by itself after "
                    (PASS_LASTS.as_secs() / 60) " minutes."
                }
            }
        }
    }
}

/// What to paste into clients. The secret is theirs to fill in.
fn snippets(tries: &Tries, server: &str) -> Markup {
    let place = Place::new(&tries.base, server);
    html! {
        section #snippets aria-labelledby="snippets-title" {
            h2 #snippets-title { "Connect a client" }
            p.url { code { (place.url()) } }
            @if !tries.is_base_given {
                p.hint {
                    "This is the address that the gateway listens at. If clients come by another, such as a proxy’s, set "
                    code { "listen.public_url" } " to it."
                }
            }
            @for Snippet { client, place, text } in place.snippets() {
                details.snippet {
                    summary { (client) " " small { (place) } }
                    pre tabindex="0" { code { (text) } }
                }
            }
            p.hint { "Clients that only speak HTTP with SSE (2024-11-05) connect to " code { (place.legacy_url()) } "." }
        }
    }
}
