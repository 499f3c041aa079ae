//! Puts the layers together and checks the whole.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use config::{Config, File, FileFormat};

use super::invalid::{Invalid, describe, without_value};
use super::layers::{Layer, Layers, VARIABLES, collect, has, layers, origin};
use super::{DEFAULTS, Server, Settings};

/// What the command line says over all other layers.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// The operator's file.
    pub file: Option<PathBuf>,
    /// A client's list of servers, in JSON.
    pub mcp_servers: Option<PathBuf>,
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

impl Settings {
    /// Reads all layers.
    ///
    /// # Errors
    /// With the place, the key, the reason and a suggestion.
    pub fn load(flags: &Flags, platform: &Platform) -> Result<Self, Invalid> {
        let defaults = collect("config/default.toml", File::from_str(DEFAULTS, FileFormat::Toml))?;
        let layers = layers(flags, platform)?;
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
        let warm = self.servers.values().fold(0, |sum: usize, server| sum.saturating_add(server.warm));
        let checks = [
            self.listen.check(),
            self.access.check(),
            self.limits.check(),
            self.timeouts.check(),
            self.sandbox.check(self.limits.sessions, warm),
            self.telemetry.check(),
            self.store.check(),
        ];
        for check in checks {
            check.map_err(|(key, reason)| (key.to_owned(), reason))?;
        }
        for (name, server) in &self.servers {
            server.check().map_err(|(key, reason)| (format!("servers.{name}.{key}"), reason))?;
        }
        for (id, tenant) in &self.tenants {
            tenant.check(&self.servers).map_err(|(key, reason)| (format!("tenants.{id}.{key}"), reason))?;
        }
        Ok(())
    }
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
        assert_eq!(settings.servers["demo"].target(), "lockgate demo");
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
            (
                "[servers.a]\nenv_allow = []",
                "`servers.a.run` is missing; give a command, or the `url` of a remote",
            ),
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
            ("[telemetry]\nlog = \"text\"", "must be \"auto\", \"human\" or \"json\""),
            ("[telemetry]\ntraces = \"collector:4318\"", "`telemetry.traces` must begin with http://"),
            ("[telemetry]\ntrace = \"\"", "unknown key `telemetry.trace`: did you mean `traces`?"),
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
    fn a_selection_that_means_nothing_is_refused() {
        for (file, expected) in [
            (
                "[servers.a]\nrun = 'x'\nresources = { allow = ['a', ''] }",
                "`servers.a.resources` holds an empty name; `*` stands for every name (set in FILE)",
            ),
            (
                "[servers.a]\nrun = 'x'\ntools = { alow = ['a'] }",
                "unknown key `servers.a.tools.alow`: did you mean `allow`?",
            ),
            (
                "[servers.a]\nrun = 'x'\nprompts = ['a']",
                "`servers.a.prompts`: it is a table: write prompts = { allow = [\"…\"] }",
            ),
            (
                "[tenants.t]\nsecrets = []\nservers = []\ntools = { deny = [''] }",
                "`tenants.t.tools` holds an empty name",
            ),
            (
                "[tenants.t]\nsecrets = []\nservers = []\nresources = { denied = [] }",
                "unknown key `tenants.t.resources.denied`: did you mean `deny`?",
            ),
        ] {
            let error = load(file, &[]).unwrap_err();
            assert!(error.contains(expected), "{file:?} gave {error:?}");
        }
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
    fn the_remote_servers_of_the_documentation_can_be_pasted() {
        let from = DEFAULTS.find("# [servers.docs]").unwrap();
        let lines = DEFAULTS[from..].lines().take_while(|line| !line.is_empty());
        let example: String = lines.map(|line| line.trim_start_matches("# ").to_owned() + "\n").collect();
        let settings = load(&example, &[]).unwrap();
        assert_eq!(settings.servers["docs"].tool_auth.len(), 1);
        assert!(["search", "files"].iter().all(|name| settings.servers[*name].auth.is_some()));
    }

    #[test]
    fn every_setting_is_documented_in_one_line() {
        for line in DEFAULTS.lines().filter(|l| l.contains('=') && !l.starts_with('#')) {
            assert!(line.contains("  # "), "no comment: {line}");
        }
    }
}
