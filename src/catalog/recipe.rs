//! How the packages of a command are fetched without running it (`prefetch = true`; security.md T16).
//!
//! A package runner fills a cache below its home and then runs the server. The same runner is told to do the
//! first part alone, in the same words, so that it finds the packages again when it is told all of it. What
//! its cache holds must not depend on where the home is: pipx's does, so there is no recipe for it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::settings::Server;

/// How the packages of one server are fetched, and what of them sessions may share.
#[derive(Clone, Debug)]
pub struct Recipe {
    runner: Runner,
    argv: Vec<String>,
    key: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runner {
    Npx,
    Uvx,
}

/// The words of a runner up to what it runs.
#[derive(Debug, Default)]
struct Words {
    options: Vec<String>,
    /// Whether an option names the package.
    named: bool,
    target: String,
}

/// Why a command cannot be used: the key and the reason.
type Fault = (&'static str, String);

/// Variables that put the packages elsewhere.
const ELSEWHERE: [&str; 5] = ["HOME", "NPM_CONFIG_CACHE", "UV_CACHE_DIR", "UV_NO_CACHE", "XDG_CACHE_HOME"];
/// Options that do, or that run something.
const MISPLACED: [&str; 4] = ["--cache", "--cache-dir", "--call", "--prefix"];
/// The file that npm writes anew among the packages that it does not change.
const NPM_LIST: &str = ".package-lock.json";

impl Recipe {
    /// Finds the recipe for a command.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn read(server: &Server, argv: &[String], program: &Path) -> Result<Self, Fault> {
        if let Some(name) = ELSEWHERE.iter().find(|name| server.env.contains_key(**name)) {
            let reason = format!(
                "is true, but `env` holds {name}, which moves packages out of a session's own directory; leave out one of the two"
            );
            return Err(("prefetch", reason));
        }
        let (runner, begin) = Runner::of(argv).ok_or_else(|| {
            let first = argv.first().map_or("", String::as_str);
            let reason = format!(
                "is true, but `run` begins with {first:?}; only what npx, uvx or `uv tool run` runs can be fetched ahead; leave it out, or use one of these"
            );
            ("prefetch", reason)
        })?;
        let words = runner.read(&argv[begin..]).map_err(|reason| ("run", reason))?;
        let fetch: Vec<String> = argv[..begin].iter().cloned().chain(runner.fetch(words)).collect();
        let key = key(server, &fetch, program, runner);
        Ok(Self { runner, argv: fetch, key })
    }

    /// The arguments that fetch the packages and run nothing of the server.
    pub fn argv(&self) -> &[String] {
        &self.argv
    }

    /// Stands for everything that decides what is fetched: the words, the variables, the programs' versions.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether a file below the home is content that the runner never writes to again, but replaces. All
    /// else, its indexes, lists and locks, has to be each session's own.
    pub fn is_content(&self, path: &Path) -> bool {
        match self.runner {
            Runner::Npx => {
                let modules = Component::Normal("node_modules".as_ref());
                path.starts_with(".npm/_cacache/content-v2")
                    || (path.starts_with(".npm/_npx")
                        && path.components().any(|component| component == modules)
                        && path.file_name().is_none_or(|name| name != NPM_LIST))
            }
            Runner::Uvx => path.starts_with(".cache/uv/archive-v0"),
        }
    }

    /// The variable that keeps the runner from asking for newer packages where there is no network.
    pub fn offline(&self) -> (&'static str, &'static str) {
        match self.runner {
            Runner::Npx => ("npm_config_offline", "true"),
            Runner::Uvx => ("UV_OFFLINE", "1"),
        }
    }
}

impl Runner {
    /// The runner that a command begins with, and where its own words begin.
    fn of(argv: &[String]) -> Option<(Self, usize)> {
        let first = Path::new(argv.first()?).file_name()?.to_str()?;
        match (first, argv.get(1).map(String::as_str), argv.get(2).map(String::as_str)) {
            ("npx", ..) => Some((Self::Npx, 1)),
            ("uvx", ..) => Some((Self::Uvx, 1)),
            ("uv", Some("tool"), Some("run")) => Some((Self::Uvx, 3)),
            _ => None,
        }
    }

