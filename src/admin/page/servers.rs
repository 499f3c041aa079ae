//! The allowlist, and how each server of it does.

use maud::{Markup, html};

use super::figure;
use super::layout::TRY;
use super::section::Column::{Numbers, Words};
use super::section::{Column, Row, Section, cells, share};
use crate::admin::{Overview, ServerView};
use crate::session::Trouble;

/// What is told of each.
pub(super) const COLUMNS: [Column; 14] = [
    Words("Server"),
    Words("Kind"),
    Numbers("Sessions"),
    Numbers("Opened"),
    Numbers("Starts"),
    Numbers("Failures"),
    Numbers("Warm"),
    Words("Prefetch"),
    Numbers("Start p50"),
    Numbers("Start p99"),
    Numbers("Call p50"),
    Numbers("Call p99"),
    Numbers("Here p99"),
    Words("Try"),
];

/// The servers, by name; below each, how it has failed.
pub(super) fn section(overview: &Overview) -> Section {
    let summary = html! {
        p { "Start is from opening a session until its server runs; call is the time in the server, here that in the gateway." }
    };
    let mut rows = Vec::new();
    for server in &overview.servers {
        rows.push(row(server));
        if !server.failures.is_empty() {
            let key = format!("{} failures", server.listing.server);
            rows.push(Row::below(key, &COLUMNS, &failures(server, overview.at)));
        }
    }
    if rows.is_empty() {
        let what = html! { p { "There is no server. Add a " code { "[servers.NAME]" } " table to the settings, and reload them." } };
        rows.push(Row::instead(&COLUMNS, &what));
    }
    Section::new("servers", summary, rows)
}

fn row(server: &ServerView) -> Row {
    let listing = &server.listing;
    let name = listing.server.as_str();
    let [start_half, start_most] = figure::quantiles(server.ready);
    let [call_half, call_most] = figure::quantiles(server.backend);
    let [_, here] = figure::quantiles(server.gateway);
    let contents = [
        html! { strong { (name) } },
        html! { (figure::word(&listing.kind)) },
        share(server.sessions, listing.max_sessions, "sessions"),
        figure::count(server.opened),
        figure::count(server.started),
        html! { @if server.failed > 0 { strong.bad { (figure::count(server.failed)) } } @else { (figure::count(0u64)) } },
        html! { @if listing.warm_wanted > 0 { (server.warm) " of " (listing.warm_wanted) } @else { "none" } },
        html! { @if listing.prefetch { "yes" } @else { "no" } },
        start_half,
        start_most,
        call_half,
        call_most,
        here,
        html! { a href=(try_url(name)) aria-label=(format!("Try it: {name}")) { "Try it" } },
    ];
    Row::new(name, &cells(&COLUMNS, contents))
}

fn try_url(name: &str) -> String {
    format!("{TRY}?server={}", urlencoding::encode(name))
}

fn failures(server: &ServerView, now: u64) -> Markup {
    let last = server.failures.len();
    html! {
        details {
            summary { "How " (server.listing.server) " has failed lately (" (last) ")" }
            ol.failures reversed {
                @for trouble in server.failures.iter().rev() { li { (failure(trouble, now)) } }
            }
        }
    }
}

fn failure(trouble: &Trouble, now: u64) -> Markup {
    html! {
        p {
            (figure::moment(now, trouble.at)) " · " (trouble.tenant) " · " code { (trouble.session) } " · " (trouble.reason)
        }
        @if trouble.stderr.is_empty() {
            p.hint { "It wrote nothing to stderr." }
        } @else {
            pre tabindex="0" aria-label="its last lines on stderr" role="group" { (trouble.stderr.join("\n")) }
        }
    }
}
