//! `lockgate man`.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::arguments::Cli;
use super::print::{print_bytes, say};

/// What the arguments do not tell: variables, files, signals and statuses.
const SECTIONS: &str = include_str!("man/sections.roff");

pub(super) fn run(directory: Option<&Path>) -> anyhow::Result<ExitCode> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let page = whole(&command)?;
    match directory {
        None => print_bytes(&page)?,
        Some(directory) => {
            let written = write_pages(&command, &page, directory);
            written.with_context(|| {
                format!(
                    "the pages cannot be written to {}; give a directory that is yours",
                    directory.display()
                )
            })?;
            say(format_args!("The pages are in {}.", directory.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The page of the program, and one for each command.
fn write_pages(command: &Command, page: &[u8], directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    for command in command.get_subcommands() {
        Man::new(command.clone()).generate_to(directory)?;
    }
    std::fs::write(directory.join("lockgate.1"), page)
}

/// One page that tells everything.
fn whole(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    page.write_all(b".SH COMMANDS\nWhat reads settings takes the options above as well.\n")?;
    for part in command.get_subcommands() {
        writeln!(page, ".SS {}", part.get_name())?;
        page.write_all(&own_part(command, part)?)?;
    }
    page.write_all(SECTIONS.as_bytes())?;
    man.render_version_section(&mut page)?;
    Ok(page)
}

/// What one command has beyond the options of all, without headings.
fn own_part(all: &Command, part: &Command) -> io::Result<Vec<u8>> {
    let is_common = |id: &str| all.get_arguments().any(|argument| argument.get_id() == id);
    let part = part.clone().mut_args(|argument| {
        let common = is_common(argument.get_id().as_str());
        if common { argument.hide(true) } else { argument }
    });
    let man = Man::new(part);
    let mut text = Vec::new();
    man.render_synopsis_section(&mut text)?;
    text.extend_from_slice(b".PP\n");
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    Ok(lines.filter(|line| !line.starts_with(b".SH ")).flatten().copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::conceal;

    #[test]
    fn every_variable_of_the_command_line_is_in_the_manual() {
        let command = Cli::command();
        let named = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str());
        for name in named.chain(conceal::NAMES.into_iter().flatten().copied()) {
            assert!(SECTIONS.contains(name), "{name} is not in the manual");
        }
    }
}
