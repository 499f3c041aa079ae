//! What the first page is made of: sections, each a summary and a table whose rows are known by their keys, so that
//! who looks can be told of those alone that have changed.

use std::collections::{BTreeMap, HashMap};

use maud::{Markup, PreEscaped, html};
use serde::Serialize;

/// A section, as it is at one moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// What it is called in links and events.
    pub(super) name: &'static str,
    summary: String,
    rows: Vec<Row>,
}

/// A row of a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    key: String,
    html: String,
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    /// Of words.
    Words(&'static str),
    /// Of numbers, which stand below each other by their last digits.
    Numbers(&'static str),
}

/// What has changed of a section.
#[derive(Debug, Serialize)]
pub(super) struct Change<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
    /// The keys of all rows, if there are others than before, or in another order.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<Vec<&'a str>>,
    /// Rows that are new or different, by their keys.
    rows: BTreeMap<&'a str, &'a str>,
}

impl Section {
    pub(super) fn new(name: &'static str, summary: Markup, rows: Vec<Row>) -> Self {
        Self { name, summary: summary.into_string(), rows }
    }

    /// What stands above the table, where changes of it are put.
    pub(super) fn summary(&self) -> Markup {
        html! { div.summary data-summary=(self.name) { (PreEscaped(&self.summary)) } }
    }

    /// The table, whose caption says what its rows are.
    pub(super) fn table(&self, caption: &str, columns: &[Column]) -> Markup {
        // Where rows are shown as cards, browsers forget that this is a table; the roles remind them.
        let is_words = !columns.iter().any(|column| column.is_number());
        html! {
            table role="table" .words[is_words] {
                caption.unseen { (caption) }
                thead role="rowgroup" {
                    tr role="row" {
                        @for column in columns {
                            th role="columnheader" scope="col" .number[column.is_number()] { (column.name()) }
                        }
                    }
                }
                tbody role="rowgroup" data-rows=(self.name) {
                    @for row in &self.rows { (PreEscaped(&row.html)) }
                }
            }
        }
    }

    /// What is different from what it was; everything, if it was not there.
    pub(super) fn change<'a>(&'a self, before: Option<&Self>) -> Option<Change<'a>> {
        let known: HashMap<&str, &str> =
            before.iter().flat_map(|b| &b.rows).map(|row| (&*row.key, &*row.html)).collect();
        let differs = |row: &&Row| known.get(&*row.key) != Some(&&*row.html);
        let change = Change {
            summary: Some(&*self.summary).filter(|summary| before.is_none_or(|b| b.summary != *summary)),
            order: before
                .is_none_or(|b| !b.rows.iter().map(|row| &row.key).eq(self.rows.iter().map(|row| &row.key)))
                .then(|| self.rows.iter().map(|row| &*row.key).collect()),
            rows: self.rows.iter().filter(differs).map(|row| (&*row.key, &*row.html)).collect(),
        };
        let is_any = change.summary.is_some() || change.order.is_some() || !change.rows.is_empty();
        is_any.then_some(change)
    }
}

impl Row {
    /// A row of a table.
    pub(super) fn new(key: impl Into<String>, cells: &Markup) -> Self {
        Self::of_kind(key.into(), "", cells)
    }

    /// The only row of a table that has none.
    pub(super) fn instead(columns: &[Column], what: &Markup) -> Self {
        let cells = html! { td role="cell" colspan=(columns.len()) { (what) } };
        Self::of_kind("nothing".to_owned(), "empty", &cells)
    }

    /// A row below another, as wide as the table.
    pub(super) fn below(key: String, columns: &[Column], what: &Markup) -> Self {
        let cells = html! { td role="cell" colspan=(columns.len()) { (what) } };
        Self::of_kind(key, "below", &cells)
    }

    fn of_kind(key: String, kind: &str, cells: &Markup) -> Self {
        let row = html! { tr role="row" data-key=(key) class=[Some(kind).filter(|kind| !kind.is_empty())] { (cells) } };
        Self { html: row.into_string(), key }
    }
}

impl Column {
    /// What stands above it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Words(name) | Self::Numbers(name) => name,
        }
    }

    fn is_number(self) -> bool {
        matches!(self, Self::Numbers(_))
    }
}

/// The cells of a row, each with the name of its column, which stands before it on a card.
pub(super) fn cells<const N: usize>(columns: &[Column; N], contents: [Markup; N]) -> Markup {
    html! {
        @for (column, content) in columns.iter().zip(contents) {
            td role="cell" data-label=(column.name()) .number[column.is_number()] { (content) }
        }
    }
}

/// How much of something is used that has a bound.
pub(super) fn share(used: usize, most: usize, of: &str) -> Markup {
    html! {
        data value=(used) { (used) } " of " (most) " "
        meter min="0" max=(most.max(1)) high=(most - most / 10) value=(used)
            aria-label=(format!("{of}: {used} of {most}")) {}
    }
}

/// A state, by a word and a colour.
pub(super) fn state(kind: &str, word: &str) -> Markup {
    html! { span class={ "state " (kind) } { (word) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(rows: &[(&str, &str)]) -> Section {
        let row = |(key, text): &(&str, &str)| Row::new(*key, &html! { td { (text) } });
        Section::new("sessions", html! { "all" }, rows.iter().map(row).collect())
    }

    fn told(new: &Section, old: Option<&Section>) -> serde_json::Value {
        serde_json::json!(new.change(old))
    }

    #[test]
    fn only_what_has_changed_is_told() {
        let before = section(&[("1", "a"), ("2", "b")]);
        let first = told(&before, None);
        assert_eq!((&first["summary"], &first["order"]), (&"all".into(), &serde_json::json!(["1", "2"])));
        assert_eq!(first["rows"].as_object().unwrap().len(), 2);
        assert!(before.change(Some(&before)).is_none());
        let changed = told(&section(&[("1", "a"), ("2", "c")]), Some(&before));
        assert_eq!((&changed["summary"], &changed["order"]), (&().into(), &().into()));
        assert!(
            changed["rows"]["2"].as_str().unwrap().contains("<td>c</td>") && changed["rows"]["1"].is_null()
        );
        let gone = told(&section(&[("2", "b")]), Some(&before));
        assert_eq!(gone, serde_json::json!({ "order": ["2"], "rows": {} }));
    }

    #[test]
    fn what_others_have_written_is_text() {
        let row = Row::new(
            "a\"><script>",
            &cells(&[Column::Words("x")], [html! { ("<script>alert(1)</script>") }]),
        );
        assert!(!row.html.contains("<script>"), "{}", row.html);
    }
}
