//! What people see on a terminal, and what pipes get instead.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::gateway::{lockgate, peer};
use crate::prefetch::Runner;

const ESCAPE: char = '\u{1b}';

/// Which of a program's outputs a terminal shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Both,
    Errors,
}

/// Runs a command on a terminal: its status, what the terminal was given, and what went elsewhere.
fn on_a_terminal(mut command: Command, seen: Seen) -> (i32, String, String) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    let theirs = File::options().read(true).write(true).open(name).unwrap();
    command.stdin(Stdio::null()).stderr(theirs.try_clone().unwrap());
    // Nothing of it may stay open here, or it would never end.
    command.stdout(match seen {
        Seen::Both => Stdio::from(theirs),
        Seen::Errors => {
            drop(theirs);
            Stdio::piped()
        }
    });
    let child = command.spawn().unwrap();
    drop(command);
    let mut terminal = File::from(ours);
    let reading = std::thread::spawn(move || {
        let (mut shown, mut bytes) = (Vec::new(), [0; 4096]);
        // The end of a terminal that nobody has open any more is an error.
        while let Ok(count @ 1..) = terminal.read(&mut bytes) {
            shown.extend_from_slice(&bytes[..count]);
        }
        String::from_utf8(shown).unwrap()
    });
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), reading.join().unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn with(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = lockgate();
    command.args(arguments).env("TERM", "xterm").envs(variables.iter().copied());
    command
}

#[test]
fn colours_are_for_terminals_and_for_who_wants_them() {
    for command in [&["check"][..], &["url", "demo"], &["doctor", "--no-servers"]] {
        for (variables, flag, coloured) in [
            (&[][..], None, true),
            (&[("NO_COLOR", "1")], None, false),
            (&[("TERM", "dumb")], None, false),
            (&[], Some("never"), false),
            (&[("NO_COLOR", "1")], Some("always"), true),
        ] {
            let mut words = command.to_vec();
            words.extend(flag.iter().flat_map(|flag| ["--color", flag]));
            let (code, shown, _) = on_a_terminal(with(&words, variables), Seen::Both);
            assert_eq!(code, 0, "{words:?}: {shown}");
            assert_eq!(shown.contains(ESCAPE), coloured, "{words:?} {variables:?}: {shown}");
        }
        for (variables, coloured) in [(&[][..], false), (&[("CLICOLOR_FORCE", "1")], true)] {
            let output = with(command, variables).output().unwrap();
            assert!(output.status.success());
            assert_eq!(output.stdout.contains(&(ESCAPE as u8)), coloured, "{command:?} {variables:?}");
            assert!(!output.stderr.contains(&(ESCAPE as u8)) || coloured);
        }
    }
}

#[test]
fn a_document_has_no_colours_whatever_is_asked_for() {
    let commands = [&["check"][..], &["url", "demo"], &["secret"], &["doctor", "--no-servers"]];
    for command in commands {
        let words = [command, &["--json", "--color", "always"]].concat();
        let (code, shown, _) = on_a_terminal(with(&words, &[]), Seen::Both);
        assert_eq!(code, 0, "{shown}");
        assert!(serde_json::from_str::<serde_json::Value>(&shown).is_ok(), "{words:?}: {shown}");
    }
}

/// Two servers, of which one fails.
fn two_servers() -> (tempfile::TempDir, String) {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("lockgate.toml");
    let settings =
        format!("[servers.bad]\nrun = \"{0} --exit 3\"\n[servers.good]\nrun = \"lockgate demo\"\n", peer());
    std::fs::write(&file, settings).unwrap();
    (place, file.to_str().unwrap().to_owned())
}

/// The lines that a terminal shows in the end.
fn left(shown: &str) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    let mut rest = shown.replace("\r\n", "\n");
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("\u{1b}[") {
            let end = after.find(|c: char| c.is_ascii_alphabetic()).unwrap();
            let (parameter, after) = after.split_at(end);
            match &after[..1] {
                "A" => {
                    let up: usize = parameter.parse().unwrap();
                    assert!(lines.last().unwrap().is_empty() && lines.len() > up, "{shown}");
                    lines.truncate(lines.len() - up);
                }
                "J" => *lines.last_mut().unwrap() = String::new(),
                "m" => {}
                other => panic!("{other}: {shown}"),
            }
            rest = after[1..].to_owned();
            continue;
        }
        let first = rest.remove(0);
        match first {
            '\n' => lines.push(String::new()),
            '\r' => {}
            _ => lines.last_mut().unwrap().push(first),
        }
    }
    lines
}

