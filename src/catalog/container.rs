//! Commands that start containers (`docker = true`; security.md T41).
//!
//! The command is only a client: what it starts belongs to a daemon, is not among our descendants, and goes
//! on when the client is killed. So the options that would keep us from finding and ending the container
//! are refused, and there is a place in the command line for the labels by which it is found.
//!
//! Programs are known by their name. What a script, a copy under another name or a library does with the
//! daemon's socket is not seen here; keep the socket from the session's user.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::settings::Server;

/// Programs that start containers, all with the same options for it.
const CLIENTS: [&str; 3] = ["docker", "podman", "nerdctl"];
/// Programs that run another one, or a line of them, which they are given as arguments.
const WRAPPERS: [&str; 11] =
    ["env", "sh", "bash", "dash", "zsh", "busybox", "nice", "nohup", "setsid", "stdbuf", "timeout"];
/// Options of `run` that take no value. Every other one is taken to have one.
#[rustfmt::skip]
const WITHOUT_VALUE: [&str; 17] = [
    "detach", "interactive", "tty", "rm", "init", "privileged", "publish-all", "quiet", "read-only", "help",
    "no-healthcheck", "oom-kill-disable", "sig-proxy", "disable-content-trust", "use-api-socket",
    "env-host", "no-hosts",
];
const SHORT_WITHOUT_VALUE: &str = "ditPq";
/// Sockets of daemons: what is started over one has none of our labels.
const SOCKETS: [&str; 3] = ["docker.sock", "podman.sock", "containerd.sock"];
/// Variables that tell the client which daemon to ask, and how.
#[rustfmt::skip]
const STEERING: [&str; 10] = [
    "DOCKER_", "CONTAINER", "NERDCTL_", "PODMAN_", "BUILDAH_", "BUILDKIT_", "REGISTRY_AUTH_", "STORAGE_DRIVER",
    "STORAGE_OPTS", "XDG_",
];

/// The daemon's client as one server uses it: what asks for a list of containers must ask the same daemon
/// as what starts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// The client, by absolute path.
    pub program: PathBuf,
    /// Its name, and the options before its subcommand.
    pub argv: Vec<String>,
    /// The server's own variables.
    pub environment: BTreeMap<String, String>,
}

/// A command line that starts one container and stays with it.
#[derive(Clone, Debug)]
pub struct ContainerRun {
    engine: Engine,
    /// Where further options of `run` belong.
    at: usize,
    /// Variables that it passes on to the container.
    passed: Vec<String>,
}

/// One option of `run`, by its long name if it has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Flag<'a> {
    name: &'a str,
    value: Option<&'a str>,
}

/// Why a command cannot be used: the key and the reason.
type Fault = (&'static str, String);

impl ContainerRun {
    /// Looks whether a command starts containers, and if it may, makes it fit: `--init`, so that what runs
    /// in the container can be told to end; `--rm`, so that nothing of it stays; `-i`, so that it has a stdin.
    ///
    /// # Errors
    /// If it may not, or not like this.
    pub(super) fn read(
        server: &Server,
        argv: &mut Vec<String>,
        program: &Path,
    ) -> Result<Option<Self>, Fault> {
        let first = argv.first().cloned().unwrap_or_default();
        if let Some(client) = wrapped(argv) {
            let reason = format!(
                "starts {client} through {first}, out of our sight; begin with {client} itself, and put its variables into `env`"
            );
            return Err(("run", reason));
        }
        match (is_client(&first) || is_client_at(program), server.docker) {
            (false, false) => Ok(None),
            (false, true) => {
                let reason = format!(
                    "is true, but `run` begins with {first:?}, not with docker, podman or nerdctl; leave it out"
                );
                Err(("docker", reason))
            }
            (true, false) => {
                let reason = format!(
                    "begins with {first:?}, and whoever reaches its daemon is as good as root on this host; if this server may, set `docker = true` beside it"
                );
                Err(("run", reason))
            }
            (true, true) => {
                if let Some(name) = server.env_allow.iter().flatten().find(|name| steers(name)) {
                    let reason = format!("holds {name:?}, which decides which daemon is asked; leave it out");
                    return Err(("env_allow", reason));
                }
                Self::fit(argv, program, &server.env).map(Some).map_err(|reason| ("run", reason))
            }
        }
    }

    fn fit(
        argv: &mut Vec<String>,
        program: &Path,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        let options = argv.iter().skip(1).take_while(|word| word.starts_with('-')).count();
        if let Some(word) = argv[1..=options].iter().find(|word| !word.contains('=')) {
            return Err(format!(
                "holds {word:?} before its subcommand; write it in one word, as --option=value"
            ));
        }
        let at = match argv[1 + options..].iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["run", ..] => options + 2,
            ["container", "run", ..] => options + 3,
            _ => return Err("must be of the form `docker run …`; no other subcommand speaks MCP".into()),
        };
        let flags = flags(&argv[at..])?;
        flags.iter().find_map(refusal).map_or(Ok(()), Err)?;
        let engine = Engine {
            program: program.to_owned(),
            argv: argv[..=options].to_vec(),
            environment: environment.clone(),
        };
        let passed = flags.iter().filter(|flag| flag.name == "env").filter_map(|flag| flag.value);
        let passed = passed.filter(|name| !name.contains('=') && !steers(name)).map(str::to_owned).collect();
        let given = |name: &str| flags.iter().any(|flag| flag.name == name);
        let missing: Vec<String> = ["init", "rm", "interactive"]
            .into_iter()
            .filter(|name| !given(name))
            .map(|name| format!("--{name}"))
            .collect();
        argv.splice(at..at, missing);
        Ok(Self { engine, at, passed })
    }

    /// The names that a client may set: what is not passed on would only reach the daemon's client.
    pub(super) fn passed(&self) -> &[String] {
        &self.passed
    }

    /// What to ask for the containers of this command.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The command line with further options, which are not overruled by those that it has already.
    pub fn with(&self, argv: &[String], options: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut argv = argv.to_vec();
        argv.splice(self.at..self.at, options);
        argv
    }
}

