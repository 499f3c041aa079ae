//! The last lines of the audit log.

use maud::{Markup, html};

use super::figure;
use super::section::Column::Words;
use super::section::{Column, Row, Section, cells};
use crate::admin::Overview;
use crate::audit::Told;

/// What is told of each line.
pub(super) const COLUMNS: [Column; 6] = [
    Words("Time (UTC)"),
    Words("Event"),
    Words("Tenant"),
    Words("Server"),
    Words("Session"),
    Words("Detail"),
];
/// So many lines are shown; more than that are for the log.
const SHOWN: usize = 50;

/// The lines, newest first.
pub(super) fn section(overview: &Overview) -> Section {
    let summary = html! { p { "The last " (SHOWN) " at most; all are in the log, as JSON lines with the field " code { "event" } "." } };
    let mut rows: Vec<Row> =
        overview.audit.iter().rev().take(SHOWN).map(|told| row(told, overview.at)).collect();
    if rows.is_empty() {
        let what = html! { p { "Nothing has happened yet that an operator would have to look up." } };
        rows.push(Row::instead(&COLUMNS, &what));
    }
    Section::new("audit", summary, rows)
}

fn row(told: &Told, now: u64) -> Row {
    let named = |name: &Option<String>| match name {
        Some(name) => html! { (name) },
        None => html! {},
    };
    let session: Markup = told.session.as_ref().map_or_else(|| html! {}, |tag| html! { code { (tag) } });
    let contents = [
        figure::moment(now, told.at),
        html! { (told.event.replace('_', " ")) },
        named(&told.tenant),
        named(&told.server),
        session,
        html! { (told.detail) },
    ];
    Row::new(told.number.to_string(), &cells(&COLUMNS, contents))
}
