//! The command lines of Lockgate's own program: each is understood by it.

use std::process::Stdio;

use super::Faults;
use super::markdown::{Block, Page};
use crate::gateway::lockgate;

const SHELLS: [&str; 4] = ["sh", "bash", "shell", "console"];

/// The lines of a block for the shell, each with what it goes on with in the next; in the words of the shell.
pub(super) fn lines(block: &Block) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (number, line) in (block.line..).zip(block.text.lines()) {
        let (text, more) = line.strip_suffix('\\').map_or((line, false), |text| (text, true));
        match lines.last_mut().filter(|_| goes_on) {
            Some((_, whole)) => whole.push_str(text),
            None => lines.push((number, text.trim_start().trim_start_matches("$ ").to_owned())),
        }
        goes_on = more;
    }
    lines
}

/// The arguments of each time that a line runs `lockgate`, be it by cargo.
fn runs(line: &str) -> Result<Vec<Vec<String>>, String> {
    let words = match shell_words::split(line) {
        Ok(words) => words,
        Err(error) if line.starts_with("lockgate ") => {
            return Err(format!("the shell cannot read it: {error}"));
        }
        // The first line of something longer.
        Err(_) => return Ok(Vec::new()),
    };
    let ends = |word: &String| ["|", "||", "&", "&&", ";"].contains(&&**word);
    let mut found = Vec::new();
    for command in words.split(ends) {
        let is_before = |word: &&String| word.contains('=') || ["sudo", "exec", "env"].contains(&&***word);
        let command: Vec<&String> = command.iter().skip_while(is_before).collect();
        let redirected = |word: &&&String| !word.trim_start_matches('2').starts_with(['<', '>']);
        let command: Vec<String> = command.into_iter().take_while(|w| redirected(&w)).cloned().collect();
        let is_cargo = command.starts_with(&["cargo".into(), "run".into()]);
        match (command.first().map(String::as_str), command.iter().position(|word| word == "--")) {
            (Some("lockgate"), _) => found.push(command[1..].to_vec()),
            (Some("cargo"), Some(at)) if is_cargo => found.push(command[at + 1..].to_vec()),
            _ => {}
        }
    }
    Ok(found)
}

/// Whether the program understands these arguments. It gets no further than to its settings, which nobody could use.
fn understood(arguments: &[String]) -> Result<(), String> {
    let place = tempfile::tempdir().unwrap();
    let mut command = lockgate();
    command.args(arguments).current_dir(place.path()).stdin(Stdio::null()).env("LOCKGATE__NO_SUCH__KEY", "1");
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let got_there = output.status.code() == Some(2) && stderr.starts_with("lockgate: ");
    if output.status.success() || got_there { Ok(()) } else { Err(format!("is not understood: {stderr}")) }
}

#[test]
fn every_command_line_is_understood() {
    let mut faults = Faults::default();
    let mut count = 0;
    for page in Page::all() {
        for block in page.blocks().iter().filter(|block| SHELLS.contains(&&*block.language)) {
            for (number, line) in lines(block) {
                let runs = runs(&line).unwrap_or_else(|reason| {
                    faults.add(&page, number, reason);
                    Vec::new()
                });
                for arguments in runs {
                    count += 1;
                    understood(&arguments).unwrap_or_else(|reason| faults.add(&page, number, reason));
                }
            }
        }
    }
    faults.tell();
    assert!(count > 10, "only {count} were found");
}

#[test]
fn a_command_line_that_is_not_understood_is_found() {
    let arguments = |line: &str| runs(line).unwrap().concat();
    for good in ["lockgate --config a.toml  # why", "X='a b' sudo lockgate check | head -1", "cargo run"] {
        assert_eq!(understood(&arguments(good)), Ok(()), "{good}");
    }
    assert_eq!(arguments("cargo run -- url 'a b' > x && lockgate secret"), ["url", "a b", "secret"]);
    for bad in ["lockgate --confg a.toml", "lockgate url", "lockgate serve x", "lockgate --port http"] {
        understood(&arguments(bad)).expect_err(bad);
    }
    runs("lockgate url 'a").expect_err("an open quote");
}
