//! The pages of `docs/`. The files that stand in them are the ones that the tests use.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// A page of `docs/`.
pub(crate) struct Page {
    name: &'static str,
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn open(name: &'static str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
        Self { name, text: fs::read_to_string(path).unwrap() }
    }

    /// The file whose block begins with a comment that names it.
    pub(crate) fn file(&self, path: &str) -> String {
        let begins = |block: &&str| block.lines().nth(1) == Some(&format!("# {path}"));
        // What lies between fences is every second part.
        let mut found = self.text.split("```").skip(1).step_by(2).filter(begins);
        let block = found.next().unwrap_or_else(|| panic!("docs/{} has no file {path}", self.name));
        assert!(found.next().is_none(), "docs/{} has {path} twice", self.name);
        block.split_once('\n').unwrap().1.to_owned()
    }

    /// Fails if the page does not say this.
    pub(crate) fn says(&self, text: &str) {
        assert!(self.text.contains(text), "docs/{} does not say {text:?}", self.name);
    }
}

/// A text in which each of these has become another.
pub(crate) fn edited(text: &str, edits: &[(&str, &str)]) -> String {
    edits.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "there is no {from:?} in:\n{text}");
        text.replace(from, to)
    })
}

/// A program of the distribution's; `None` where it is not installed, which `.ci/run` does not allow.
pub(crate) fn installed(program: &str, package: &str) -> Option<PathBuf> {
    let places = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap());
    let found = which::which_in(program, Some(places), "/").ok();
    if found.is_none() {
        assert!(std::env::var_os("LOCKGATE_CI").is_none(), "no {program}: apt-get install {package}");
        eprintln!("NO {program}: what is tested with it is left out; apt-get install {package}");
    }
    found
}

/// A program that `tests/run` has installed for Python, given this text: whether it succeeded, and what it said.
pub(crate) fn python(program: &str, arguments: &[&str], text: &str) -> (bool, String) {
    let mut command = Command::new(crate::clients::tests().join(".venv/bin").join(program));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    process.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), format!("{said}{errors}"))
}

/// The documents of a YAML file. A key that stands twice is an error.
pub(crate) fn yaml(text: &str) -> Vec<Value> {
    const READ: &str = "import json, sys, ruamel.yaml\nyaml = ruamel.yaml.YAML(typ='safe', pure=True)\n\
                        print(json.dumps(list(yaml.load_all(sys.stdin.read()))))";
    let (success, said) = python("python", &["-c", READ], text);
    assert!(success, "{said}");
    serde_json::from_str(&said).unwrap()
}
