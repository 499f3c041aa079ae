//! What the operator starts a server with, to see whether it can be started.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Catalog, Entry, Launch};
use crate::access::Operator;

impl Catalog {
    /// What starts each server, by name, for nobody in particular.
    pub fn trials(&self, _operator: &Operator) -> Vec<Launch> {
        let mut entries: Vec<&Arc<Entry>> = self.entries.values().collect();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        entries.dedup_by(|one, other| one.name == other.name);
        entries.into_iter().map(|entry| Launch::serving(entry, BTreeMap::new())).collect()
    }
}
