//! `--mcp-servers FILE`: servers as desktop clients list them, in JSON.
//!
//! Claude Desktop, Cursor, Cline and others have an object `mcpServers`, VS Code has `servers`. Each entry becomes what
//! `[servers.*]` says in the settings file, and is checked as that is; what cannot be honoured is refused, not left
//! out. Such files hold secrets, so nothing here shows a value.

mod document;
mod entry;

use std::path::Path;

use config::{Map, Value};

use self::document::{Json, Members};
use super::invalid::Invalid;
use super::unknown::suggestion;

/// The names that the list of servers has in files of clients.
const LISTS: [&str; 2] = ["mcpServers", "servers"];

/// Reads a file of a client to a layer of settings, which is called `place`.
///
/// # Errors
/// With the file, the key in it, the reason and what to do.
pub(super) fn read(path: &Path, place: &str) -> Result<Map<String, Value>, Invalid> {
    let unreadable = |reason| Invalid::Unreadable { place: place.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    let document = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
        unreadable(format!(
            "it is no JSON: {error}; JSON has neither comments nor a comma behind the last item"
        ))
    })?;
    let (list, servers) = list(document).map_err(unreadable)?;
    let mut read = Map::new();
    for (name, entry) in servers {
        let key = format!("{list}.{name}");
        let value = |reason: String| Invalid::Value { key: key.clone(), reason, place: place.to_owned() };
        if !is_segment(&name) {
            return Err(value(
                "cannot be part of a URL, which the name of a server is: rename it; letters, digits and -_. may be in it"
                    .into(),
            ));
        }
        let Json::Object(members) = entry else {
            return Err(value("must be an object, such as { \"command\": \"…\" }".into()));
        };
        if let Some(server) = entry::read(members).map_err(|fault| fault.at(place, &key))? {
            read.insert(name, Value::new(None, server));
        }
    }
    Ok(Map::from_iter([("servers".to_owned(), Value::new(None, read))]))
}

/// The list of servers, and what it is called.
fn list(document: Json) -> Result<(&'static str, Members), String> {
    let Json::Object(members) = document else {
        return Err("it must be an object with the member `mcpServers`".into());
    };
    let names: Vec<String> = members.iter().map(|(name, _)| name.clone()).collect();
    let mut found = members
        .into_iter()
        .filter_map(|(name, value)| LISTS.into_iter().find(|list| *list == name).map(|list| (list, value)));
    match (found.next(), found.next()) {
        (Some((list, Json::Object(servers))), None) => Ok((list, servers)),
        (Some((list, _)), None) => Err(format!("`{list}` must be an object, with a member for each server")),
        (Some(_), Some(_)) => Err("it has both `mcpServers` and `servers`; leave out one of the two".into()),
        (None, _) => {
            let near = names.iter().find(|name| suggestion(name, &LISTS).starts_with("did you mean"));
            let near = near.map(|name| format!("; is {name:?} meant to be it?")).unwrap_or_default();
            Err(format!("it has no member `mcpServers` (or `servers`, as VS Code has it){near}"))
        }
    }
}

/// Whether a URL can have this name as a segment of its path, and means it.
fn is_segment(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty() && name.bytes().all(fits) && name != "." && name != ".."
}

#[cfg(test)]
mod tests;
