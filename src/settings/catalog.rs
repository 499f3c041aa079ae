//! `[servers.*]`: the allowlist.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::offer::{self, Selection};
use super::remote::{Auth, Place, RemoteTransport, check_header, parse_url};
use crate::mcp::Era;

/// One allowlisted server: a stdio command, or a remote endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Server {
    /// The command as clients name it, and as it is run: split once by shell quoting rules, without a shell.
    pub run: Option<String>,
    /// Where a remote server takes requests.
    pub url: Option<String>,
    /// How a remote server is spoken to.
    #[serde(default)]
    pub transport: RemoteTransport,
    /// Headers that a remote server gets; `${NAME}` is the session's variable of this name.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Parameters that the query of a remote server's URL gets; `${NAME}` as in `headers`.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// What a remote server is given to know who asks.
    pub auth: Option<Auth>,
    /// The same for calls of these tools; `*` in a name stands for any text.
    #[serde(default)]
    pub tool_auth: BTreeMap<String, Auth>,
    /// Whether a remote server may have a private or loopback address.
    #[serde(default)]
    pub allow_private: bool,
    /// How long a request of a client may take, instead of `timeouts.request`.
    #[serde(default, with = "humantime_serde")]
    pub timeout: Option<Duration>,
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

impl ServerEra {
    /// The era; `None` if it is to be found out.
    pub fn known(self) -> Option<Era> {
        match self {
            Self::Auto => None,
            Self::Handshake => Some(Era::Handshake),
            Self::Stateless => Some(Era::Stateless),
        }
    }
}

/// Why a server cannot be used: the key and the reason.
type Fault = (&'static str, String);

impl Server {
    /// An entry for this command with nothing else set.
    pub fn of(run: &str) -> Self {
        Self { run: Some(run.to_owned()), ..Self::default() }
    }

    /// What it is: the command or the URL.
    pub fn target(&self) -> &str {
        self.run.as_deref().or(self.url.as_deref()).unwrap_or_default()
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(("timeout", "must be longer than zero".into()));
        }
        offer::check([("tools", &self.tools), ("resources", &self.resources), ("prompts", &self.prompts)])?;
        match (&self.run, &self.url) {
            (Some(_), None) => self.check_command(),
            (None, Some(url)) => self.check_remote(url),
            (None, None) => {
                Err(("run", "is missing; give a command, or the `url` of a remote server".into()))
            }
            (Some(_), Some(_)) => {
                Err(("url", "stands beside `run`; a server is either a command or remote".into()))
            }
        }
    }

    fn check_command(&self) -> Result<(), Fault> {
        let remote = [
            ("transport", self.transport != RemoteTransport::Auto),
            ("headers", !self.headers.is_empty()),
            ("query", !self.query.is_empty()),
            ("auth", self.auth.is_some()),
            ("tool_auth", !self.tool_auth.is_empty()),
            ("allow_private", self.allow_private),
        ];
        if let Some((key, _)) = remote.into_iter().find(|(_, given)| *given) {
            return Err((key, "is for remote servers, which have a `url`; a command has `env`".into()));
        }
        for (key, paths) in [("readable", &self.readable), ("writable", &self.writable)] {
            if let Some(path) = paths.iter().find(|path| !path.is_absolute()) {
                return Err((key, format!("holds {path:?}; give absolute paths")));
            }
        }
        Ok(())
    }

    fn check_remote(&self, url: &str) -> Result<(), Fault> {
        let local = [
            ("docker", self.docker),
            ("prefetch", self.prefetch),
            ("readable", !self.readable.is_empty()),
            ("warm", self.warm > 0),
            ("writable", !self.writable.is_empty()),
        ];
        if let Some((key, _)) = local.into_iter().find(|(_, given)| *given) {
            return Err((key, "is for commands; leave it out beside `url`".into()));
        }
        parse_url(url).map_err(|reason| ("url", reason))?;
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in &self.headers {
            check_header(name, value).map_err(|reason| ("headers", reason))?;
            let name = name.to_ascii_lowercase();
            if seen.contains(&name) {
                return Err(("headers", format!("holds {name:?} twice; names are one in any case")));
            }
            seen.push(name);
        }
        if self.query.contains_key("") {
            return Err(("query", "holds a parameter without a name; give it one".into()));
        }
        self.auth.iter().try_for_each(|auth| self.check_auth(auth)).map_err(|reason| ("auth", reason))?;
        self.tool_auth.iter().try_for_each(|(tool, auth)| {
            self.check_auth(auth).map_err(|reason| ("tool_auth", format!("for {tool:?} {reason}")))
        })
    }

    /// Whether a credential says all that it must, and nothing else of this server stands where it goes.
    pub(super) fn check_auth(&self, auth: &Auth) -> Result<(), String> {
        auth.check()?;
        let in_url = || self.url.as_deref().and_then(|url| parse_url(url).ok());
        let (name, key) = match auth.place() {
            Place::Header(name) => {
                let taken = self.headers.keys().any(|own| own.eq_ignore_ascii_case(&name));
                (name, taken.then_some("headers"))
            }
            Place::Query(name) => {
                let in_url = in_url().is_some_and(|url| url.query_pairs().any(|(own, _)| own == name));
                let key = self.query.contains_key(&name).then_some("query").or(in_url.then_some("url"));
                (name, key)
            }
        };
        key.map_or(Ok(()), |key| {
            Err(format!("fills {name:?}, which `{key}` of the server sets, too; leave out one of the two"))
        })
    }
}
