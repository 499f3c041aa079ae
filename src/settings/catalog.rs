//! `[servers.*]`: the allowlist.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One allowlisted stdio command.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Server {
    /// The command as clients name it, and as it is run: split once by shell quoting rules, without a shell.
    pub run: String,
    /// Environment of every session of this server.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// If present, the only names a client may set; it then overrules the blocklist.
    pub env_allow: Option<Vec<String>>,
    /// Which protocol era the command speaks.
    #[serde(default)]
    pub era: ServerEra,
    /// Live sessions of this server, if fewer than `limits.sessions_per_server`.
    pub sessions: Option<usize>,
}

/// Which protocol era a server speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerEra {
    /// Found out when it first matters.
    #[default]
    Auto,
    /// `initialize` first; up to 2025-11-25.
    Handshake,
    /// No handshake; from 2026-07-28.
    Stateless,
}

impl Server {
    /// An entry for this command with nothing else set.
    pub fn of(run: &str) -> Self {
        Self {
            run: run.to_owned(),
            env: BTreeMap::new(),
            env_allow: None,
            era: ServerEra::Auto,
            sessions: None,
        }
    }
}
