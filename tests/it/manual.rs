//! What is written about the command line is true: docs/cli.md, the manual pages, the completions.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::gateway::lockgate;
use crate::prefetch::Runner;

const DOCUMENT: &str = include_str!("../../docs/cli.md");

/// The blocks of code, each with its language.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let fenced = DOCUMENT.split("\n```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap()).collect()
}

fn output(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// Whether a document is what the documentation shows: `{}` and `[]` stand for anything of their sort, null for
/// anything, and each element of a list is like one of those shown.
fn is_like(shown: &Value, real: &Value) -> bool {
    match (shown, real) {
        (Value::Null, _) | (_, Value::Null) => true,
        (Value::Object(shown), Value::Object(real)) => {
            let same = || {
                shown.keys().eq(real.keys()) && shown.iter().all(|(key, shown)| is_like(shown, &real[key]))
            };
            shown.is_empty() || same()
        }
        (Value::Array(shown), Value::Array(real)) => {
            shown.is_empty() || real.iter().all(|real| shown.iter().any(|shown| is_like(shown, real)))
        }
        _ => std::mem::discriminant(shown) == std::mem::discriminant(real),
    }
}

/// A place with the settings that the document speaks of.
struct Place {
    runner: Runner,
    home: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let (runner, home) = (Runner::new(), tempfile::tempdir().unwrap());
        runner.tell("release");
        let settings = format!("{}[servers.demo]\nrun = \"lockgate demo\"\n", runner.settings());
        fs::write(home.path().join("lockgate.toml"), settings).unwrap();
        for directory in [".local/share/bash-completion/completions", ".config/fish/completions"] {
            fs::create_dir_all(home.path().join(directory)).unwrap();
        }
        Self { runner, home }
    }

    /// As whoever reads the document would run it; what needs a gateway, or would be one for ever, is asked for its help.
    fn run(&self, line: &str) -> (i32, String, String) {
        let stays = ["lockgate serve", "lockgate top"].iter().any(|command| line.starts_with(command));
        let line = if stays { format!("{line} --help") } else { line.to_owned() };
        let program = lockgate().get_program().to_owned();
        let mut command = Command::new("sh");
        command.args(["-ec", &line]).current_dir(self.home.path()).env_clear();
        command.envs(self.runner.variables()).env_remove("LOCKGATE_SECRET").env("HOME", self.home.path());
        let path = format!(
            "{}:{}",
            Path::new(&program).parent().unwrap().display(),
            self.runner.variables().iter().find(|(name, _)| *name == "PATH").unwrap().1
        );
        output(command.env("PATH", path))
    }
}

#[test]
fn every_line_of_the_document_works_and_every_shape_is_the_real_one() {
    let place = Place::new();
    let blocks = blocks();
    let (mut lines, mut shapes) = (0, 0);
    for (at, (_, text)) in blocks.iter().enumerate().filter(|(_, (language, _))| *language == "sh") {
        let mut last = String::new();
        for line in text.lines().filter(|line| line.starts_with("lockgate ")) {
            let (code, stdout, stderr) = place.run(line);
            assert_eq!(code, 0, "{line}: {stdout}{stderr}");
            (last, lines) = (stdout, lines + 1);
        }
        if let Some(("json", shown)) = blocks.get(at + 1) {
            let shown: Value = serde_json::from_str(shown).unwrap();
            let real: Value = serde_json::from_str(&last).unwrap_or_else(|e| panic!("{text}: {e}: {last}"));
            assert!(is_like(&shown, &real), "{text} gives {real:#}");
            assert!(!last.contains('\u{1b}'), "{last}");
            shapes += 1;
        }
    }
    assert_eq!((lines, shapes), (17, 5), "the document was not read");
    assert!(place.home.path().join(".local/share/man/man1/lockgate-doctor.1").is_file());
}

#[test]
fn every_command_with_results_has_them_for_machines() {
    let (_, help, _) = output(lockgate().arg("--help"));
    for command in ["check", "url", "secret", "prefetch", "doctor"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
        let (_, help, _) = output(lockgate().args([command, "--help"]));
        assert!(help.contains("--json"), "{help}");
        assert!(DOCUMENT.contains(&format!("\nlockgate {command} ")), "docs/cli.md has no {command} --json");
    }
    let (code, stdout, stderr) = output(lockgate().args(["check", "--json", "--config", "/no/such/file"]));
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.starts_with("lockgate: cannot use"), "{stderr}");
}

/// What a program that reads a text on its standard input makes of it; `None` if it is not installed.
fn read_by(words: &[&str], text: &str) -> Option<(i32, String, String)> {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        eprintln!("skipped: {} is not installed", words[0]);
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let text = text.to_owned();
    let writing = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Some((status.code().unwrap(), text(stdout), text(stderr)))
}

#[test]
fn shells_take_their_completions() {
    for (shell, check) in [
        ("bash", &["bash", "-n"][..]),
        ("zsh", &["zsh", "-n"]),
        ("fish", &["fish", "--no-execute"]),
        ("elvish", &["elvish", "-compileonly", "/dev/stdin"]),
        ("powershell", &["pwsh", "-NoProfile", "-Command", "-"]),
    ] {
        let (code, script, stderr) = output(lockgate().args(["completions", shell]));
        assert_eq!((code, stderr.as_str()), (0, ""));
        for word in ["prefetch", "mcp-servers", "no-servers"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        assert!(!script.contains("__launch") && !script.contains("__sweep"), "{shell}");
        if let [..] = check
            && !check.is_empty()
        {
            let Some((code, _, stderr)) = read_by(check, &script) else { continue };
            assert_eq!(code, 0, "{shell}: {stderr}");
        }
    }
    let ask =
        "COMP_WORDS=(lockgate pre) COMP_CWORD=1; _lockgate lockgate pre lockgate; echo \"${COMPREPLY[*]}\"";
    let (_, script, _) = output(lockgate().args(["completions", "bash"]));
    let (_, completed, stderr) = read_by(&["bash"], &format!("{script}\n{ask}\n")).unwrap();
    assert_eq!(completed.trim(), "prefetch", "{stderr}");
}

#[test]
fn the_manual_can_be_read_and_tells_everything() {
    let (code, page, stderr) = output(lockgate().arg("man"));
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(page.contains(".TH lockgate 1") && !page.contains("__launch") && !page.contains("__sweep"));
    for section in ["NAME", "COMMANDS", "ENVIRONMENT", "FILES", "SIGNALS", "\"EXIT STATUS\""] {
        assert!(page.contains(&format!("\n.SH {section}\n")), "{section}");
    }
    for command in
        ["serve", "check", "url", "prefetch", "doctor", "top", "secret", "demo", "completions", "man"]
    {
        assert!(page.contains(&format!("\n.SS {command}\n")), "{command}");
    }
    if let Some((code, text, warnings)) = read_by(&["groff", "-man", "-Tutf8", "-wall"], &page) {
        assert_eq!((code, warnings.as_str()), (0, ""));
        assert!(text.contains("The operator's secret."), "{text}");
    }
    if let Some((_, complaints, _)) = read_by(&["mandoc", "-T", "lint", "-W", "error"], &page) {
        assert_eq!(complaints, "");
    }
}
