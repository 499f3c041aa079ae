//! What the operator starts a server with, to see whether it can be started.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Catalog, Entry, LaunchPlan};
use crate::access::Operator;
use crate::ids::TenantId;

/// Whom a trial is for.
const NOBODY: &str = "operator";

impl Catalog {
    /// A plan for each server, by name, for nobody in particular.
    pub fn trials(&self, _operator: &Operator) -> Vec<LaunchPlan> {
        let mut entries: Vec<&Arc<Entry>> = self.entries.values().collect();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        entries.dedup_by(|one, other| one.name == other.name);
        let plan = |entry: &Arc<Entry>| LaunchPlan {
            server: entry.name.clone(),
            tenant: TenantId::new(NOBODY),
            entry: entry.clone(),
            overrides: BTreeMap::new(),
        };
        entries.into_iter().map(plan).collect()
    }
}
