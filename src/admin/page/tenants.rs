//! Who may connect, and what they make of it.

use maud::{Markup, html};

use super::figure;
use super::section::Column::{Numbers, Words};
use super::section::{Column, Row, Section, cells, share};
use crate::access::RateUse;
use crate::admin::{Overview, TenantView};

/// What is told of each.
pub(super) const COLUMNS: [Column; 12] = [
    Words("Tenant"),
    Numbers("Sessions"),
    Numbers("Opened"),
    Numbers("Calls"),
    Numbers("Requests a minute"),
    Numbers("Refused"),
    Numbers("Openings a minute"),
    Numbers("Refused openings"),
    Numbers("In"),
    Numbers("Out"),
    Numbers("Servers"),
    Numbers("Secrets"),
];

/// The tenants, by id.
pub(super) fn section(overview: &Overview) -> Section {
    let wrong = &overview.wrong_secrets;
    let summary = html! {
        p {
            "Wrong secrets so far: " (figure::count(wrong.rate.allowed + wrong.rate.limited)) ", of which "
            (figure::count(wrong.rate.limited)) " were over the rate of their address; "
            (figure::count(wrong.addresses)) " addresses are remembered for it."
        }
    };
    let everybodys = overview.limits.sessions_per_tenant;
    let mut rows: Vec<Row> = overview.tenants.iter().map(|tenant| row(tenant, everybodys)).collect();
    if rows.is_empty() {
        let what = html! {
            p { "Nobody may connect. Add a " code { "[tenants.NAME]" } " table with a hash from " code { "lockgate secret" } ", and reload." }
        };
        rows.push(Row::instead(&COLUMNS, &what));
    }
    Section::new("tenants", summary, rows)
}

fn row(tenant: &TenantView, everybodys: usize) -> Row {
    let usage = &tenant.usage;
    let contents = [
        html! { strong { (usage.tenant) } },
        share(tenant.sessions, usage.max_sessions.unwrap_or(everybodys), "sessions"),
        figure::count(tenant.opened),
        figure::count(tenant.traffic.calls),
        rate(&usage.requests),
        refused(&usage.requests),
        rate(&usage.openings),
        refused(&usage.openings),
        figure::bytes(tenant.traffic.bytes_in),
        figure::bytes(tenant.traffic.bytes_out),
        figure::count(usage.servers),
        figure::count(usage.secrets),
    ];
    Row::new(usage.tenant.clone(), &cells(&COLUMNS, contents))
}

fn rate(usage: &RateUse) -> Markup {
    html! {
        @match usage.per_minute {
            Some(rate) => { (figure::count(rate)) },
            None => "no limit",
        }
        " " small { (figure::count(usage.allowed)) " so far" }
    }
}

fn refused(usage: &RateUse) -> Markup {
    html! { @if usage.limited > 0 { strong.bad { (figure::count(usage.limited)) } } @else { (figure::count(0u64)) } }
}
