//! `lockgate check`.

use std::process::ExitCode;

use super::SettingsArgs;
use crate::access::{Gate, Machine, Secrets};
use crate::catalog::Catalog;

const MASK: &str = "(masked)";

pub(super) fn run(args: &SettingsArgs, secrets: Secrets<'_>) -> anyhow::Result<ExitCode> {
    let mut settings = args.load()?;
    Catalog::load(&settings)?;
    Gate::new(&settings, secrets, settings.listen.address, &Machine::default())
        .map_err(anyhow::Error::msg)?;
    for tenant in settings.tenants.values_mut() {
        tenant.env.values_mut().for_each(|value| MASK.clone_into(value));
        tenant.secrets.iter_mut().for_each(|secret| MASK.clone_into(secret));
    }
    for server in settings.servers.values_mut() {
        server.env.values_mut().for_each(|value| MASK.clone_into(value));
    }
    println!("{}", toml::to_string(&settings)?);
    eprintln!("These settings are valid.");
    Ok(ExitCode::SUCCESS)
}
