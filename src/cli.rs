//! The command line.

mod arguments;
mod check;
mod colour;
mod completions;
mod conceal;
mod doctor;
mod harden;
mod man;
mod mistake;
mod node;
mod prefetch;
mod print;
mod progress;
mod secret;
mod serve;
mod top;
mod url;

use std::io;
use std::process::ExitCode;

use self::arguments::{Command, Manner, SettingsArgs};
use self::print::Unprinted;

/// Usage and settings that cannot be used.
const EXIT_UNUSABLE: u8 = 2;
/// Nobody reads what is printed: what a shell says of a program that SIGPIPE (13) has ended.
const EXIT_UNREAD: u8 = 128 + 13;

/// Runs what the command line asks for.
pub fn run() -> ExitCode {
    // Before anything else: it may start this program afresh.
    let secrets = match conceal::take_secrets() {
        Ok(secrets) => secrets,
        Err(error) => return failed(&error),
    };
    let cli = match mistake::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(answer) => answer.exit(),
    };
    colour::choose(cli.color);
    let outcome = match cli.command {
        None => serve::run(&cli.settings, secrets),
        Some(Command::Serve(args)) => serve::run(&args, secrets),
        Some(Command::Check { json, settings }) => check::run(&settings, json, &secrets),
        Some(Command::Url { command, base, json, settings }) => {
            url::run(&settings, json, &command, base.as_deref())
        }
        Some(Command::Prefetch { servers, manner, settings }) => prefetch::run(&settings, manner, &servers),
        Some(Command::Doctor { manner, no_servers, settings }) => doctor::run(&settings, manner, !no_servers),
        Some(Command::Top(args)) => top::run(&args, &secrets),
        Some(Command::Secret { json }) => secret::run(json),
        Some(Command::Completions { shell }) => completions::run(shell),
        Some(Command::Man { dir }) => man::run(dir.as_deref()),
        Some(Command::Demo) => be_demo(),
    };
    outcome.unwrap_or_else(|error| failed(&error))
}

fn be_demo() -> anyhow::Result<ExitCode> {
    match crate::demo::run() {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Unprinted::Unread.into()),
        Err(error) => Err(error.into()),
    }
}

/// Says what is wrong, to whoever is still there.
fn failed(error: &anyhow::Error) -> ExitCode {
    if let Some(Unprinted::Unread) = error.downcast_ref() {
        return ExitCode::from(EXIT_UNREAD);
    }
    print::say(format_args!("lockgate: {error:#}"));
    ExitCode::from(EXIT_UNUSABLE)
}
