//! Puts the layers together and checks the whole.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat, Map, Source, Value};

use super::{DEFAULTS, Server, Settings};

/// What the command line says over all other layers.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// The operator's file.
    pub file: Option<PathBuf>,
    /// Where to listen, whole.
    pub address: Option<SocketAddr>,
    /// Where to listen, the address alone.
    pub host: Option<String>,
    /// Where to listen, the port alone.
    pub port: Option<u16>,
    /// Further allowlisted commands.
    pub allow: Vec<String>,
}

/// What the environment says, taken by the caller so that a test can give its own.
#[derive(Clone, Debug, Default)]
pub struct Platform {
    /// All environment variables that may matter: `HOST`, `PORT`, `LOCKGATE__…`.
    pub variables: BTreeMap<String, String>,
}

/// Why the settings cannot be used: where, which key, what is wrong, what to do.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// A file that cannot be read or is no TOML.
    #[error("cannot use {place}: {reason}")]
    Unreadable {
        /// The file, or the environment.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A key that no setting has.
    #[error("{place}: unknown key `{key}`: {suggestion}")]
    Unknown {
        /// The file, or the environment.
        place: String,
        /// The key with its section.
        key: String,
        /// What may have been meant.
        suggestion: String,
    },
    /// A value of the wrong form.
    #[error("{0}")]
    Form(String),
    /// A value that cannot work.
    #[error("`{key}` {reason} (set in {place})")]
    Value {
        /// The key with its section.
        key: String,
        /// What is wrong with it.
        reason: String,
        /// The layer that set it.
        place: String,
    },
    /// A value that goes with the others, but not with those that stay as they were at the start.
    #[error(
        "`{key}` {reason}; some of these settings stay as they were at the start, so restart the gateway"
    )]
    Unmerged {
        /// The key with its section.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

const VARIABLES: &str = "the environment (LOCKGATE__…)";

/// The layers over the defaults, each with the name that an error gives it.
type Layers = Vec<(String, Map<String, Value>)>;

impl Settings {
    /// Reads all layers.
    ///
    /// # Errors
    /// With the place, the key, the reason and a suggestion.
    pub fn load(flags: &Flags, platform: &Platform) -> Result<Self, Invalid> {
        let defaults = collect("config/default.toml", File::from_str(DEFAULTS, FileFormat::Toml))?;
        let layers = layers(flags.file.as_deref(), platform)?;
        for (place, layer) in &layers {
            if let Some((key, suggestion)) = super::unknown::unknown_key(layer, &defaults) {
                return Err(Invalid::Unknown { place: place.clone(), key, suggestion });
            }
        }
        let mut builder = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
        for (_, layer) in layers.iter().cloned() {
            builder = builder.add_source(Layer(layer));
        }
        let merged = builder.build().map_err(|e| Invalid::Form(e.to_string()))?;
        let mut settings: Self =
            merged.try_deserialize().map_err(|e| Invalid::Form(malformed(&e.to_string(), &layers)))?;
        settings.apply(flags, platform, &layers)?;
        settings.check().map_err(|(key, reason)| {
            let place = origin(&key, &layers).to_owned();
            Invalid::Value { key, reason, place }
        })?;
        Ok(settings)
    }

    /// `HOST` and `PORT` where no layer of ours names an address, then flags over everything.
    fn apply(&mut self, flags: &Flags, platform: &Platform, layers: &Layers) -> Result<(), Invalid> {
        let explicit = layers.iter().any(|(place, l)| place == VARIABLES && has(l, "listen.address"));
        if !explicit {
            let variable = |name: &str| platform.variables.get(name).filter(|value| !value.is_empty());
            if let Some(host) = variable("HOST") {
                self.listen.address.set_ip(parse_host("HOST", host)?);
            }
            if let Some(port) = variable("PORT") {
                let port =
                    port.parse().map_err(|_| Invalid::Form(format!("PORT={port} is no port number")))?;
                self.listen.address.set_port(port);
            }
        }
        if let Some(address) = flags.address {
            self.listen.address = address;
        }
        if let Some(host) = &flags.host {
            self.listen.address.set_ip(parse_host("--host", host)?);
        }
        if let Some(port) = flags.port {
            self.listen.address.set_port(port);
        }
        for (index, run) in flags.allow.iter().enumerate() {
            let name = format!("flag{}", index + 1);
            self.servers.entry(name).or_insert_with(|| Server::of(run));
        }
        if self.servers.is_empty() {
            self.servers.insert("demo".into(), Server::of("lockgate demo"));
        }
        Ok(())
    }

    /// Whether all of it goes together; else the key and the reason.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let checks = [
            self.listen.check(),
            self.access.check(),
            self.limits.check(),
            self.timeouts.check(),
            self.sandbox.check(self.limits.sessions, self.servers.values().map(|server| server.warm).sum()),
        ];
        for check in checks {
            check.map_err(|(key, reason)| (key.to_owned(), reason))?;
        }
        for (name, server) in &self.servers {
            server.check().map_err(|(key, reason)| (format!("servers.{name}.{key}"), reason))?;
        }
        for (id, tenant) in &self.tenants {
            if let Some(unknown) =
                tenant.servers.iter().find(|name| *name != "*" && !self.servers.contains_key(*name))
            {
                let reason = format!("names {unknown:?}, but there is no [servers.{unknown}]");
                return Err((format!("tenants.{id}.servers"), reason));
            }
            if tenant.sessions == Some(0) {
                let reason = "0 would refuse every session; give at least 1, or remove the tenant".into();
                return Err((format!("tenants.{id}.sessions"), reason));
            }
        }
        Ok(())
    }
}