/// Whether a variable decides which daemon is asked, or how.
fn steers(name: &str) -> bool {
    ["PATH", "HOME", "SSH_AUTH_SOCK"].contains(&name)
        || name.ends_with("_PROXY")
        || STEERING.iter().any(|family| name.starts_with(family))
}

fn is_client(word: &str) -> bool {
    Path::new(word).file_name().is_some_and(|name| CLIENTS.iter().any(|client| name == *client))
}

/// A link by another name.
fn is_client_at(program: &Path) -> bool {
    program.canonicalize().is_ok_and(|path| path.to_str().is_some_and(is_client))
}

/// The client that a wrapper is told to start.
fn wrapped(argv: &[String]) -> Option<&str> {
    let (first, rest) = argv.split_first()?;
    let name = Path::new(first).file_name()?.to_str()?;
    let words =
        rest.iter().flat_map(|word| word.split(|c: char| c.is_whitespace() || ";|&()`\"'".contains(c)));
    WRAPPERS.contains(&name).then(|| words.into_iter().find(|word| is_client(word)))?
}

/// The options up to the image.
fn flags(words: &[String]) -> Result<Vec<Flag<'_>>, String> {
    let mut found = Vec::new();
    let mut words = words.iter().map(String::as_str);
    loop {
        let word = words.next().ok_or("names no image")?;
        if word == "--" {
            return words.next().map(|_| found).ok_or_else(|| "names no image".into());
        }
        let waits = match (word.strip_prefix("--"), word.strip_prefix('-')) {
            (Some(long), _) => {
                let (name, value) = split(long);
                found.push(Flag { name, value });
                value.is_none() && !WITHOUT_VALUE.contains(&name)
            }
            (None, Some(cluster)) if !cluster.is_empty() => short(cluster, &mut found),
            _ => return Ok(found),
        };
        if waits {
            let value = words.next().ok_or("names no image")?;
            // What we do not know to have no value might have none, and this might be an option.
            if value.starts_with('-') {
                return Err(format!(
                    "holds {word:?} before {value:?}; write it in one word, as --option=value"
                ));
            }
            if let Some(flag) = found.last_mut() {
                flag.value = Some(value);
            }
        }
    }
}

fn split(word: &str) -> (&str, Option<&str>) {
    word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)))
}

/// Options of one letter: any number without a value, then one with it. Says whether its value is to come.
fn short<'a>(cluster: &'a str, found: &mut Vec<Flag<'a>>) -> bool {
    for (start, letter) in cluster.char_indices() {
        let rest = &cluster[start + letter.len_utf8()..];
        let name = long_name(&cluster[start..start + letter.len_utf8()]);
        let assigned = rest.strip_prefix('=');
        if assigned.is_some() || !SHORT_WITHOUT_VALUE.contains(letter) {
            let value = assigned.or(Some(rest).filter(|rest| !rest.is_empty()));
            found.push(Flag { name, value });
            return value.is_none();
        }
        found.push(Flag { name, value: None });
    }
    false
}

fn long_name(letter: &str) -> &str {
    match letter {
        "a" => "attach",
        "d" => "detach",
        "e" => "env",
        "i" => "interactive",
        "l" => "label",
        "t" => "tty",
        "v" => "volume",
        _ => letter,
    }
}

/// Why an option cannot be used here.
fn refusal(flag: &Flag<'_>) -> Option<String> {
    let Flag { name, value } = *flag;
    let reason = match name {
        "attach" => "all three streams are needed",
        "detach" => "nobody would be on its stdin and stdout",
        "tty" => "a terminal changes the bytes between us and the server",
        "name" => "the containers of two sessions cannot have the same",
        "pod" => "the pod would stay",
        "cidfile" | "restart" => "Lockgate needs it for itself",
        "init" | "rm" | "interactive" if value.is_some_and(|value| value != "true") => {
            "without it the container could not be used or would stay"
        }
        "use-api-socket" => "what the server starts over it would outlive its session",
        "volume" | "mount" if value.is_some_and(|value| SOCKETS.iter().any(|name| value.contains(name))) => {
            "what the server starts over this socket would outlive its session"
        }
        "label" if value.is_some_and(|value| value.starts_with("lockgate.")) => "Lockgate sets these labels",
        _ => return None,
    };
    Some(format!("has the option --{name}, but {reason}; leave it out"))
}

#[cfg(test)]
mod tests;
