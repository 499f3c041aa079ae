//! Where settings come from: the operator's file, a client's list of servers, and the environment, each a layer over
//! what was before.

use std::path::Path;

use config::{Config, Environment, File, FileFormat, Map, Source, Value};

use super::import;
use super::invalid::{Invalid, describe, without_source};
use super::{Flags, Platform};

/// The layer of the environment, as an error names it.
pub(super) const VARIABLES: &str = "the environment (LOCKGATE__…)";

/// The layers over the defaults, each with the name that an error gives it.
pub(super) type Layers = Vec<(String, Map<String, Value>)>;

/// A layer that was read already, so that no file is read twice.
#[derive(Clone, Debug)]
pub(super) struct Layer(pub(super) Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }
}

/// Reads the operator's file, if there is one, a client's list of servers, if there is one, and then the environment.
pub(super) fn layers(flags: &Flags, platform: &Platform) -> Result<Layers, Invalid> {
    let mut layers = Layers::new();
    if let Some(path) = &flags.file {
        let place = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|e| Invalid::Unreadable { place: place.clone(), reason: e.to_string() })?;
        let layer = collect(&place, File::from_str(&text, FileFormat::Toml))?;
        layers.push((place, layer));
    }
    if let Some(path) = &flags.mcp_servers {
        layers.push(imported(path, &layers)?);
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
            .with_list_parse_key("cluster.nodes")
            .source(Some(variables));
        layers.push((VARIABLES.to_owned(), collect(VARIABLES, source)?));
    }
    Ok(layers)
}

/// A client's list of servers. None of them may be in the operator's file, too: of two entries, half of each would be
/// in effect.
fn imported(path: &Path, others: &Layers) -> Result<(String, Map<String, Value>), Invalid> {
    let place = path.display().to_string();
    let layer = import::read(path, &place)?;
    let servers =
        |layer: &Map<String, Value>| layer.get("servers").and_then(|value| value.clone().into_table().ok());
    for name in servers(&layer).unwrap_or_default().into_keys() {
        if let Some((other, _)) =
            others.iter().find(|(_, layer)| servers(layer).is_some_and(|all| all.contains_key(&name)))
        {
            let reason = format!("is set in {other}, too; rename one of the two, or leave it out");
            return Err(Invalid::Value { key: format!("servers.{name}"), reason, place });
        }
    }
    Ok((place, layer))
}

/// Reads one source to a tree; dotted environment names have become tables by then.
pub(super) fn collect(
    place: &str,
    source: impl Source + Send + Sync + 'static,
) -> Result<Map<String, Value>, Invalid> {
    let unreadable = |e: config::ConfigError| Invalid::Unreadable {
        place: place.to_owned(),
        reason: without_source(&describe(&e.to_string())),
    };
    let config = Config::builder().add_source(vec![Box::new(source) as Box<dyn Source + Send + Sync>]);
    config.build().map_err(unreadable)?.cache.into_table().map_err(unreadable)
}

pub(super) fn has(layer: &Map<String, Value>, key: &str) -> bool {
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
pub(super) fn origin<'a>(key: &str, layers: &'a Layers) -> &'a str {
    layers.iter().rev().find(|(_, layer)| has(layer, key)).map_or("config/default.toml", |(place, _)| place)
}
