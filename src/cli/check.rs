//! `lockgate check`.

use std::process::ExitCode;

use serde::Serialize;

use super::SettingsArgs;
use super::colour::{GOOD, HEADING};
use super::conceal::Secrets;
use super::print::{print, print_json, say};
use crate::access::{Gate, Machine};
use crate::catalog::Catalog;
use crate::settings::Settings;

/// What is in effect.
#[derive(Debug, Serialize)]
struct Effective {
    version: &'static str,
    settings: Settings,
}

pub(super) fn run(args: &SettingsArgs, json: bool, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let settings = args.load()?;
    Catalog::load(&settings)?;
    Gate::new(&settings, secrets.given(), settings.listen.address, &Machine::default())
        .map_err(anyhow::Error::msg)?;
    secrets.open_store(&settings)?;
    let settings = settings.masked();
    if json {
        print_json(&Effective { version: env!("CARGO_PKG_VERSION"), settings })?;
        return Ok(ExitCode::SUCCESS);
    }
    print(headed(&toml::to_string(&settings)?))?;
    say(format_args!("{GOOD}These settings are valid.{GOOD:#}"));
    Ok(ExitCode::SUCCESS)
}

/// The names of tables stand out.
fn headed(text: &str) -> String {
    let line = |line: &str| match line.starts_with('[') {
        true => format!("{HEADING}{line}{HEADING:#}\n"),
        false => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}
