//! The command line.

mod check;
mod conceal;
mod doctor;
mod harden;
mod prefetch;
mod serve;
mod url;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::access::Secret;
use crate::settings::{Flags, Platform, Settings};

/// A gateway that lets any MCP client on the network use MCP servers that only speak stdio.
///
/// Without a subcommand it serves. With no secret configured it makes one, prints it, and serves on
/// loopback only.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or Ctrl-C; SIGHUP reads the settings again, unless this was started from a
    /// terminal (serving is also what happens without a subcommand)
    Serve(SettingsArgs),
    /// Say whether the settings are valid, and print the effective ones with secrets masked
    Check(SettingsArgs),
    /// Print the URL of a server and ready-to-paste client snippets
    Url {
        /// The server's short name, or its command or URL exactly as in the allowlist
        command: String,
        /// What clients reach the gateway by, such as <https://gate.example.com>
        #[arg(long, value_name = "URL")]
        base: Option<String>,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Fetch the packages of servers with `prefetch = true` anew, so that their sessions find them
    Prefetch {
        /// Short names; all that have packages to fetch, if there is none
        servers: Vec<String>,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Say what the sandbox can do on this host, and whether each server starts and answers
    Doctor {
        /// Print one JSON document, for machines
        #[arg(long)]
        json: bool,
        /// Look at the servers, but start none
        #[arg(long)]
        no_servers: bool,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Print a new secret, and the line that a settings file holds of it
    Secret,
    /// Be a small MCP server on stdin and stdout, so that there is something to serve
    Demo,
}

/// Where settings come from. Everything else is set in the file or in LOCKGATE__SECTION__KEY variables;
/// config/default.toml documents each key.
#[derive(Args, Clone, Debug)]
struct SettingsArgs {
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

/// Usage and settings that cannot be used.
const EXIT_UNUSABLE: u8 = 2;

/// Runs what the command line asks for.
pub fn run() -> ExitCode {
    // Before anything else: it may start this program afresh.
    let secrets = match conceal::take_secrets() {
        Ok(secrets) => secrets,
        Err(error) => return unusable(&error),
    };
    let cli = Cli::parse();
    let outcome = match cli.command {
        None => serve::run(&cli.settings, secrets),
        Some(Command::Serve(args)) => serve::run(&args, secrets),
        Some(Command::Check(args)) => check::run(&args, secrets.given()),
        Some(Command::Url { command, base, settings }) => url::run(&settings, &command, base.as_deref()),
        Some(Command::Prefetch { servers, settings }) => prefetch::run(&settings, &servers),
        Some(Command::Doctor { json, no_servers, settings }) => doctor::run(&settings, json, !no_servers),
        Some(Command::Secret) => print_secret(),
        Some(Command::Demo) => crate::demo::run().map(|()| ExitCode::SUCCESS).map_err(Into::into),
    };
    outcome.unwrap_or_else(|error| unusable(&error))
}

fn print_secret() -> anyhow::Result<ExitCode> {
    let secret = Secret::draw()?;
    println!("secret   {}", secret.reveal());
    println!("setting  secrets = [\"{}\"]", secret.hash());
    println!(
        "\nGive the first to the client (Authorization: Bearer …), put the second in a [tenants.<name>] table."
    );
    Ok(ExitCode::SUCCESS)
}

fn unusable(error: &anyhow::Error) -> ExitCode {
    eprintln!("lockgate: {error:#}");
    ExitCode::from(EXIT_UNUSABLE)
}

impl SettingsArgs {
    fn load(&self) -> anyhow::Result<Settings> {
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
