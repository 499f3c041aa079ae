//! One entry of a client's list: the members that mean something here, those that only mean something to the client,
//! and the rest, which is refused.

use config::{Map, Value};

use super::document::{Json, Members};
use crate::settings::invalid::Invalid;
use crate::settings::unknown::suggestion;

/// What is read.
#[rustfmt::skip]
const READ: [&str; 10] = [
    "args", "command", "disabled", "env", "headers", "httpUrl", "serverUrl", "transport", "type", "url",
];
/// What says how a client shows a server, waits for it, or asks its user.
#[rustfmt::skip]
const THE_CLIENTS: [&str; 11] = [
    "alwaysAllow", "autoApprove", "description", "dev", "displayName", "gallery", "icon", "name", "timeout", "title",
    "version",
];
/// What would change what is run or offered, and cannot be had.
const NOT_HAD: [(&str, &str); 5] = [
    (
        "cwd",
        "cannot be honoured: each session has a directory of its own; give absolute paths, and leave it out",
    ),
    ("envFile", "is not read: write the variables into `env`, and leave it out"),
    ("includeTools", CHOICE),
    ("excludeTools", CHOICE),
    ("disabledTools", CHOICE),
];
const CHOICE: &str = "would be lost, and clients get tools that are not meant for them: list this server in the settings file instead, with `tools`";
/// The names that clients have for transports, and what they are here.
const TRANSPORTS: [(&str, &str); 5] = [
    ("stdio", STDIO),
    // Clients that call it so try the older transport, too.
    ("http", "auto"),
    ("streamable-http", "streamable"),
    ("streamableHttp", "streamable"),
    ("sse", "sse"),
];
const STDIO: &str = "stdio";

/// What is wrong with an entry: the member, and the reason.
#[derive(Debug)]
pub(super) enum Fault {
    Unknown(String, String),
    Member(String, String),
    Entry(String),
}

impl Fault {
    fn member(name: &str, reason: impl Into<String>) -> Self {
        Self::Member(name.to_owned(), reason.into())
    }

    /// As the operator is told: of the entry under this key of this file.
    pub(super) fn at(self, place: &str, key: &str) -> Invalid {
        let place = place.to_owned();
        match self {
            Self::Unknown(name, suggestion) => {
                Invalid::Unknown { place, key: format!("{key}.{name}"), suggestion }
            }
            Self::Member(name, reason) => Invalid::Value { key: format!("{key}.{name}"), reason, place },
            Self::Entry(reason) => Invalid::Value { key: key.to_owned(), reason, place },
        }
    }
}

/// An entry as settings have it; `None` if the client does not use it either.
pub(super) fn read(mut members: Members) -> Result<Option<Map<String, Value>>, Fault> {
    for (name, _) in &members {
        if let Some((_, reason)) = NOT_HAD.iter().find(|(known, _)| known == name) {
            return Err(Fault::member(name, *reason));
        }
        if !READ.contains(&name.as_str()) && !THE_CLIENTS.contains(&name.as_str()) {
            return Err(Fault::Unknown(name.clone(), suggestion(name, &READ)));
        }
    }
    let disabled = match take(&mut members, "disabled") {
        None => false,
        Some(Json::Flag(flag)) => flag,
        Some(_) => return Err(Fault::member("disabled", "must be true or false")),
    };
    if disabled {
        return Ok(None);
    }
    let transport = transport(&mut members)?;
    let url = url(&mut members)?;
    let command = take(&mut members, "command").map(|command| text("command", command)).transpose()?;
    match (command, url) {
        (Some(command), None) => local(&command, transport, members).map(Some),
        (None, Some(url)) => remote(url, transport, members).map(Some),
        (Some(_), Some((name, _))) => {
            Err(Fault::member(name, "stands beside `command`; a server is either a command or remote"))
        }
        (None, None) => {
            Err(Fault::Entry("has neither `command` nor `url`; give one, or \"disabled\": true".into()))
        }
    }
}

/// A command, whose words a shell's quoting gives back as they are.
fn local(
    command: &str,
    transport: Option<(&str, &str)>,
    mut members: Members,
) -> Result<Map<String, Value>, Fault> {
    if let Some((name, _)) = transport.filter(|(_, transport)| *transport != STDIO) {
        return Err(Fault::member(name, "is for remote servers; a command is \"stdio\""));
    }
    if holds(&members, "headers") {
        return Err(Fault::member(
            "headers",
            "is for remote servers, which have a `url`; a command has `env`",
        ));
    }
    if command.is_empty() {
        return Err(Fault::member("command", "is empty; name the program"));
    }
    let mut words = vec![without_variables("command", command.to_owned())?];
    match take(&mut members, "args") {
        None => {}
        Some(Json::List(args)) => {
            for (index, arg) in args.into_iter().enumerate() {
                let name = format!("args[{index}]");
                words.push(without_variables(&name, text(&name, arg)?)?);
            }
        }
        Some(_) => return Err(Fault::member("args", "must be a list of texts")),
    }
    let mut env: Map<String, Value> = Map::new();
    for (name, value) in texts("env", take(&mut members, "env"))? {
        env.insert(name.clone(), without_the_gateways(&format!("env.{name}"), &name, value)?.into());
    }
    let run = shell_words::join(words);
    Ok(Map::from_iter([("run".to_owned(), run.into()), ("env".to_owned(), Value::new(None, env))]))
}