    /// Options that name the package.
    fn naming(self) -> &'static [&'static str] {
        match self {
            Self::Npx => &["-p", "--package"],
            Self::Uvx => &["--from"],
        }
    }

    /// Other options whose value may be the next word.
    fn with_value(self) -> &'static [&'static str] {
        match self {
            Self::Npx => &["--registry"],
            Self::Uvx => &[
                "-w",
                "--with",
                "-p",
                "--python",
                "-i",
                "--index-url",
                "--index",
                "--default-index",
                "--extra-index-url",
            ],
        }
    }

    /// Options without a value.
    fn without_value(self) -> &'static [&'static str] {
        match self {
            Self::Npx => &["-y", "--yes", "-q", "--quiet"],
            Self::Uvx => &["-q", "--quiet", "-v", "--verbose", "--native-tls", "--system-certs"],
        }
    }

    fn read(self, argv: &[String]) -> Result<Words, String> {
        let mut words = Words::default();
        let mut rest = argv.iter();
        while let Some(word) = rest.next() {
            let (name, value) =
                word.split_once('=').map_or((&**word, None), |(name, value)| (name, Some(value)));
            if word == "--" {
                words.target = rest.next().cloned().unwrap_or_default();
                break;
            } else if !word.starts_with('-') {
                words.target.clone_from(word);
                break;
            }
            if MISPLACED.contains(&name) {
                return Err(format!(
                    "has the option {word:?}, with which packages are not found again; leave it out, or `prefetch`"
                ));
            }
            words.named |= self.naming().contains(&name);
            words.options.push(word.clone());
            if value.is_some() && name.starts_with("--") || self.without_value().contains(&&**word) {
                continue;
            }
            if value.is_some() || !self.naming().iter().chain(self.with_value()).any(|known| *known == name) {
                return Err(format!(
                    "has the option {word:?}, and it is not known how packages are fetched with it; write it as --name=value, or leave out `prefetch`"
                ));
            }
            words.options.push(rest.next().cloned().unwrap_or_default());
        }
        match &*words.target {
            "" => Err("names no package, so `prefetch` has nothing to fetch".into()),
            target if !words.named && is_local(target) => {
                Err(format!("names {target:?}, which is on this machine already; leave out `prefetch`"))
            }
            _ => Ok(words),
        }
    }

    fn fetch(self, words: Words) -> Vec<String> {
        let Words { mut options, named, target } = words;
        let nothing: &[&str] = match self {
            Self::Npx => {
                options.extend((!named).then(|| format!("--package={target}")));
                &["--yes", "--", "true"]
            }
            Self::Uvx => {
                options.extend((!named).then(|| format!("--from={target}")));
                &["python", "-c", ""]
            }
        };
        options.extend(nothing.iter().map(|&word| word.to_owned()));
        options
    }

    /// What decides beside the runner's own version which packages fit.
    fn interpreter(self) -> &'static str {
        match self {
            Self::Npx => "node",
            Self::Uvx => "python3",
        }
    }
}

fn is_local(target: &str) -> bool {
    target.starts_with(['.', '/', '~']) || target.starts_with("file:")
}

fn key(server: &Server, argv: &[String], program: &Path, runner: Runner) -> String {
    let mut digest = Sha256::new();
    let mut add = |text: &str| {
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text);
    };
    argv.iter().for_each(|word| add(word));
    add("");
    server.env.iter().for_each(|(name, value)| [name, value].into_iter().for_each(|text| add(text)));
    add("");
    let interpreter = which::which(runner.interpreter()).unwrap_or_default();
    add(&version(program));
    add(&version(&interpreter));
    URL_SAFE_NO_PAD.encode(&digest.finalize()[..18])
}

/// Changes with an installation. In whole seconds: the layers of an image keep no fractions.
fn version(program: &Path) -> String {
    let path = program.canonicalize().unwrap_or_else(|_| PathBuf::from(program));
    let (modified, size) = fs::metadata(&path).map_or((0, 0), |found| (found.mtime(), found.size()));
    format!("{} {modified} {size}", path.display())
}

#[cfg(test)]
mod tests;
