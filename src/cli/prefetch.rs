//! `lockgate prefetch`.

use std::process::ExitCode;

use super::SettingsArgs;
use crate::gateway::{Fetched, Prefetch};

pub(super) fn run(args: &SettingsArgs, servers: &[String]) -> anyhow::Result<ExitCode> {
    let settings = args.load()?;
    crate::telemetry::start(&std::env::var("LOG_LEVEL").unwrap_or_else(|_| "warn".into()))
        .map_err(anyhow::Error::msg)?;
    super::harden::harden();
    let prefetch = Prefetch::build(&settings, servers)?;
    let mut failed = false;
    let tell = |Fetched { server, outcome, took }| match outcome {
        Ok(amount) => {
            let (mib, entries) = (amount.bytes >> 20, amount.entries);
            println!("{server}: {mib} MiB, {entries} files and directories, in {:.1} s", took.as_secs_f32());
        }
        Err(error) => {
            failed = true;
            eprintln!("lockgate: {server}: {error}");
        }
    };
    actix_web::rt::System::new().block_on(prefetch.run(tell));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
