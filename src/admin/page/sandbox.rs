//! What sessions are kept from.

use maud::{Markup, html};

use super::figure;
use super::section::Column::Words;
use super::section::{Column, Row, Section, cells, state};
use crate::admin::Overview;
use crate::backend::{Item, State};

/// What is told of each part.
pub(super) const COLUMNS: [Column; 3] = [Words("Part"), Words("State"), Words("What it does")];

/// The parts of the sandbox.
pub(super) fn section(overview: &Overview) -> Section {
    let report = &overview.sandbox;
    let missing = report.missing().count();
    let summary = html! {
        p {
            "Profile " strong { (report.profile) } ", network " strong { (report.network) } "; "
            @if missing == 0 { "nothing that is wanted is missing." }
            @else { strong.bad { (missing) " missing" } ": see what would help." }
            @if let Some(uids) = &overview.uids {
                " User ids: " (figure::count(uids.in_use)) " in use, " (figure::count(uids.resting)) " resting, "
                (figure::count(uids.free)) " free."
            }
        }
    };
    Section::new("sandbox", summary, report.items.iter().map(row).collect())
}

fn row(item: &Item) -> Row {
    let contents = [html! { strong { (item.name) } }, told(&item.state), html! { (item.purpose) }];
    Row::new(item.name, &cells(&COLUMNS, contents))
}

fn told(of: &State) -> Markup {
    match of {
        State::InForce(form) => html! { (state("good", "in force")) " " small { (form) } },
        State::NotWanted => state("over", "not wanted"),
        State::Missing(lack) => html! {
            (state("bad", "missing")) " " (lack.reason) ". "
            span.remedy { (lack.remedy) }
        },
    }
}