#[test]
fn on_a_terminal_each_server_has_a_line_that_changes_in_place() {
    let (_place, path) = two_servers();
    let doctor = ["doctor", "--config", &path];
    let (code, shown, report) = on_a_terminal(with(&doctor, &[("NO_COLOR", "1")]), Seen::Errors);
    assert_eq!(code, 1);
    assert!(
        report.contains("FAILED") && report.contains("answered after") && !report.contains(ESCAPE),
        "{report}"
    );
    for state in
        ["bad           waiting", "good          waiting", "bad           starting", "good          starting"]
    {
        assert!(shown.contains(state), "{state}: {shown}");
    }
    let last = left(&shown);
    assert_eq!(last.len(), 3, "{last:?}");
    assert_eq!(last[0], "  bad           failed");
    assert!(last[1].starts_with("  good          answered in "), "{last:?}");
    assert!(!shown.contains("[3"), "no colour: {shown}");
    // Where the report comes to the same terminal, it takes the place of the lines.
    let (_, shown, _) = on_a_terminal(with(&doctor, &[]), Seen::Both);
    let last = left(&shown).join("\n");
    assert!(shown.contains("starting") && !last.contains("starting") && !last.contains("waiting"), "{last}");
    assert!(
        last.contains("bad           FAILED") && last.contains("1 of 2 servers cannot be used"),
        "{last}"
    );
}

#[test]
fn elsewhere_there_are_plain_lines_and_for_machines_and_the_quiet_none() {
    let (_place, path) = two_servers();
    let doctor = ["doctor", "--config", &path];
    let output = with(&doctor, &[]).output().unwrap();
    assert!(output.stderr.is_empty() && !output.stdout.contains(&(ESCAPE as u8)));
    for flag in ["--json", "--quiet"] {
        let words = [&doctor[..], &[flag]].concat();
        let (code, shown, result) = on_a_terminal(with(&words, &[]), Seen::Errors);
        assert_eq!((code, shown.as_str()), (1, ""), "{result}");
    }
    let words = [&doctor[..], &["--quiet"]].concat();
    let report = String::from_utf8(with(&words, &[]).output().unwrap().stdout).unwrap();
    assert!(report.starts_with("  bad           FAILED") && !report.contains("good"), "{report}");
    let (_, shown, _) = on_a_terminal(with(&doctor, &[("TERM", "dumb")]), Seen::Errors);
    assert_eq!(shown, "");
}

#[test]
fn what_the_log_says_of_a_fetch_stays_above_the_lines() {
    let runner = Runner::new();
    runner.tell("release");
    let prefetch = |arguments: &[&str]| {
        let file = runner.path("lockgate.toml");
        std::fs::write(&file, runner.settings()).unwrap();
        let mut command = with(&["prefetch", "--config", file.to_str().unwrap()], &[]);
        command.args(arguments).envs(runner.variables()).env("LOG_LEVEL", "info");
        command
    };
    let (code, shown, result) = on_a_terminal(prefetch(&["--color", "never"]), Seen::Errors);
    assert_eq!(code, 0, "{shown}");
    assert!(result.starts_with("pkg: 22 B, "), "{result}");
    // What the log sets apart it sets in a fainter colour.
    let faint = "\u{1b}[2m";
    assert!(!shown.contains(faint), "{shown}");
    assert!(shown.contains("pkg           waiting") && shown.contains("pkg           fetching"), "{shown}");
    let last = left(&shown);
    assert!(last[last.len() - 2].starts_with("  pkg           fetched in "), "{last:?}");
    for told in ["fetching packages", "packages fetched"] {
        assert!(last[..last.len() - 2].iter().any(|line| line.contains(told)), "{told}: {last:?}");
    }
    runner.tell("broken");
    let (code, shown, _) = on_a_terminal(prefetch(&[]), Seen::Errors);
    assert!(shown.contains(&format!("{faint}20")), "{shown}");
    let last = left(&shown);
    assert_eq!((code, last[last.len() - 2].as_str()), (1, "  pkg           failed"));
    assert!(last.iter().any(|line| line.starts_with("lockgate: pkg: the command")), "{last:?}");
    let output = prefetch(&["--json"]).output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &document["ok"]), (Some(1), &false.into()));
    assert!(document["servers"][0]["error"].as_str().unwrap().contains("no such package"), "{document}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("lockgate: pkg: "));
}
