//! What the command line can say.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ColorChoice, Parser, Subcommand};
use clap_complete::Shell;

use crate::settings::{Flags, Platform, Settings};

/// A gateway that lets any MCP client on the network use MCP servers that only speak stdio.
///
/// Without a subcommand it serves. With no secret configured it makes its own, prints them, and serves on
/// loopback only.
#[derive(Debug, Parser)]
#[command(version)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
    /// When to print colours; `auto` is on a terminal, unless NO_COLOR or TERM=dumb forbid it or CLICOLOR_FORCE
    /// demands them
    #[arg(long, value_name = "WHEN", global = true, default_value = "auto", display_order = 100)]
    pub(super) color: ColorChoice,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve until SIGTERM or Ctrl-C; SIGHUP reads the settings again, unless this was started from a
    /// terminal (serving is also what happens without a subcommand)
    Serve(SettingsArgs),
    /// Say whether the settings are valid, and print the effective ones with secrets masked
    Check {
        /// Print one JSON document, for machines
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Print the URL of a server and ready-to-paste client snippets
    Url {
        /// The server's short name, or its command or URL exactly as in the allowlist
        command: String,
        /// What clients reach the gateway by, such as <https://gate.example.com>
        #[arg(long, value_name = "URL")]
        base: Option<String>,
        /// Print one JSON document, for machines
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Fetch the packages of servers with `prefetch = true` anew, so that their sessions find them
    Prefetch {
        /// Short names; all that have packages to fetch, if there is none
        servers: Vec<String>,
        #[command(flatten)]
        manner: Manner,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Say what the sandbox can do on this host, and whether each server starts and answers
    Doctor {
        #[command(flatten)]
        manner: Manner,
        /// Look at the servers, but start none
        #[arg(long)]
        no_servers: bool,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Show what a gateway is doing, as a table that keeps up; once and plain where there is no terminal
    Top(TopArgs),
    /// Print a new secret, and the line that a settings file holds of it
    Secret {
        /// Print one JSON document, for machines
        #[arg(long)]
        json: bool,
    },
    /// Be a small MCP server on stdin and stdout, so that there is something to serve
    Demo,
    /// Print what completes these commands in a shell, to be put where the shell looks for it
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, for `man -l -`; or write the pages of all commands
    Man {
        /// Write a page for each command to this directory, such as /usr/local/share/man/man1
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// Which gateway is looked at, and how. It is asked as its operator, with LOCKGATE_ADMIN_SECRET.
#[derive(Args, Clone, Debug)]
pub(super) struct TopArgs {
    /// Its admin listener, such as <http://127.0.0.1:8001>, which is what the settings say if this is left out
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// A file that holds the operator's secret, instead of LOCKGATE_ADMIN_SECRET
    #[arg(long, value_name = "FILE")]
    pub(super) secret_file: Option<PathBuf>,
    /// Print the table once, plain, and end
    #[arg(long)]
    pub(super) once: bool,
    /// Print one JSON document, for machines: all that there is to be seen
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) settings: SettingsArgs,
}

/// How results are told.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Print one JSON document, for machines
    #[arg(long)]
    pub(super) json: bool,
    /// Print what is wrong only
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// Where settings come from. Everything else is set in the file or in LOCKGATE__SECTION__KEY variables;
/// config/default.toml documents each key.
#[derive(Args, Clone, Debug)]
pub(super) struct SettingsArgs {
    /// The settings file
    #[arg(long, value_name = "FILE", env = "LOCKGATE_CONFIG")]
    config: Option<PathBuf>,
    /// A file of a desktop client, whose servers (`mcpServers`, JSON) come to those of the settings file
    #[arg(long, value_name = "FILE", env = "LOCKGATE_MCP_SERVERS")]
    mcp_servers: Option<PathBuf>,
    /// Where to listen, such as 127.0.0.1:8000
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The address to listen on, without the port
    #[arg(long)]
    host: Option<String>,
    /// The port to listen on; 0 takes a free one
    #[arg(long)]
    port: Option<u16>,
    /// A command to put on the allowlist; may be given several times
    #[arg(long, value_name = "COMMAND")]
    allow: Vec<String>,
}

impl SettingsArgs {
    pub(super) fn load(&self) -> anyhow::Result<Settings> {
        let flags = Flags {
            file: self.config.clone(),
            mcp_servers: self.mcp_servers.clone(),
            address: self.listen,
            host: self.host.clone(),
            port: self.port,
            allow: self.allow.clone(),
        };
        let variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
            .collect();
        Ok(Settings::load(&flags, &Platform { variables })?)
    }
}