/// A layer that was read already, so that no file is read twice.
#[derive(Clone, Debug)]
struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }
}

fn layers(file: Option<&Path>, platform: &Platform) -> Result<Layers, Invalid> {
    let mut layers = Layers::new();
    if let Some(path) = file {
        let place = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|e| Invalid::Unreadable { place: place.clone(), reason: e.to_string() })?;
        let layer = collect(&place, File::from_str(&text, FileFormat::Toml))?;
        layers.push((place, layer));
    }
    let variables: Map<String, String> = platform
        .variables
        .iter()
        .filter(|(name, _)| name.starts_with("LOCKGATE__"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if !variables.is_empty() {
        let source = Environment::with_prefix("LOCKGATE")
            .prefix_separator("__")
            .separator("__")
            .try_parsing(true)
            .list_separator(",")
            .with_list_parse_key("access.origins")
            .with_list_parse_key("access.hosts")
            .with_list_parse_key("access.trusted_proxies")
            .source(Some(variables));
        layers.push((VARIABLES.to_owned(), collect(VARIABLES, source)?));
    }
    Ok(layers)
}

/// Reads one source to a tree; dotted environment names have become tables by then.
fn collect(place: &str, source: impl Source + Send + Sync + 'static) -> Result<Map<String, Value>, Invalid> {
    let unreadable = |e: config::ConfigError| Invalid::Unreadable {
        place: place.to_owned(),
        reason: without_source(&describe(&e.to_string())),
    };
    let config = Config::builder().add_source(vec![Box::new(source) as Box<dyn Source + Send + Sync>]);
    config.build().map_err(unreadable)?.cache.into_table().map_err(unreadable)
}

fn has(layer: &Map<String, Value>, key: &str) -> bool {
    let mut table = layer.clone();
    for part in key.split('.') {
        match table.remove(part) {
            Some(value) => table = value.into_table().unwrap_or_default(),
            None => return false,
        }
    }
    true
}

/// The layer that has the last word on a key.
fn origin<'a>(key: &str, layers: &'a Layers) -> &'a str {
    layers.iter().rev().find(|(_, layer)| has(layer, key)).map_or("config/default.toml", |(place, _)| place)
}

/// What the library says of a value of the wrong form, with the place it stands in and where to look.
fn malformed(message: &str, layers: &Layers) -> String {
    let message = without_value(&describe(message));
    let key = message.rsplit(['`', '"']).nth(1).unwrap_or_default();
    // A key that is missing is missing from a table that somebody began.
    let begun =
        if message.starts_with("missing") { key.rsplit_once('.').map_or(key, |(t, _)| t) } else { key };
    let place = origin(begun, layers);
    format!(
        "{message} (set in {place}); config/default.toml shows the form of every value, such as \"30s\" or \"4MiB\""
    )
}

fn parse_host(source: &str, host: &str) -> Result<IpAddr, Invalid> {
    match host {
        "localhost" => Ok(IpAddr::from([127, 0, 0, 1])),
        _ => host.parse().map_err(|_| {
            Invalid::Form(format!(
                "{source}={host} is no IP address; use 127.0.0.1, 0.0.0.0 or [::] without brackets"
            ))
        }),
    }
}

/// Leaves out the line of the file that the library shows, which may hold anything.
fn without_source(message: &str) -> String {
    match (message.split_once(" | "), message.rsplit_once("^ ")) {
        (Some((place, _)), Some((_, fault))) => format!("{place}: {fault}"),
        (Some((place, _)), None) => place.to_owned(),
        _ => message.to_owned(),
    }
}

/// Leaves out a text that stands where none belongs, which may be a secret.
fn without_value(message: &str) -> String {
    const SHOWN: &str = "invalid type: string ";
    match (message.find(SHOWN), message.rfind(", expected ")) {
        (Some(from), Some(to)) if from < to => {
            format!("{}{}{}", &message[..from], SHOWN.trim_end(), &message[to..])
        }
        _ => message.to_owned(),
    }
}

