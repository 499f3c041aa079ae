//! The programs on the pages are run, against a gateway: what they print is what it says.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::commands::lines;
use super::markdown::{Block, Page};
use crate::clients::{stdout_of, tests};
use crate::gateway::{Gateway, SECRET, lockgate};

const TOOLS: &str = "echo add environment";
const TOLD: &str = "the secret is not known here";

/// The servers of the pages, each of which is the demo.
pub(super) fn gateway() -> Gateway {
    let program = lockgate().get_program().to_str().unwrap().to_owned();
    // A command can stand there once; with a space more it is another.
    let servers = [("demo", " "), ("context7", "  ")]
        .map(|(name, space)| format!("[servers.{name}]\nrun = \"{program}{space}demo\"\n"));
    let rate = "[rate]\nper_minute = 0\nopens_per_minute = 0\n";
    Gateway::start_bare(&format!("{rate}{}", servers.concat()), &[("LOCKGATE_SECRET", SECRET)])
}

/// A text of a page, for this gateway and with this secret.
pub(super) fn adapted(text: &str, gateway: &Gateway, secret: &str) -> String {
    let place = gateway.url("");
    let text = text.replace("https://gate.example.com", &place).replace("http://127.0.0.1:8000", &place);
    text.replace("<secret>", secret)
}

/// What runs the programs of this language; `None` if nothing does.
fn runner(language: &str, text: &str, place: &Path) -> Option<Command> {
    let (mut command, name) = match language {
        "sh" if text.starts_with("curl ") => (Command::new("sh"), "program.sh"),
        "ts" => (Command::new("node"), "program.mjs"),
        "python" => (Command::new(tests().join(".venv/bin/python")), "program.py"),
        _ => return None,
    };
    std::fs::write(place.join(name), text).unwrap();
    command.arg(name).current_dir(place);
    Some(command)
}

/// Runs those blocks of a page that are programs; what each has printed, with its line.
fn run(page: &Page, gateway: &Gateway, secret: &str) -> Vec<(usize, bool, String)> {
    let place = tempfile::tempdir().unwrap();
    symlink(tests().join("node_modules"), place.path().join("node_modules")).unwrap();
    std::fs::write(place.path().join("secret.txt"), format!("Authorization: Bearer {secret}\n")).unwrap();
    let printed = |block: &Block| {
        let text = adapted(&block.text, gateway, secret);
        let (success, said) = stdout_of(runner(&block.language, &text, place.path())?);
        Some((block.line, success, said))
    };
    page.blocks().iter().filter_map(printed).collect()
}

#[test]
fn every_program_does_what_its_page_says() {
    let gateway = gateway();
    for (name, wanted) in [
        ("docs/quickstart.md", &["\"lockgate-demo\"", "3"][..]),
        (
            "docs/clients/curl.md",
            &["lockgate-env: CONTEXT7_API_KEY", "\"environment\"", "demo", "\"status\""],
        ),
        ("docs/clients/typescript.md", &[TOOLS; 3]),
        ("docs/clients/python.md", &[TOOLS; 2]),
    ] {
        let outcomes = run(&Page::read(name), &gateway, SECRET);
        assert_eq!(outcomes.len(), wanted.len(), "{name}: so many programs");
        for ((line, success, said), wanted) in outcomes.iter().zip(wanted) {
            assert!(
                *success && said.contains(wanted),
                "{name}:{line}: {wanted:?} is not in what it prints: {said}"
            );
        }
    }
}

#[test]
fn every_program_shows_why_it_is_refused() {
    let gateway = gateway();
    // The older transport's clients have a status at most.
    for (name, shown) in
        [("docs/clients/typescript.md", &[TOLD, TOLD, "401"][..]), ("docs/clients/python.md", &[TOLD, "401"])]
    {
        let outcomes = run(&Page::read(name), &gateway, "wrong");
        assert_eq!(outcomes.len(), shown.len(), "{name}: so many programs");
        for ((line, success, said), shown) in outcomes.iter().zip(shown) {
            assert!(
                !success && said.contains(shown),
                "{name}:{line}: {shown:?} is not in what it prints: {said}"
            );
        }
    }
}

#[test]
fn a_line_goes_on_behind_a_backslash() {
    let block = Block { language: "sh".into(), line: 5, text: "a \\\n  b\n$ c\n".into() };
    assert_eq!(lines(&block), [(5, "a   b".into()), (7, "c".into())]);
}
