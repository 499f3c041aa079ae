//! The allowlist, as the operator sees it.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::{Backing, Catalog, Entry};
use crate::access::Operator;
use crate::ids::ServerName;

/// One server of the allowlist.
#[derive(Clone, Debug, Serialize)]
pub struct Listing {
    /// Its short name, which is also the path segment of its URLs.
    #[serde(serialize_with = "as_text")]
    pub server: ServerName,
    /// What stands behind it.
    pub kind: Kind,
    /// How many sessions it may have at once.
    pub max_sessions: usize,
    /// How many children are to wait for a session.
    pub warm_wanted: usize,
    /// Whether its packages are fetched ahead.
    pub prefetch: bool,
}

/// What stands behind a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A child process for each session.
    Command,
    /// A server that is reached over the network.
    Remote,
}

impl Catalog {
    /// Every server, by name, for the operator.
    pub fn listings(&self, _operator: &Operator) -> Vec<Listing> {
        self.by_name().into_iter().map(|entry| entry.listing()).collect()
    }

    /// Every server once, by name.
    pub(super) fn by_name(&self) -> Vec<&Arc<Entry>> {
        let mut entries: Vec<&Arc<Entry>> = self.entries.values().collect();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        entries.dedup_by(|one, other| one.name == other.name);
        entries
    }
}

impl Entry {
    fn listing(&self) -> Listing {
        let (kind, warm_wanted, prefetch) = match &self.backing {
            Backing::Command(command) => (Kind::Command, command.warm, command.recipe.is_some()),
            Backing::Remote(_) => (Kind::Remote, 0, false),
        };
        Listing { server: self.name.clone(), kind, max_sessions: self.sessions, warm_wanted, prefetch }
    }
}

fn as_text<S: Serializer>(name: &ServerName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name.as_str())
}
