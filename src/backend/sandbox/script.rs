//! What has to be executed for a program to run: itself, and where it is a script, the interpreter that its
//! first line names, which may be a script again.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// One file that has to be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Executed {
    /// Absolute, or the bare name of what is nowhere on PATH.
    pub(super) path: PathBuf,
    /// The script that names it.
    pub(super) named_by: Option<PathBuf>,
}

/// What the kernel reads of a first line (BINPRM_BUF_SIZE).
const FIRST_LINE: u64 = 256;
/// Scripts whose interpreters are scripts, in a row, that the kernel goes along with.
const MAX_SCRIPTS: usize = 4;

/// The program and its interpreters, in their order. `env` takes the first on the search path that can be run,
/// which is for `can_run` to say; if there is none, then the first that is there.
pub(super) fn executed(program: &Path, search: &str, can_run: &dyn Fn(&Path) -> bool) -> Vec<Executed> {
    let mut chain = vec![Executed { path: program.to_owned(), named_by: None }];
    for _ in 0..MAX_SCRIPTS {
        let Some(last) = chain.last() else { break };
        let script = last.path.clone();
        let Some(line) = first_line(&script) else { break };
        let mut words = line.split_ascii_whitespace();
        let Some(interpreter) = words.next().map(Path::new) else { break };
        let named_by = Some(script);
        chain.push(Executed { path: interpreter.to_owned(), named_by: named_by.clone() });
        if interpreter.file_name().is_some_and(|name| name == "env")
            && let Some(name) = words.find(|word| !word.starts_with('-') && !word.contains('='))
        {
            chain.push(Executed { path: look_up(name, search, can_run), named_by });
        }
    }
    chain
}

/// What follows `#!`, if the file is a script that we may read.
fn first_line(path: &Path) -> Option<String> {
    let file = File::open(path).ok().filter(|file| file.metadata().is_ok_and(|found| found.is_file()))?;
    let mut text = Vec::new();
    file.take(FIRST_LINE).read_to_end(&mut text).ok()?;
    let line = text.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    String::from_utf8(line.to_vec()).ok()
}

fn look_up(name: &str, search: &str, can_run: &dyn Fn(&Path) -> bool) -> PathBuf {
    if name.contains('/') {
        return name.into();
    }
    let all: Vec<PathBuf> = std::env::split_paths(search)
        .map(|directory| directory.join(name))
        .filter(|path| path.is_absolute() && path.is_file())
        .collect();
    let best = all.iter().find(|path| can_run(path)).or(all.first());
    best.cloned().unwrap_or_else(|| name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_are_followed_as_the_kernel_and_env_do() {
        let place = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = place.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let (first, second) = (write("a/python9", "binary"), write("b/python9", "binary"));
        let search = format!("{}:{}", first.parent().unwrap().display(), second.parent().unwrap().display());
        let found = |text: &str, can_run: &dyn Fn(&Path) -> bool| {
            let script = write("script", text);
            let chain = executed(&script, &search, can_run);
            chain.into_iter().skip(1).map(|executed| executed.path).collect::<Vec<_>>()
        };
        let (any, env) = (|_: &Path| true, PathBuf::from("/usr/bin/env"));
        assert_eq!(found("#!/usr/bin/env python9\n", &any), [env.clone(), first.clone()]);
        let only_second = |path: &Path| path == second;
        assert_eq!(found("#!/usr/bin/env -S A=b python9 -u\n", &only_second), [env.clone(), second.clone()]);
        assert_eq!(found("#!/usr/bin/env python9\n", &|_| false), [env.clone(), first.clone()]);
        assert_eq!(found("#!/usr/bin/env nowhere9\n", &any), [env, "nowhere9".into()]);
        assert!(found("no script", &any).is_empty());
        // A script for an interpreter that is a script.
        let inner = write("inner", &format!("#! {} -x\n", first.display()));
        assert_eq!(found(&format!("#!{}", inner.display()), &any), [inner, first]);
    }
}
