//! The settings on the pages: each block of TOML is valid for `lockgate check`, as far as it is Lockgate's. What it takes
//! from around it is put there: hashes for `sha256:…`, programs, credentials, and the servers that a tenant names.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use toml::{Table, Value};

use super::Faults;
use super::markdown::{Block, Page};
use crate::gateway::lockgate;

const OTHERS: &str =
    "a block for another program has the name of its file in its first line, as `# fly.toml`";

fn is_ours(block: &Block) -> bool {
    let first = block.text.lines().next().unwrap_or_default();
    let file = first.strip_prefix("# ").map(str::trim).filter(|name| name.ends_with(".toml"));
    file.is_none_or(|name| name.ends_with("lockgate.toml"))
}

/// What a block takes from around it.
struct Surroundings<'p> {
    place: &'p Path,
    variables: Vec<String>,
}

impl Surroundings<'_> {
    /// Puts a file there for each credential, and remembers each variable of the gateway's that holds one.
    fn credentials(&mut self, value: &mut Value) {
        let Value::Table(table) = value else { return };
        if table.contains_key("scheme") {
            self.variables.extend(table.get("env").and_then(Value::as_str).map(str::to_owned));
            if let Some(file) = table.get_mut("file") {
                let path = self.place.join("credential");
                fs::write(&path, "credential").unwrap();
                *file = path.to_str().unwrap().into();
            }
        }
        table.iter_mut().for_each(|(_, inner)| self.credentials(inner));
    }

    /// Puts a program there for each command.
    fn programs(&self, settings: &Table) {
        let servers = settings.get("servers").and_then(Value::as_table).into_iter().flatten();
        for run in servers.filter_map(|(_, server)| server.get("run")?.as_str()) {
            let words = shell_words::split(run).unwrap_or_default();
            if let Some(name) = words.first().filter(|name| !name.contains('/')) {
                let _ = symlink("/bin/true", self.place.join(name));
            }
        }
    }
}

/// Adds the servers that tenants name, and that stand elsewhere.
fn add_servers(settings: &mut Table) {
    let tenants = settings.get("tenants").and_then(Value::as_table).into_iter().flatten();
    let named = tenants.filter_map(|(_, tenant)| tenant.get("servers")?.as_array()).flatten();
    let named: BTreeSet<String> = named.filter_map(|name| Some(name.as_str()?.to_owned())).collect();
    let servers = settings.entry("servers").or_insert_with(|| Value::Table(Table::new()));
    let Value::Table(servers) = servers else { return };
    for name in named.into_iter().filter(|name| name != "*") {
        let stand_in = Table::from_iter([("run".to_owned(), Value::from(format!("true {name}")))]);
        servers.entry(name).or_insert(Value::Table(stand_in));
    }
}

/// Gives each `sha256:…` 64 digits, different ones.
fn with_hashes(text: &str) -> String {
    let mut parts = text.split("\"sha256:…\"");
    let first = parts.next().unwrap_or_default().to_owned();
    (1..).zip(parts).fold(first, |whole, (number, part)| format!("{whole}\"sha256:{number:064x}\"{part}"))
}

fn check(block: &Block) -> Result<(), String> {
    let mut settings: Table =
        with_hashes(&block.text).parse().map_err(|error| format!("is no TOML: {error}"))?;
    if !is_ours(block) {
        return Ok(());
    }
    let place = tempfile::tempdir().unwrap();
    let mut around = Surroundings { place: place.path(), variables: Vec::new() };
    add_servers(&mut settings);
    settings.iter_mut().for_each(|(_, value)| around.credentials(value));
    around.programs(&settings);
    fs::write(place.path().join("lockgate.toml"), toml::to_string(&settings).unwrap()).unwrap();
    let mut command = lockgate();
    command.args(["check", "--config", "lockgate.toml"]).current_dir(place.path()).env("PATH", place.path());
    command.env("LOCKGATE_CLUSTER_SECRET", crate::deploy::CLUSTER_SECRET);
    let output = command.envs(around.variables.iter().map(|name| (name, "credential"))).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    // A page may show what only some builds have, which say so.
    let lacks_feature = !cfg!(feature = "otel") && stderr.contains("build with `--features otel`");
    if output.status.success() || lacks_feature {
        Ok(())
    } else {
        Err(format!("is not valid: {} ({OTHERS})", stderr.trim()))
    }
}

#[test]
fn every_block_of_settings_is_valid() {
    let mut faults = Faults::default();
    for page in Page::all() {
        for block in page.blocks() {
            let outcome = match &*block.language {
                "toml" => check(&block),
                "json" => serde_json::from_str::<serde_json::Value>(&block.text)
                    .map(drop)
                    .map_err(|error| format!("is no JSON: {error}")),
                language if language.contains(char::is_whitespace) => {
                    Err(format!("is marked as {language:?}; a language alone, so that it is tested"))
                }
                _ => Ok(()),
            };
            outcome.unwrap_or_else(|reason| faults.add(&page, block.line, reason));
        }
    }
    faults.tell();
}

#[test]
fn a_block_that_is_not_valid_is_found() {
    let block = |text: &str| Block { language: "toml".into(), line: 1, text: text.into() };
    for bad in
        ["[servers.a]\nrum = \"cat\"", "[servers.a]\nrun = \"x | y\"", "[sandbox]\nuids = \"1-2\"", "a = "]
    {
        check(&block(bad)).expect_err(bad);
    }
    let tenant = "[tenants.a]\nsecrets = [\"sha256:…\", \"sha256:…\"]\nservers = [\"elsewhere\"]";
    assert_eq!(check(&block(tenant)), Ok(()));
    assert_eq!(check(&block("# fly.toml\napp = \"x\"")), Ok(()));
    check(&block("# other\napp = \"x\"")).expect_err("it is taken for Lockgate's");
}
