//! `[servers.*]`: the allowlist.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One allowlisted stdio command.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Server {
    /// The command as clients name it, and as it is run: split once by shell quoting rules, without a shell.
    pub run: String,
    /// Environment of every session of this server.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// If present, the only names a client may set; it then overrules the blocklist.
    pub env_allow: Option<Vec<String>>,
    /// Live sessions of this server, if fewer than `limits.sessions_per_server`.
    pub sessions: Option<usize>,
}

impl Server {
    /// An entry for this command with nothing else set.
    pub fn of(run: &str) -> Self {
        Self { run: run.to_owned(), env: BTreeMap::new(), env_allow: None, sessions: None }
    }
}
