//! Which environment variables a client may give its child.
//!
//! A name is code: loaders, runtimes, shells and package tools read theirs before the server does
//! (security.md T5-T8). So without a list of allowed names, whole families are refused.

use std::collections::{BTreeMap, BTreeSet};

use crate::settings::BlockedEnv;

/// Variables as a client asks for them: names upper-cased and well-formed, sizes within bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides(BTreeMap<String, String>);

/// Why a variable is refused, with its name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadVariable {
    /// Not a name.
    #[error(
        "the header for the environment variable {0:?} is refused: a name must match [A-Z_][A-Z0-9_]{{0,127}}"
    )]
    Name(String),
    /// Not text.
    #[error("the value of environment variable {0} is refused: it must be UTF-8 without NUL")]
    Value(String),
    /// Two values.
    #[error("environment variable {0} is given twice with different values; send it once")]
    Conflict(String),
    /// Not for clients.
    #[error(
        "environment variable {0} may not be set by clients of this server; leave out its header, or ask the operator"
    )]
    Blocked(String),
    /// The operator has set it, and it says who asks.
    #[error(
        "environment variable {0} is set by the operator, and clients of this server may not set another value; leave out its header, or ask the operator"
    )]
    Settled(String),
    /// The server cannot do without.
    #[error(
        "this server needs the environment variable {0}, which nobody has set: send it in the header ENV_{0}, or ask the operator"
    )]
    Missing(String),
    /// No header can hold it.
    #[error(
        "the value of environment variable {0} is refused: it goes to the remote server in a header, which can hold neither line breaks nor other control characters"
    )]
    Unsendable(String),
    /// Too many, or too large.
    #[error("too much environment: at most 64 variables and 32 KiB, names and values together")]
    TooMuch,
}

const MAX_VARIABLES: usize = 64;
const MAX_BYTES: usize = 32 * 1024;
const MAX_NAME: usize = 128;

impl Overrides {
    /// Adds one variable.
    ///
    /// # Errors
    /// If the name, the value or the amount is not acceptable.
    pub fn add(&mut self, name: &str, value: &[u8]) -> Result<(), BadVariable> {
        let name = name.to_ascii_uppercase();
        if !is_name(&name) {
            return Err(BadVariable::Name(name.chars().take(MAX_NAME).collect()));
        }
        let value = match std::str::from_utf8(value) {
            Ok(text) if !text.contains('\0') => text.to_owned(),
            _ => return Err(BadVariable::Value(name)),
        };
        match self.0.get(&name) {
            Some(known) if *known != value => return Err(BadVariable::Conflict(name)),
            _ => self.0.insert(name, value),
        };
        let bytes: usize = self.0.iter().map(|(name, value)| name.len() + value.len()).sum();
        if self.0.len() > MAX_VARIABLES || bytes > MAX_BYTES { Err(BadVariable::TooMuch) } else { Ok(()) }
    }
}

/// What one server lets its clients set.
#[derive(Debug)]
pub(super) struct Policy {
    allowed: Option<Vec<String>>,
    /// All that the command passes on, where it does not pass on everything.
    passed: Option<Vec<String>>,
    blocked: BlockedEnv,
    /// What the server's settings set, where clients may replace nothing that the operator has set.
    settled: Option<BTreeSet<String>>,
}

impl Policy {
    pub(super) fn new(allowed: Option<&[String]>, passed: Option<Vec<String>>, blocked: BlockedEnv) -> Self {
        Self { allowed: allowed.map(<[String]>::to_vec), passed, blocked, settled: None }
    }

    /// The same where what the operator has set says who asks: a client that replaced it would be somebody else.
    /// `own` is what the server's settings set. What `env_allow` names can be replaced none the less.
    pub(super) fn keeping(self, own: &BTreeMap<String, String>) -> Self {
        Self { settled: Some(own.keys().cloned().collect()), ..self }
    }

