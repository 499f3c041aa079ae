//! `lockgate completions`.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use super::arguments::Cli;
use super::print::print_bytes;

pub(super) fn run(shell: Shell) -> anyhow::Result<ExitCode> {
    // Into memory first: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "lockgate", &mut script);
    print_bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}
