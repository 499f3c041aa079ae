//! `[servers.*]`: the allowlist.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::offer::{self, Selection};

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
    /// Whether the command may be one that starts containers.
    #[serde(default)]
    pub docker: bool,
    /// Whether the packages of the command are fetched once, ahead of its sessions.
    #[serde(default)]
    pub prefetch: bool,
    /// Live sessions of this server, if fewer than `limits.sessions_per_server`.
    pub sessions: Option<usize>,
    /// Children that are started before a session wants them.
    #[serde(default)]
    pub warm: usize,
    /// Files and directories that its sessions may read, beside those that every session may.
    #[serde(default)]
    pub readable: Vec<PathBuf>,
    /// Files and directories that its sessions may write to. They are shared by all of them.
    #[serde(default)]
    pub writable: Vec<PathBuf>,
    /// The tools that are offered.
    #[serde(default, skip_serializing_if = "Selection::is_everything")]
    pub tools: Selection,
    /// The resources that are offered, and the templates of resources.
    #[serde(default, skip_serializing_if = "Selection::is_everything")]
    pub resources: Selection,
    /// The prompts that are offered.
    #[serde(default, skip_serializing_if = "Selection::is_everything")]
    pub prompts: Selection,
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
            docker: false,
            prefetch: false,
            sessions: None,
            warm: 0,
            readable: Vec::new(),
            writable: Vec::new(),
            tools: Selection::default(),
            resources: Selection::default(),
            prompts: Selection::default(),
        }
    }

    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        for (key, paths) in [("readable", &self.readable), ("writable", &self.writable)] {
            if let Some(path) = paths.iter().find(|path| !path.is_absolute()) {
                return Err((key, format!("holds {path:?}; give absolute paths")));
            }
        }
        offer::check([("tools", &self.tools), ("resources", &self.resources), ("prompts", &self.prompts)])
    }
}
