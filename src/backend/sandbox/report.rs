//! What of the sandbox is in force on this host, item by item, for people and for machines.

use serde::Serialize;

use crate::settings::{NetworkAccess, Profile};

/// What is in force.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was asked for.
    pub profile: Profile,
    /// What of the network was asked for.
    pub network: NetworkAccess,
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
    /// The host cannot do it.
    Missing(Lack),
    /// The settings do not ask for it.
    NotWanted,
}

/// Why a part cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lack {
    /// What stands in the way.
    pub reason: String,
    /// What the operator can do about it.
    pub remedy: String,
}

/// What is asked for by name and cannot be had: the setting, its value, and what is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Demand {
    pub(super) key: &'static str,
    pub(super) value: &'static str,
    pub(super) reasons: String,
}

/// The part that closes the services by which a cloud tells a machine about itself.
pub(super) const METADATA: &str = "metadata";
/// The part that takes the network away.
pub(super) const NETWORK: &str = "network";

impl Report {
    /// The items that were asked for and cannot be had.
    pub fn missing(&self) -> impl Iterator<Item = (&Item, &Lack)> {
        self.items.iter().filter_map(|item| match &item.state {
            State::Missing(lack) => Some((item, lack)),
            _ => None,
        })
    }

    /// What is in force, on one line.
    pub fn in_force(&self) -> String {
        let named = self.items.iter().filter_map(|item| match &item.state {
            State::InForce(form) => Some(format!("{} ({form})", item.name)),
            _ => None,
        });
        named.collect::<Vec<_>>().join(", ")
    }

    /// What forbids a start with these settings on this host.
    pub(super) fn unmet(&self) -> Option<Demand> {
        let lacks = |wanted: &dyn Fn(&Item) -> bool| {
            let lacks = self.missing().filter(|(item, _)| wanted(item));
            lacks.map(|(item, lack)| format!("{} ({})", item.name, lack.reason)).collect::<Vec<_>>()
        };
        let demand = |key, value, lacks: Vec<String>| {
            (!lacks.is_empty()).then(|| Demand { key, value, reasons: lacks.join("; ") })
        };
        match self.profile {
            // Where there is no cloud, nobody needs the right to keep sessions from its services.
            Profile::Strict => demand("profile", "strict", lacks(&|item| item.name != METADATA)),
            // The rest is wanted if it can be had; this is asked for by name.
            Profile::Off | Profile::Default => demand("network", "none", lacks(&|item| item.name == NETWORK)),
        }
    }
}
