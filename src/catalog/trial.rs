//! What the operator starts a server with, to see whether it can be started.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Catalog, Entry, Means, Refused};
use crate::access::Operator;
use crate::ids::ServerName;
use crate::mcp::Era;

/// One server, as it would be started for nobody in particular.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Its short name.
    pub server: ServerName,
    /// The protocol era that it speaks; `None` if that is to be found out.
    pub era: Option<Era>,
    /// What it is started or reached with; or what it lacks of a client or tenant.
    pub means: Result<Means, Refused>,
}

impl Catalog {
    /// A trial of each server, by name.
    pub fn trials(&self, _operator: &Operator) -> Vec<Trial> {
        let mut entries: Vec<&Arc<Entry>> = self.entries.values().collect();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        entries.dedup_by(|one, other| one.name == other.name);
        let trial = |entry: &Arc<Entry>| Trial {
            server: entry.name.clone(),
            era: entry.era,
            means: entry.means(None, BTreeMap::new(), &|_| None),
        };
        entries.into_iter().map(trial).collect()
    }
}
