//! `lockgate check`.

use std::process::ExitCode;

use super::SettingsArgs;
use crate::access::{Gate, Machine, Secrets};
use crate::catalog::Catalog;

pub(super) fn run(args: &SettingsArgs, secrets: Secrets<'_>) -> anyhow::Result<ExitCode> {
    let settings = args.load()?;
    Catalog::load(&settings)?;
    Gate::new(&settings, secrets, settings.listen.address, &Machine::default())
        .map_err(anyhow::Error::msg)?;
    println!("{}", toml::to_string(&settings.masked())?);
    eprintln!("These settings are valid.");
    Ok(ExitCode::SUCCESS)
}
