//! Refuses keys that mean nothing, so that a misspelt limit is never a missing limit.

use config::{Map, Value, ValueKind};

/// Keys of one `[servers.*]` table.
#[rustfmt::skip]
const SERVER: [&str; 21] = [
    "allow_private", "auth", "docker", "env", "env_allow", "era", "headers", "prefetch", "prompts", "query",
    "readable", "resources", "run", "sessions", "timeout", "tool_auth", "tools", "transport", "url", "warm",
    "writable",
];
/// Keys of one `[tenants.*]` table.
const TENANT: [&str; 9] =
    ["auth", "env", "prompts", "rate", "resources", "secrets", "servers", "sessions", "tools"];
/// Keys of a credential.
#[rustfmt::skip]
const AUTH: [&str; 10] = [
    "client_id", "env", "file", "header", "passthrough", "query", "scheme", "scope", "token_url", "user",
];
/// Keys of the tables inside either, and how such a table is written.
const SELECTION: Inner = (&["allow", "deny"], "{ allow = [\"…\"] }");
const INNER: [(&str, Inner); 4] = [
    ("rate", (&["burst", "opens_per_minute", "per_minute"], "{ per_minute = … }")),
    ("tools", SELECTION),
    ("resources", SELECTION),
    ("prompts", SELECTION),
];

type Inner = (&'static [&'static str], &'static str);

/// The first key of `layer` that no setting has, with a suggestion; `known` is the default layer.
pub(super) fn unknown_key(
    layer: &Map<String, Value>,
    known: &Map<String, Value>,
) -> Option<(String, String)> {
    let sections = known.keys().map(String::as_str).chain(["servers", "tenants"]).collect::<Vec<_>>();
    layer.iter().find_map(|(section, value)| {
        if !sections.contains(&section.as_str()) {
            return Some((section.clone(), suggestion(section, &sections)));
        }
        let ValueKind::Table(table) = &value.kind else {
            return Some((section.clone(), format!("it is a section: write [{section}]")));
        };
        match section.as_str() {
            "servers" => unknown_entry(section, table, &SERVER).or_else(|| {
                table.iter().find_map(|(name, server)| {
                    let (path, server) = (format!("servers.{name}"), server.clone().into_table().ok()?);
                    let own = server.get("auth").and_then(|auth| unknown_auth(&format!("{path}.auth"), auth));
                    own.or_else(|| unknown_auths(&format!("{path}.tool_auth"), server.get("tool_auth")?))
                })
            }),
            "tenants" => unknown_entry(section, table, &TENANT).or_else(|| {
                table.iter().find_map(|(id, tenant)| {
                    let auth = tenant.clone().into_table().ok()?.remove("auth")?;
                    unknown_auths(&format!("tenants.{id}.auth"), &auth)
                })
            }),
            _ => {
                let keys = match &known[section].kind {
                    ValueKind::Table(defaults) => defaults.keys().map(String::as_str).collect(),
                    _ => Vec::new(),
                };
                unknown_in(section, table, &keys)
            }
        }
    })
}

fn unknown_entry(section: &str, entries: &Map<String, Value>, keys: &[&str]) -> Option<(String, String)> {
    entries.iter().find_map(|(name, value)| match &value.kind {
        ValueKind::Table(table) => {
            let path = format!("{section}.{name}");
            unknown_in(&path, table, keys).or_else(|| unknown_inside(&path, table))
        }
        _ => Some((format!("{section}.{name}"), format!("it is a table: write [{section}.{name}]"))),
    })
}

fn unknown_inside(path: &str, entry: &Map<String, Value>) -> Option<(String, String)> {
    INNER.iter().find_map(|(name, (keys, form))| {
        let path = format!("{path}.{name}");
        match &entry.get(*name)?.kind {
            ValueKind::Table(table) => unknown_in(&path, table, keys),
            _ => Some((path, format!("it is a table: write {name} = {form}"))),
        }
    })
}

/// Several credentials, by name.
fn unknown_auths(path: &str, auths: &Value) -> Option<(String, String)> {
    match &auths.kind {
        ValueKind::Table(all) => {
            all.iter().find_map(|(name, auth)| unknown_auth(&format!("{path}.{name}"), auth))
        }
        _ => Some((path.to_owned(), "it is a table: write name = { scheme = … }".into())),
    }
}

fn unknown_auth(path: &str, auth: &Value) -> Option<(String, String)> {
    match &auth.kind {
        ValueKind::Table(auth) => unknown_in(path, auth, &AUTH),
        _ => Some((path.to_owned(), "it is a table: write { scheme = … }".into())),
    }
}

fn unknown_in(path: &str, table: &Map<String, Value>, keys: &[&str]) -> Option<(String, String)> {
    let key = table.keys().find(|key| !keys.contains(&key.as_str()))?;
    Some((format!("{path}.{key}"), suggestion(key, keys)))
}

pub(super) fn suggestion(key: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(key, name), name))
        .filter(|(distance, name)| *distance <= name.len().max(key.len()) / 2)
        .min();
    match near {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => format!("known here are: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::DEFAULTS;
    use super::*;

    /// Whether a text gives this key a value.
    fn sets(text: &str, key: &str) -> bool {
        text.match_indices(&format!("{key} =")).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            !before.is_some_and(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        })
    }

    #[test]
    fn every_key_of_servers_and_tenants_is_in_the_documentation_of_settings() {
        let (_, entries) = DEFAULTS.split_once("# [servers.").unwrap();
        let (servers, tenants) = entries.split_once("# [tenants.").unwrap();
        for key in SERVER.iter().chain(&AUTH).chain(SELECTION.0) {
            assert!(sets(servers, key), "config/default.toml shows no server with `{key} = …`");
        }
        let [(_, (rate, _)), ..] = INNER;
        for key in TENANT.iter().chain(rate) {
            assert!(sets(tenants, key), "config/default.toml shows no tenant with `{key} = …`");
        }
        assert!(!sets("headers = {} # api_header = 1", "header"), "a part of a word is no key");
    }
}