/// The library's message on one line.
fn describe(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, variables: &[(&str, &str)]) -> Result<Settings, String> {
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&path, file).unwrap();
        let flags = Flags { file: Some(path.path().to_owned()), ..Flags::default() };
        let variables = variables.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        Settings::load(&flags, &Platform { variables })
            .map_err(|e| e.to_string().replace(&path.path().display().to_string(), "FILE"))
    }

    #[test]
    fn the_defaults_alone_are_valid_and_serve_the_demo() {
        let settings = load("", &[]).unwrap();
        assert_eq!(settings.servers["demo"].run, "lockgate demo");
        assert_eq!(settings.limits.message.as_u64(), 4 << 20);
        assert_eq!(settings.timeouts.idle.as_secs(), 1800);
    }

    #[test]
    fn later_layers_win_and_leave_the_rest() {
        let settings = load(
            "[limits]\nsessions = 5\nstarts = 2\n[servers.a]\nrun = \"cat\"\nenv = { Api_Key = \"x\" }",
            &[("LOCKGATE__LIMITS__SESSIONS", "7"), ("LOCKGATE__ACCESS__ORIGINS", "https://a.b,https://c.d")],
        )
        .unwrap();
        assert_eq!((settings.limits.sessions, settings.limits.starts), (7, 2));
        assert_eq!(settings.access.origins, ["https://a.b", "https://c.d"]);
        assert_eq!(settings.servers["a"].env["Api_Key"], "x");
        assert!(!settings.servers.contains_key("demo"));
    }

    #[test]
    fn platform_variables_move_the_listener() {
        let at = |variables: &[(&str, &str)]| load("", variables).unwrap().listen.address.to_string();
        assert_eq!(at(&[("HOST", "0.0.0.0"), ("PORT", "9")]), "0.0.0.0:9");
        assert_eq!(at(&[("PORT", "9"), ("LOCKGATE__LISTEN__ADDRESS", "[::1]:7")]), "[::1]:7");
    }

    #[test]
    fn faults_name_place_key_and_remedy() {
        for (file, expected) in [
            ("[limts]\nx = 1", "FILE: unknown key `limts`: did you mean `limits`?"),
            ("[limits]\nsesions = 1", "FILE: unknown key `limits.sesions`: did you mean `sessions`?"),
            (
                "[servers.a]\nrun = 'x'\nenvallow = []",
                "unknown key `servers.a.envallow`: did you mean `env_allow`?",
            ),
            (
                "[limits]\nstarts = 0",
                "`limits.starts` 0 would refuse every session; give at least 1 (set in FILE)",
            ),
            ("[servers.a]\nenv_allow = []", "missing configuration field \"servers.a.run\" (set in FILE)"),
            (
                "[access]\nblocked_env = \"no\"",
                "must be \"reject\" or \"ignore\" for key `access.blocked_env`",
            ),
            ("[limits]\nmessage = \"4 elephants\"", "limits.message"),
            ("[timeouts]\nidle = \"soon\"", "for key `timeouts.idle` (set in FILE)"),
            ("[timeouts]\nlifetime = \"1m\"", "`timeouts.lifetime` is shorter than timeouts.idle"),
            ("[tenants.t]\nsecrets = []\nservers = [\"nope\"]", "there is no [servers.nope]"),
            ("[sandbox]\nuids = \"7-9\"", "begins below 1000"),
            (
                "[sandbox]\nuids = \"20000-20009\"",
                "has room for 9 sessions, fewer than the 1000 of limits.sessions",
            ),
            ("[sandbox]\nprofile = \"on\"", "must be \"off\", \"default\" or \"strict\""),
            ("[servers.a]\nrun = 'x'\nwritable = ['data']", "`servers.a.writable` holds \"data\""),
            (
                "[tenants.t]\nsecrets = []\nservers = []\nrate = { per_minut = 1 }",
                "unknown key `tenants.t.rate.per_minut`: did you mean `per_minute`?",
            ),
            ("[tenants.t]\nsecrets = []\nservers = []\nsessions = 0", "`tenants.t.sessions` 0 would refuse"),
            ("[admin]\naddress = \"8001\"", "\"8001\" is no address with a port"),
            ("[limits", "cannot use FILE"),
            ("limits = 3", "it is a section: write [limits]"),
        ] {
            let error = load(file, &[]).unwrap_err();
            assert!(error.contains(expected), "{file:?} gave {error:?}");
        }
        let error = load("", &[("LOCKGATE__LIMITS__SESIONS", "1")]).unwrap_err();
        assert!(error.contains("environment") && error.contains("limits.sesions"), "{error}");
    }

    #[test]
    fn faults_do_not_show_what_may_be_secret() {
        for (file, expected) in [
            (
                "[servers.a]\nrun = \"cat\"\nenv = { A = \"hunter2\" B }",
                "cannot use FILE: TOML parse error at line 3, column 23: ",
            ),
            (
                "[tenants.a]\nservers = []\nsecrets = \"hunter2, expected\"",
                "invalid type: string, expected a sequence for key `tenants.a.secrets`",
            ),
        ] {
            let error = load(file, &[]).unwrap_err();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn every_setting_is_documented_in_one_line() {
        for line in DEFAULTS.lines().filter(|l| l.contains('=') && !l.starts_with('#')) {
            assert!(line.contains("  # "), "no comment: {line}");
        }
    }
}
