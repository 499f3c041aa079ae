//! What of the sandbox is in force on this host, item by item, for people and for machines.

use std::fmt;

use serde::Serialize;

use crate::settings::Profile;

/// What is in force.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was asked for.
    pub profile: Profile,
    /// Each part of the sandbox.
    pub items: Vec<Item>,
}

/// One part of the sandbox.
#[derive(Clone, Debug, Serialize)]
pub struct Item {
    /// Its name in the report.
    pub name: &'static str,
    /// What it does for the operator.
    pub purpose: &'static str,
    /// Whether it does.
    pub state: State,
}

/// Whether a part of the sandbox is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is; with its form.
    InForce(String),
    /// The host cannot do it; why, and what would help.
    Missing(String),
    /// The settings do not ask for it.
    NotWanted,
}

impl Report {
    /// The items that were asked for and cannot be had.
    pub fn missing(&self) -> impl Iterator<Item = (&Item, &str)> {
        self.items.iter().filter_map(|item| match &item.state {
            State::Missing(reason) => Some((item, &**reason)),
            _ => None,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Item { name, purpose, state } in &self.items {
            let (mark, text) = match state {
                State::InForce(form) => ("ok", form.as_str()),
                State::Missing(reason) => ("MISSING", reason.as_str()),
                State::NotWanted => ("off", "not asked for by the settings"),
            };
            writeln!(f, "  {name:<12} {mark:<8} {purpose}: {text}")?;
        }
        Ok(())
    }
}
