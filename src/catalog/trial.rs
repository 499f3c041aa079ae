//! What the operator starts a server with, to see whether it can be started.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Backing, Catalog, Entry, Means, Refused};
use crate::access::Operator;
use crate::ids::{ServerName, TenantId};
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
    /// The tenants whose credentials alone it gets, so that nobody in particular cannot use it.
    pub only_known_as: Vec<TenantId>,
}

impl Catalog {
    /// A trial of each server, by name.
    pub fn trials(&self, _operator: &Operator) -> Vec<Trial> {
        self.by_name().into_iter().map(|entry| entry.trial()).collect()
    }

    /// A trial of the server with this short name.
    pub fn trial(&self, _operator: &Operator, name: &str) -> Option<Trial> {
        let entry: &Arc<Entry> = self.entries.get(name)?;
        // A command may be what another server's path is.
        (entry.name.as_str() == name).then(|| entry.trial())
    }
}

impl Entry {
    fn trial(&self) -> Trial {
        let only_known_as = match &self.backing {
            Backing::Command(_) => Vec::new(),
            Backing::Remote(remote) => remote.only_known_as(),
        };
        Trial {
            server: self.name.clone(),
            era: self.era,
            means: self.means(None, BTreeMap::new(), &|_| None),
            only_known_as,
        }
    }
}
