//! The mistakes that are likely on a command line, and what whoever makes them may have meant.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, Error, FromArgMatches};

use super::arguments::Cli;

/// Reads the command line.
///
/// # Errors
/// With what is to be printed instead of doing anything: help that was asked for, or what is wrong and what to do.
pub(super) fn parse(words: impl Iterator<Item = OsString>) -> Result<Cli, Error> {
    let words: Vec<OsString> = words.collect();
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(&words).map_err(|error| advise(error, &words))?;
    if let Some(error) = too_early(&mut command, &matches) {
        return Err(error);
    }
    Cli::from_arg_matches(&matches)
}

/// A server that is named where none is taken: most likely it is to be served.
fn advise(mut error: Error, words: &[OsString]) -> Error {
    let (kind, serves) = match error.kind() {
        ErrorKind::UnknownArgument if words.get(1).is_some_and(|word| word == "serve") => {
            (ContextKind::InvalidArg, "lockgate serve")
        }
        ErrorKind::InvalidSubcommand if error.get(ContextKind::SuggestedSubcommand).is_none() => {
            (ContextKind::InvalidSubcommand, "lockgate")
        }
        _ => return error,
    };
    let Some(ContextValue::String(stray)) = error.get(kind) else { return error };
    let Some(place) = words.iter().position(|word| word.to_str() == Some(stray)) else { return error };
    if stray.starts_with('-') {
        return error;
    }
    let rest = words[place..].iter().map(|word| word.to_string_lossy());
    let meant = rest.collect::<Vec<_>>().join(" ");
    let tips = [
        format!(
            "to serve a command, put it on the allowlist: {serves} --allow {}",
            shell_words::quote(&meant)
        ),
        "servers with a name are in the settings, and all of them are served: lockgate check".to_owned(),
    ];
    let tips = tips.into_iter().map(Into::into).collect();
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    error
}

/// Settings in front of a subcommand, which would not see them.
fn too_early(command: &mut Command, matches: &ArgMatches) -> Option<Error> {
    let name = matches.subcommand_name()?;
    let given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let is_early = |option: &&Arg| {
        let id = option.get_id();
        !option.is_global_set() && matches.ids().any(|given| given == id) && given(id.as_str())
    };
    let long = command.get_arguments().find(is_early)?.get_long()?.to_owned();
    let reason = format!("'--{long}' has to come after the subcommand: lockgate {name} --{long} …");
    Some(command.error(ErrorKind::ArgumentConflict, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(line: &str) -> String {
        let words = shell_words::split(line).unwrap();
        parse(words.into_iter().map(OsString::from)).unwrap_err().to_string()
    }

    #[test]
    fn likely_mistakes_are_told_with_what_was_meant() {
        for (line, expected) in [
            (
                "lockgate serve foo",
                "tip: to serve a command, put it on the allowlist: lockgate serve --allow foo",
            ),
            ("lockgate npx -y some-server", "lockgate --allow 'npx -y some-server'"),
            ("lockgate chekc", "a similar subcommand exists: 'check'"),
            ("lockgate --config a.toml check", "lockgate check --config …"),
            ("lockgate serve --alow x", "'--allow'"),
            ("lockgate completions", "<SHELL>"),
            ("lockgate completions basch", "bash"),
        ] {
            let told = mistake(line);
            assert!(told.contains(expected), "{line}: {told}");
        }
        assert!(!mistake("lockgate serve --foo").contains("allowlist"));
    }

    #[test]
    fn colours_can_be_chosen_before_and_after_a_subcommand() {
        for line in ["lockgate --color never check", "lockgate check --color never"] {
            let words = line.split(' ').map(OsString::from);
            assert_eq!(parse(words).unwrap().color, clap::ColorChoice::Never);
        }
    }
}
