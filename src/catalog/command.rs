//! A server of the allowlist that is a command: split and found when the settings are loaded.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::{ContainerRun, Recipe};
use crate::settings::Server;

/// A command that answers on its stdout.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) program: PathBuf,
    pub(super) argv: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) readable: Vec<PathBuf>,
    pub(super) writable: Vec<PathBuf>,
    /// Present if the command starts a container.
    pub(super) container: Option<ContainerRun>,
    /// Present if its packages are to be fetched ahead.
    pub(super) recipe: Option<Recipe>,
    /// Children that are started before a session wants them.
    pub(super) warm: usize,
    /// Known once it has run.
    pub(super) needed: OnceLock<Arc<[PathBuf]>>,
}

impl Command {
    /// Splits it once and finds its program.
    ///
    /// # Errors
    /// With the key and the reason.
    pub(super) fn load(run: &str, server: &Server) -> Result<Self, (&'static str, String)> {
        let mut argv = shell_words::split(run).map_err(|e| ("run", format!("cannot be split: {e}")))?;
        let first = argv.first().ok_or(("run", "is empty".to_owned()))?.clone();
        if argv.iter().any(|word| word.contains('\0')) {
            return Err(("run", "holds a NUL byte".into()));
        }
        if let Some(word) =
            argv.iter().find(|word| ["|", "||", "&&", ";", ">", "<", "&"].contains(&word.as_str()))
        {
            let reason =
                format!("holds {word:?}, but no shell reads it; put the line in a script and name that");
            return Err(("run", reason));
        }
        let program = resolve(&first).map_err(|reason| ("run", reason))?;
        let container = ContainerRun::read(server, &mut argv, &program)?;
        let recipe = server.prefetch.then(|| Recipe::read(server, &argv, &program)).transpose()?;
        Ok(Self {
            program,
            argv,
            environment: server.env.clone(),
            readable: server.readable.clone(),
            writable: server.writable.clone(),
            container,
            recipe,
            warm: server.warm,
            needed: OnceLock::new(),
        })
    }
}

/// The absolute path of a program; `lockgate` is this very binary, wherever it lies and whatever has become
/// of its file.
fn resolve(program: &str) -> Result<PathBuf, String> {
    if program == "lockgate" {
        return Ok("/proc/self/exe".into());
    }
    if program.contains('/') && !program.starts_with('/') {
        return Err(format!("begins with {program:?}; give an absolute path, or a name that is on PATH"));
    }
    which::which(program).map_err(|_| {
        let place = if program.starts_with('/') { "that the gateway may run" } else { "on PATH" };
        format!("begins with {program:?}, which is not an executable {place}; install it, or give its absolute path")
    })
}