    /// What passes of what a client of a tenant asks for that has these variables.
    ///
    /// # Errors
    /// For the first that does not pass, unless those are to be dropped.
    pub(super) fn filter(
        &self,
        overrides: Overrides,
        of_tenant: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, BadVariable> {
        let mut passed = BTreeMap::new();
        for (name, value) in overrides.0 {
            let fault: fn(String) -> BadVariable = if !self.passes(&name, &value) {
                BadVariable::Blocked
            } else if self.is_settled(&name, of_tenant) {
                BadVariable::Settled
            } else {
                passed.insert(name, value);
                continue;
            };
            match self.blocked {
                BlockedEnv::Reject => return Err(fault(name)),
                BlockedEnv::Ignore => {}
            }
        }
        Ok(passed)
    }

    fn is_settled(&self, name: &str, of_tenant: &BTreeMap<String, String>) -> bool {
        let is_set = |own: &BTreeSet<String>| own.contains(name) || of_tenant.contains_key(name);
        self.allowed.is_none() && self.settled.as_ref().is_some_and(is_set)
    }

    fn passes(&self, name: &str, value: &str) -> bool {
        match &self.allowed {
            Some(names) => names.iter().any(|allowed| allowed == name),
            // Old shells run functions from values of this form.
            None => {
                let passed =
                    self.passed.as_ref().is_none_or(|names| names.iter().any(|passed| passed == name));
                passed && !is_blocked(name) && !value.starts_with("()")
            }
        }
    }
}

/// Whether these can be variables of a child.
pub(super) fn check(variables: &BTreeMap<String, String>) -> Result<(), String> {
    check_names(variables.keys())?;
    match variables.iter().find(|(_, value)| value.contains('\0')) {
        Some((name, _)) => Err(format!("holds a NUL byte in the value of {name}; no variable can")),
        None => Ok(()),
    }
}

/// Whether these can be names of variables.
pub(super) fn check_names<'a>(names: impl IntoIterator<Item = &'a String>) -> Result<(), String> {
    match names.into_iter().find(|name| !is_name(name)) {
        Some(bad) => Err(format!("holds {bad:?}, but a name must match [A-Z_][A-Z0-9_]{{0,127}}")),
        None => Ok(()),
    }
}

/// Whether this can be a variable's name, upper-cased.
fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    (1..=MAX_NAME).contains(&bytes.len())
        && !bytes[0].is_ascii_digit()
        && bytes.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
}

fn is_blocked(name: &str) -> bool {
    !HARMLESS.contains(&name)
        && (NAMES.contains(&name)
            || FAMILIES.iter().any(|family| name.starts_with(family))
            || name.ends_with("_PROXY"))
}

/// Members of a blocked family that cannot do harm and are in wide use.
const HARMLESS: [&str; 3] = ["NODE_ENV", "PYTHONUNBUFFERED", "PYTHONIOENCODING"];

/// Prefixes: loaders and libc, then runtimes, shells, package tools, tools that fetch, the host's own.
#[rustfmt::skip]
const FAMILIES: [&str; 58] = [
    "LD_", "DYLD_", "GLIBC_", "MALLOC_", "GCONV", "RES_", "GETCONF",
    "NODE_", "PYTHON", "PERL", "RUBY", "GEM_", "BUNDLE_", "JAVA_", "JDK_", "_JAVA", "DOTNET_", "CORECLR_",
    "COR_", "COMPLUS_", "PHP", "LUA_", "CARGO_", "RUST", "DENO_", "BUN_", "ELECTRON_",
    "BASH", "ZDOTDIR", "FISH_",
    "NPM_", "YARN_", "PNPM_", "COREPACK_", "PIP_", "UV_", "POETRY_", "CONDA_", "VIRTUAL_ENV", "PIPX_",
    "SSL_", "OPENSSL_", "CURL_", "REQUESTS_", "GIT_", "SSH_", "DOCKER_", "KUBE", "XDG_", "LC_", "SUDO_",
    "FLY_", "MAXIM_", "LOCKGATE", "SYSTEMD_", "LISTEN_", "NOTIFY_", "GOTOOLCHAIN",
];

/// Whole names: the first implementation's, and members of families whose prefix would hit too much.
#[rustfmt::skip]
const NAMES: [&str; 62] = [
    "PATH", "HOME", "USER", "SHELL", "PWD", "TMPDIR", "TEMP", "TMP", "HOSTNAME", "LANG", "AWS_ACCESS_KEY",
    "AWS_SECRET_KEY", "AWS_SESSION_TOKEN", "API_KEY", "SECRET_KEY", "PRIVATE_KEY", "PASSWORD", "TOKEN",
    "LOGNAME", "OLDPWD", "TEMPDIR", "LANGUAGE", "LOCPATH", "NLSPATH", "HOSTALIASES", "LOCALDOMAIN",
    "ENV", "IFS", "PS4", "SHELLOPTS", "PROMPT_COMMAND", "CDPATH", "EDITOR", "VISUAL", "PAGER", "BROWSER",
    "CLASSPATH", "MAVEN_OPTS", "GRADLE_OPTS", "TERMINFO", "TERMINFO_DIRS",
    "GOPATH", "GOROOT", "GOFLAGS", "GOPROXY", "GOBIN", "GOCACHE", "GOENV", "GOMODCACHE", "GOPRIVATE",
    "GONOSUMDB", "GONOPROXY", "GOSUMDB", "GODEBUG", "GOINSECURE", "GOVCS", "GOWORK", "GOEXPERIMENT",
    "NETRC", "WGETRC", "AWS_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
];