fn remote(
    (key, url): (&str, String),
    transport: Option<(&str, &str)>,
    mut members: Members,
) -> Result<Map<String, Value>, Fault> {
    for name in ["args", "env"] {
        if holds(&members, name) {
            return Err(Fault::member(name, "is for commands; leave it out beside a URL"));
        }
    }
    if url.contains("${") {
        let reason =
            "holds a `${…}`; in the settings file, `headers` and `query` of a server may hold variables";
        return Err(Fault::member(key, reason));
    }
    let mut headers: Map<String, Value> = Map::new();
    for (name, value) in texts("headers", take(&mut members, "headers"))? {
        headers.insert(name.clone(), of_the_session(&format!("headers.{name}"), value)?.into());
    }
    let transport = match transport {
        Some((name, STDIO)) => {
            return Err(Fault::member(name, "is \"stdio\", but a server with a URL is remote; leave it out"));
        }
        Some((_, transport)) => transport,
        // Whose key it is has but one.
        None if key == "httpUrl" => "streamable",
        None => "auto",
    };
    Ok(Map::from_iter([
        ("url".to_owned(), url.into()),
        ("transport".to_owned(), transport.into()),
        ("headers".to_owned(), Value::new(None, headers)),
    ]))
}

/// Which of the two members says how the server is spoken to, and what it says.
fn transport(members: &mut Members) -> Result<Option<(&'static str, &'static str)>, Fault> {
    let mut found: Option<(&str, &str)> = None;
    for name in ["type", "transport"] {
        let Some(value) = take(members, name) else { continue };
        let value = text(name, value)?;
        let known = TRANSPORTS.iter().find(|(word, _)| *word == value);
        let Some((_, transport)) = known else {
            let words: Vec<String> = TRANSPORTS.iter().map(|(word, _)| format!("{word:?}")).collect();
            return Err(Fault::member(name, format!("must be one of {}", words.join(", "))));
        };
        if found.is_some_and(|(_, other)| other != *transport) {
            return Err(Fault::member(name, "says something else than `type`; leave out one of the two"));
        }
        found = Some((name, transport));
    }
    Ok(found)
}

fn url(members: &mut Members) -> Result<Option<(&'static str, String)>, Fault> {
    let mut found: Option<(&str, String)> = None;
    for name in ["url", "serverUrl", "httpUrl"] {
        let Some(value) = take(members, name) else { continue };
        if let Some((other, _)) = found {
            return Err(Fault::member(name, format!("stands beside `{other}`; leave out one of the two")));
        }
        found = Some((name, text(name, value)?));
    }
    Ok(found)
}

fn take(members: &mut Members, name: &str) -> Option<Json> {
    let at = members.iter().position(|(known, _)| known == name)?;
    Some(members.remove(at).1)
}

/// Whether there is something under this name; what writes such files may write it empty.
fn holds(members: &Members, name: &str) -> bool {
    let empty = |value: &Json| {
        matches!(value, Json::Object(members) if members.is_empty()) || *value == Json::List(vec![])
    };
    members.iter().any(|(known, value)| known == name && !empty(value))
}

fn text(name: &str, value: Json) -> Result<String, Fault> {
    match value {
        Json::Text(text) => Ok(text),
        _ => Err(Fault::member(name, "must be text, in quotation marks")),
    }
}

fn texts(name: &str, value: Option<Json>) -> Result<Vec<(String, String)>, Fault> {
    match value {
        None => Ok(Vec::new()),
        Some(Json::Object(members)) => {
            let text = |(key, value)| text(&format!("{name}.{key}"), value).map(|text| (key, text));
            members.into_iter().map(text).collect()
        }
        Some(_) => Err(Fault::member(name, "must be an object of texts")),
    }
}

const ASKS: &str = "holds a `${input:…}`, which asks a person, and nobody is there to be asked";

fn without_variables(name: &str, value: String) -> Result<String, Fault> {
    match value.contains("${") {
        false => Ok(value),
        true if value.contains("${input:") => Err(Fault::member(name, format!("{ASKS}: write the value"))),
        true => Err(Fault::member(
            name,
            "holds a `${…}`, which a client fills in and the gateway does not: write the value",
        )),
    }
}

/// A client fills in its own environment. That would be the gateway's, of which nothing is for servers.
fn without_the_gateways(name: &str, variable: &str, value: String) -> Result<String, Fault> {
    let instead = format!(
        "write the value, or leave `{variable}` out, so that each client sends its own in the header ENV_{variable}"
    );
    match value.contains("${") {
        false => Ok(value),
        true if value.contains("${input:") => Err(Fault::member(name, format!("{ASKS}: {instead}"))),
        true => Err(Fault::member(
            name,
            format!("holds a `${{…}}`, but no server gets anything of the gateway's environment: {instead}"),
        )),
    }
}

/// In a header, `${NAME}` is a variable of the session, as in the settings file.
fn of_the_session(name: &str, value: String) -> Result<String, Fault> {
    let instead = "write ${NAME}, so that each client sends its own in the header ENV_NAME, or list this server in the settings file, with `auth`";
    let mut rest = value.as_str();
    while let Some((_, after)) = rest.split_once("${") {
        let inside = after.split_once('}').map_or(after, |(inside, _)| inside);
        if inside.starts_with("input:") {
            return Err(Fault::member(name, format!("{ASKS}: {instead}")));
        }
        if !inside.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_') {
            return Err(Fault::member(
                name,
                format!(
                    "holds a `${{…}}` that is no variable of a session, and no server gets anything of the gateway's environment: {instead}"
                ),
            ));
        }
        rest = after;
    }
    Ok(value)
}
