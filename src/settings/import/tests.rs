use proptest::prelude::*;

use super::*;
use crate::settings::{Flags, Platform, RemoteTransport, Server, Settings};

fn load(document: &str, settings: &str) -> Result<Settings, String> {
    let (json, toml) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
    std::fs::write(&json, document).unwrap();
    std::fs::write(&toml, settings).unwrap();
    let (mcp_servers, file) = (Some(json.path().to_owned()), Some(toml.path().to_owned()));
    let flags = Flags { file, mcp_servers, ..Flags::default() };
    Settings::load(&flags, &Platform::default()).map_err(|error| {
        let shown = |path: &Path| path.display().to_string();
        error.to_string().replace(&shown(json.path()), "JSON").replace(&shown(toml.path()), "TOML")
    })
}

/// The one server of a file with this entry.
fn server(entry: &str) -> Result<Server, String> {
    let settings = load(&format!(r#"{{ "mcpServers": {{ "x": {entry} }} }}"#), "")?;
    Ok(settings.servers["x"].clone())
}

#[test]
fn what_clients_write_is_read() {
    let file = r#"{
        "globalShortcut": "", "inputs": [{ "id": "token", "password": true }],
        "mcpServers": {
            "files": {
                "type": "stdio", "command": "npx", "args": ["-y", "server", "a b", "it's", "", "$HOME"],
                "env": { "KEY": "v" }, "disabled": false, "autoApprove": ["x"], "timeout": 60, "description": null
            },
            "off": { "command": "npx", "disabled": true },
            "docs-2.x": { "url": "https://a.example/mcp", "headers": { "X-Key": "${KEY}" }, "args": [], "env": {} }
        }
    }"#;
    let settings = load(file, "[servers.own]\nrun = \"cat\"").unwrap();
    assert_eq!(settings.servers.keys().collect::<Vec<_>>(), ["docs-2.x", "files", "own"]);
    let files = &settings.servers["files"];
    assert_eq!(
        shell_words::split(files.target()).unwrap(),
        ["npx", "-y", "server", "a b", "it's", "", "$HOME"]
    );
    assert_eq!(files.env["KEY"], "v");
    let docs = &settings.servers["docs-2.x"];
    assert_eq!((docs.target(), docs.transport), ("https://a.example/mcp", RemoteTransport::Auto));
    assert_eq!(docs.headers["X-Key"], "${KEY}");
    let code = load("\u{feff}{ \"servers\": { \"a\": { \"command\": \"cat\" } } }", "").unwrap();
    assert_eq!(code.servers["a"].target(), "cat");
}

#[test]
fn each_word_for_a_transport_means_what_it_means_to_clients() {
    use RemoteTransport::{Auto, Sse, Streamable};
    for (entry, expected) in [
        (r#""url": "https://a.example""#, Auto),
        (r#""serverUrl": "https://a.example""#, Auto),
        (r#""httpUrl": "https://a.example""#, Streamable),
        (r#""type": "http", "url": "https://a.example""#, Auto),
        (r#""type": "streamable-http", "url": "https://a.example""#, Streamable),
        (
            r#""type": "streamableHttp", "transport": "streamable-http", "url": "https://a.example""#,
            Streamable,
        ),
        (r#""transport": "sse", "url": "https://a.example""#, Sse),
    ] {
        assert_eq!(server(&format!("{{ {entry} }}")).unwrap().transport, expected, "{entry}");
    }
}

proptest! {
    #[test]
    fn splitting_gives_the_arguments_back(words in prop::collection::vec("\\PC*", 1..6)) {
        prop_assume!(!words[0].is_empty() && words.iter().all(|word| !word.contains("${")));
        let (command, args) = words.split_first().unwrap();
        let entry = serde_json::json!({ "command": command, "args": args });
        prop_assert_eq!(shell_words::split(server(&entry.to_string()).unwrap().target()).unwrap(), words);
    }
}

/// Entries, and what is wrong with them. No text may show a value.
const REFUSED: &[(&str, &str)] = &[
    ("3", "`mcpServers.x` must be an object"),
    ("{}", "`mcpServers.x` has neither `command` nor `url`; give one"),
    (r#"{ "comand": "a" }"#, "JSON: unknown key `mcpServers.x.comand`: did you mean `command`?"),
    (r#"{ "command": "a", "disbled": true }"#, "`mcpServers.x.disbled`: did you mean `disabled`?"),
    (r#"{ "command": "a", "disabled": "hunter2" }"#, "`mcpServers.x.disabled` must be true or false"),
    (r#"{ "command": "a", "cwd": "/hunter2" }"#, "`mcpServers.x.cwd` cannot be honoured"),
    (r#"{ "command": "a", "envFile": ".hunter2" }"#, "`mcpServers.x.envFile` is not read: write the"),
    (r#"{ "command": "a", "disabledTools": ["b"] }"#, "`mcpServers.x.disabledTools` would be lost"),
    (r#"{ "command": "" }"#, "`mcpServers.x.command` is empty; name the program"),
    (r#"{ "command": ["hunter2"] }"#, "`mcpServers.x.command` must be text, in quotation marks"),
    (r#"{ "command": "a", "args": "hunter2" }"#, "`mcpServers.x.args` must be a list of texts"),
    (r#"{ "command": "a", "args": ["b", 7] }"#, "`mcpServers.x.args[1]` must be text"),
    (r#"{ "command": "a", "args": ["${workspaceFolder}hunter2"] }"#, "`mcpServers.x.args[0]` holds a `${…}`"),
    (r#"{ "command": "${input:hunter2}" }"#, "`mcpServers.x.command` holds a `${input:…}`, which asks"),
    (r#"{ "command": "a", "env": ["hunter2"] }"#, "`mcpServers.x.env` must be an object of texts"),
    (r#"{ "command": "a", "env": { "K": 7 } }"#, "`mcpServers.x.env.K` must be text, in quotation marks"),
    (
        r#"{ "command": "a", "env": { "K": "${env:hunter2}" } }"#,
        "`mcpServers.x.env.K` holds a `${…}`, but no",
    ),
    (r#"{ "command": "a", "env": { "K": "${K:-hunter2}" } }"#, "sends its own in the header ENV_K"),
    (
        r#"{ "command": "a", "env": { "K": "${input:hunter2}" } }"#,
        "`mcpServers.x.env.K` holds a `${input:…}`",
    ),
    (r#"{ "command": "a", "headers": { "A": "b" } }"#, "`mcpServers.x.headers` is for remote servers"),
    (r#"{ "command": "a", "type": "sse" }"#, "`mcpServers.x.type` is for remote servers; a command is"),
    (r#"{ "command": "a", "url": "https://b" }"#, "`mcpServers.x.url` stands beside `command`"),
    (r#"{ "url": "https://b", "httpUrl": "https://c" }"#, "`mcpServers.x.httpUrl` stands beside `url`"),
    (r#"{ "url": "https://b", "type": "stdio" }"#, "`mcpServers.x.type` is \"stdio\", but"),
    (
        r#"{ "url": "https://b", "type": "hunter2" }"#,
        "`mcpServers.x.type` must be one of \"stdio\", \"http\"",
    ),
    (
        r#"{ "url": "https://b", "type": "sse", "transport": "http" }"#,
        "`mcpServers.x.transport` says something",
    ),
    (r#"{ "url": "https://b", "args": ["hunter2"] }"#, "`mcpServers.x.args` is for commands"),
    (r#"{ "url": "https://b", "env": { "K": "hunter2" } }"#, "`mcpServers.x.env` is for commands"),
    (r#"{ "url": "https://b/${hunter2}" }"#, "`mcpServers.x.url` holds a `${…}`; in the settings file"),
    (
        r#"{ "url": "https://b", "headers": { "A": "${env:K}hunter2" } }"#,
        "write ${NAME}, so that each client",
    ),
    (r#"{ "url": "https://b", "headers": { "A": "${K}${input:hunter2}" } }"#, "which asks a person"),
    (r#"{ "url": "https://b", "headers": { "A": "${K:-hunter2}" } }"#, "that is no variable of a session"),
    // As the settings file's are.
    (
        r#"{ "url": "ftp://hunter2" }"#,
        "`servers.x.url` must begin with https:// or http:// and a host (set in JSON)",
    ),
    (r#"{ "url": "https://u:hunter2@b" }"#, "`servers.x.url` holds a user or a password"),
    (
        r#"{ "url": "https://b", "headers": { "A": "hunter2\n" } }"#,
        "holds a value for \"A\" that no header can",
    ),
    (r#"{ "url": "https://b", "headers": { "Host": "hunter2" } }"#, "which the gateway sets by itself"),
];

#[test]
fn what_cannot_be_honoured_is_refused_by_entry_key_reason_and_remedy() {
    let long = "rename it; letters, digits and -_. may be in it";
    for (entry, expected) in REFUSED {
        let error = server(entry).unwrap_err();
        assert!(error.contains(expected) && error.contains("JSON"), "{entry} gave {error:?}");
        assert!(!error.contains("hunter2"), "{entry} shows a value: {error}");
    }
    for name in ["", "My Server", "a/b", "ä", "..", "a%20"] {
        let error = load(&format!("{{ \"mcpServers\": {{ {name:?}: {{ \"command\": \"a\" }} }} }}"), "");
        let error = error.unwrap_err();
        assert!(
            error.contains(&format!("`mcpServers.{name}` cannot be part of a URL")) && error.contains(long)
        );
    }
}

#[test]
fn a_file_that_is_no_list_of_servers_is_refused() {
    for (document, expected) in [
        ("", "cannot use JSON: it is no JSON: EOF while parsing"),
        ("{ // hunter2\n}", "it is no JSON: key must be a string at line 1"),
        ("[\"hunter2\"]", "it must be an object with the member `mcpServers`"),
        ("{ \"mcpServer\": {} }", "is \"mcpServer\" meant to be it?"),
        ("{ \"theme\": \"hunter2\" }", "it has no member `mcpServers` (or `servers`, as VS Code has it)"),
        (
            "{ \"mcpServers\": [\"hunter2\"] }",
            "`mcpServers` must be an object, with a member for each server",
        ),
        ("{ \"mcpServers\": {}, \"servers\": {} }", "it has both `mcpServers` and `servers`"),
        (
            r#"{ "mcpServers": { "a": { "command": "hunter2" }, "a": { "command": "hunter2" } } }"#,
            "the member \"a\" stands twice in one object at line 1",
        ),
    ] {
        let error = load(document, "").unwrap_err();
        assert!(
            error.contains(expected) && error.starts_with("cannot use JSON: "),
            "{document} gave {error:?}"
        );
        assert!(!error.contains("hunter2"), "{document} shows a value: {error}");
    }
    let flags = Flags { mcp_servers: Some("/no/such/file".into()), ..Flags::default() };
    let error = Settings::load(&flags, &Platform::default()).unwrap_err().to_string();
    assert!(error.starts_with("cannot use /no/such/file: "), "{error}");
}

#[test]
fn a_name_in_both_files_is_refused_with_both_places_and_the_environment_has_the_last_word() {
    let file = r#"{ "mcpServers": { "a": { "url": "https://a.example" } } }"#;
    let error = load(file, "[servers.a]\nrun = \"cat\"").unwrap_err();
    let expected = "`servers.a` is set in TOML, too; rename one of the two, or leave it out (set in JSON)";
    assert_eq!(error, expected);
    // A tenant of the settings file may be given such a server.
    let settings = load(file, "[tenants.t]\nsecrets = []\nservers = [\"a\"]").unwrap();
    assert_eq!(settings.tenants["t"].servers, ["a"]);
    let json = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&json, file).unwrap();
    let flags = Flags { mcp_servers: Some(json.path().to_owned()), ..Flags::default() };
    let variables = [("LOCKGATE__SERVERS__A__TIMEOUT".to_owned(), "7s".to_owned())].into();
    let settings = Settings::load(&flags, &Platform { variables }).unwrap();
    assert_eq!(settings.servers["a"].timeout.unwrap().as_secs(), 7);
    assert_eq!(settings.servers["a"].target(), "https://a.example");
}
