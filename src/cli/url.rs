//! `lockgate url`: what to paste where.

use std::process::ExitCode;

use serde::Serialize;

use super::SettingsArgs;
use super::colour::{HEADING, LACKING};
use super::print::{print, print_json, say};
use crate::settings::Settings;
use crate::snippets::{Place, Snippet};

/// What a client needs.
#[derive(Debug, Serialize)]
struct Urls {
    /// Whether the allowlist has the server.
    allowed: bool,
    mcp: String,
    sse: String,
    /// What to paste where.
    snippets: Vec<Snippet>,
}

/// Names that are worth telling.
const NEAR: usize = 5;

pub(super) fn run(
    args: &SettingsArgs,
    json: bool,
    command: &str,
    base: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let settings = args.load()?;
    let listen = &settings.listen;
    let origin = base.map_or_else(
        || listen.base(listen.address),
        |base| format!("{}{}", base.trim_end_matches('/'), listen.base_path),
    );
    let named = named(&settings, command);
    if named.is_none() {
        say(format_args!("{LACKING}lockgate: note{LACKING:#}: {}", unlisted(&settings, command)));
    }
    let place = Place::new(&origin, named.unwrap_or(command));
    let (mcp, sse, snippets) = (place.url(), place.legacy_url(), place.snippets());
    let urls = Urls { allowed: named.is_some(), mcp, sse, snippets };
    if json {
        print_json(&urls)?;
    } else {
        urls.show()?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Urls {
    fn show(&self) -> anyhow::Result<()> {
        print(format_args!("{HEADING}{}{HEADING:#}", self.mcp))?;
        for Snippet { client, place, text } in &self.snippets {
            print(format_args!("\n{HEADING}{client}{HEADING:#} ({place}):\n\n{text}"))?;
        }
        let sse = &self.sse;
        print(format_args!("\nClients that only speak HTTP with SSE (2024-11-05) connect to:\n{sse}"))?;
        Ok(())
    }
}

/// What there is to do about a server that is not on the allowlist.
fn unlisted(settings: &Settings, wanted: &str) -> String {
    let near = near(settings, wanted);
    if !near.is_empty() {
        return format!("{wanted:?} is not on the allowlist; did you mean {}?", near.join(" or "));
    }
    let is_url = ["http://", "https://"].iter().any(|scheme| wanted.starts_with(scheme));
    let key = if is_url { "url" } else { "run" };
    let names: Vec<&str> = settings.servers.keys().take(NEAR).map(String::as_str).collect();
    let more = if settings.servers.len() > NEAR { ", … (`lockgate check` prints all)" } else { "" };
    format!(
        "{wanted:?} is not on the allowlist, which has {}{more}; add it to the settings:\n\n    \
         [servers.<name>]\n    {key} = {wanted:?}\n",
        names.join(", ")
    )
}

/// The names of servers that may have been meant, the nearest first: misspelt, or a part of the command.
fn near<'s>(settings: &'s Settings, wanted: &str) -> Vec<&'s str> {
    let distance = |text: &str| {
        let distance = strsim::damerau_levenshtein(wanted, text);
        (distance <= text.len().min(wanted.len()) / 3).then_some(distance)
    };
    let mut near: Vec<(usize, &str)> = settings
        .servers
        .iter()
        .filter_map(|(name, server)| {
            let is_part = wanted.len() > 2 && server.target().contains(wanted);
            let misspelt = distance(name).into_iter().chain(distance(server.target())).min();
            misspelt.or(is_part.then_some(wanted.len())).map(|distance| (distance, name.as_str()))
        })
        .collect();
    near.sort_unstable();
    near.into_iter().take(NEAR).map(|(_, name)| name).collect()
}

/// What clients call a server by. A remote one has no command, so its URL stands for its short name.
fn named<'s>(settings: &'s Settings, wanted: &'s str) -> Option<&'s str> {
    settings.servers.iter().find_map(|(name, server)| match (&server.run, &server.url) {
        _ if name == wanted => Some(wanted),
        (Some(run), _) if run == wanted => Some(wanted),
        (None, Some(url)) if url == wanted => Some(name.as_str()),
        _ => None,
    })
}
