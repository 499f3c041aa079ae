//! The live sessions.

use maud::{Markup, html};

use super::section::Column::{Numbers, Words};
use super::section::{Column, Row, Section, cells, state};
use super::{actions, figure};
use crate::admin::Overview;
use crate::session::{Stage, View};

/// What is told of each.
pub(super) const COLUMNS: [Column; 15] = [
    Words("Session"),
    Words("Tenant"),
    Words("Server"),
    Words("Transport"),
    Words("Era"),
    Words("State"),
    Numbers("Age"),
    Numbers("Quiet for"),
    Numbers("Calls"),
    Numbers("p50"),
    Numbers("p99"),
    Numbers("In"),
    Numbers("Out"),
    Numbers("Memory"),
    Words("End"),
];

/// The sessions, oldest first.
pub(super) fn section(overview: &Overview) -> Section {
    let summary = html! {
        p {
            strong { (figure::count(overview.sessions.len())) } " of "
            (figure::count(overview.limits.sessions)) " that may live at once; "
            (figure::count(overview.sessions_total)) " since the start. p50 and p99 are how long calls take in the server."
        }
    };
    let mut rows: Vec<Row> = overview.sessions.iter().map(|view| row(view, overview.at)).collect();
    if rows.is_empty() {
        let what = html! {
            p {
                "No session is live. A client opens one at " code { "/{server}/mcp" } " or " code { "/{server}/sse" } "; "
                a href=(super::layout::TRY) { "try it" } " to see one here."
            }
        };
        rows.push(Row::instead(&COLUMNS, &what));
    }
    Section::new("sessions", summary, rows)
}

fn row(view: &View, now: u64) -> Row {
    let [p50, p99] = figure::quantiles(view.backend);
    let text = |text: &str| html! { (text) };
    let contents = [
        html! { strong { (view.number) } " " code title="as in the log" { (view.tag) } },
        text(&view.tenant),
        text(&view.server),
        text(&figure::word(&view.transport)),
        view.era.map_or_else(figure::nothing, |era| text(&figure::word(&era))),
        stage(view),
        figure::since(now, view.age),
        figure::quiet(now, view.idle),
        figure::count(view.traffic.calls),
        p50,
        p99,
        figure::bytes(view.traffic.bytes_in),
        figure::bytes(view.traffic.bytes_out),
        memory(view),
        actions::end_link(view),
    ];
    Row::new(view.number.to_string(), &cells(&COLUMNS, contents))
}

fn stage(view: &View) -> Markup {
    let kind = match view.stage {
        Stage::Starting => "pending",
        Stage::Live => "good",
        Stage::Ending => "over",
    };
    let waiting = view.queues.to_backend + view.queues.to_client;
    html! {
        (state(kind, &figure::word(&view.stage)))
        @if view.queues.open > 0 { " " small { (view.queues.open) " open" } }
        @if waiting > 0 { " " small { (figure::bytes(waiting as u64)) " waiting" } }
    }
}

/// What its processes take.
fn memory(view: &View) -> Markup {
    view.usage.map_or_else(figure::nothing, |usage| figure::bytes(usage.memory))
}
