//! Which settings can change while the gateway runs.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Invalid, Limits, Settings};

impl Settings {
    /// What is in effect after a reload: who may come, what may be started, how often and how much, as it is
    /// wanted now; the rest as it was at the start.
    ///
    /// # Errors
    /// If the two do not go together.
    pub fn after_reload(&self, wanted: &Self) -> Result<Self, Invalid> {
        let limits = Limits {
            line: self.limits.line,
            starts: self.limits.starts,
            connections: self.limits.connections,
            connections_per_address: self.limits.connections_per_address,
            ..wanted.limits.clone()
        };
        let merged = Self {
            access: wanted.access.clone(),
            rate: wanted.rate.clone(),
            limits,
            servers: wanted.servers.clone(),
            tenants: wanted.tenants.clone(),
            ..self.clone()
        };
        merged.check().map_err(|(key, reason)| Invalid::Unmerged { key, reason })?;
        Ok(merged)
    }

    /// The keys in which two settings differ.
    pub fn differing(&self, other: &Self) -> Vec<String> {
        let (ours, theirs) = (leaves(self), leaves(other));
        let all = ours.iter().filter(|(key, value)| theirs.get(*key) != Some(value));
        let added = theirs.iter().filter(|(key, _)| !ours.contains_key(*key));
        all.chain(added).map(|(key, _)| key.clone()).collect()
    }
}

/// Every key with its section, and its value.
fn leaves(settings: &Settings) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    // Every setting has been written by `lockgate check`, so all can be.
    collect(serde_json::to_value(settings).unwrap_or_default(), String::new(), &mut found);
    found
}

fn collect(value: Value, path: String, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let path = if path.is_empty() { key } else { format!("{path}.{key}") };
                collect(member, path, found);
            }
        }
        leaf => drop(found.insert(path, leaf)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Flags, Platform};
    use super::*;

    #[test]
    fn what_cannot_change_is_kept_and_named() {
        let load = |variables: &[(&str, &str)]| {
            let variables = variables.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
            Settings::load(&Flags::default(), &Platform { variables }).unwrap()
        };
        let running = load(&[]);
        let wanted = load(&[
            ("LOCKGATE__RATE__BURST", "7"),
            ("LOCKGATE__ACCESS__HOSTS", "gate.example"),
            ("LOCKGATE__LIMITS__SESSIONS", "7"),
            ("LOCKGATE__LIMITS__STARTS", "7"),
            ("LOCKGATE__LISTEN__ADDRESS", "127.0.0.1:7"),
            ("LOCKGATE__TIMEOUTS__DRAIN", "7s"),
        ]);
        let after = running.after_reload(&wanted).unwrap();
        assert_eq!((after.rate.burst.get(), after.limits.sessions), (7, 7));
        assert_eq!(after.access.hosts, ["gate.example"]);
        assert_eq!(after.differing(&wanted), ["limits.starts", "listen.address", "timeouts.drain"]);
        assert!(running.differing(&running).is_empty());
    }
}
