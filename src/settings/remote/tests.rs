use crate::settings::{Flags, Platform, Settings};

fn error(file: &str) -> String {
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&path, file).unwrap();
    let flags = Flags { file: Some(path.path().to_owned()), ..Flags::default() };
    match Settings::load(&flags, &Platform::default()) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

const URL: &str = "url = \"https://a.example/mcp?in_url=1\"";

/// Each is of a server `d`, beside a URL or a command. No text may show a value.
fn refused(beside: &str, table: &[(&str, &str)]) {
    for (settings, expected) in table {
        let error = error(&format!("[servers.d]\n{beside}\n{settings}"));
        assert!(error.contains(expected), "{settings:?} gave {error:?}");
        assert!(!error.contains("hunter2"), "{settings:?} shows a value: {error}");
    }
}

#[test]
fn what_a_remote_server_cannot_have_is_refused() {
    assert_eq!(error(&format!("[servers.d]\n{URL}")), "");
    refused(
        URL,
        &[
            (
                "run = \"hunter2\"",
                "`servers.d.url` stands beside `run`; a server is either a command or remote",
            ),
            ("timeout = \"0s\"", "`servers.d.timeout` must be longer than zero"),
            ("docker = true", "`servers.d.docker` is for commands; leave it out beside `url`"),
            ("prefetch = true", "`servers.d.prefetch` is for commands"),
            ("warm = 1", "`servers.d.warm` is for commands"),
            ("readable = [\"/hunter2\"]", "`servers.d.readable` is for commands"),
            ("writable = [\"/hunter2\"]", "`servers.d.writable` is for commands"),
            (
                "transport = \"http\"",
                "must be \"auto\", \"streamable\" or \"sse\" for key `servers.d.transport`",
            ),
            (
                "headers = { \"a b\" = \"hunter2\" }",
                "`servers.d.headers` holds \"a b\", which is no name of a header",
            ),
            ("headers = { A = \"hunter2\\u000a\" }", "holds a value for \"A\" that no header can have"),
            ("headers = { A = \"hunter2\", a = \"1\" }", "holds \"a\" twice; names are one in any case"),
            ("headers = { MCP-Session-Id = \"hunter2\" }", "which the gateway sets by itself; leave it out"),
            ("headers = { Host = \"hunter2\" }", "which the gateway sets by itself; leave it out"),
            ("query = { \"\" = \"hunter2\" }", "`servers.d.query` holds a parameter without a name"),
            ("headrs = {}", "unknown key `servers.d.headrs`: did you mean `headers`?"),
            ("auth = \"hunter2\"", "unknown key `servers.d.auth`: it is a table: write { scheme = … }"),
            (
                "tool_auth = \"hunter2\"",
                "unknown key `servers.d.tool_auth`: it is a table: write name = { scheme",
            ),
            ("tool_auth = { t = \"hunter2\" }", "unknown key `servers.d.tool_auth.t`: it is a table"),
        ],
    );
    for (url, expected) in [
        ("", "is no URL: relative URL without a base"),
        ("hunter2", "is no URL: relative URL without a base"),
        ("ftp://hunter2/", "must begin with https:// or http:// and a host"),
        ("file:///hunter2", "must begin with https:// or http:// and a host"),
        ("https://hunter2@a.example", "holds a user or a password, which logs would show; use `auth` with"),
        ("https://u:hunter2@a.example", "holds a user or a password"),
        ("https://a.example/#hunter2", "has a part behind `#`, which no server gets to see"),
        ("https://a.example/${hunter2}", "holds a `${…}`, which is filled in in `headers` and `query` only"),
    ] {
        refused(&format!("url = {url:?}"), &[("", &format!("`servers.d.url` {expected}"))]);
    }
}

#[test]
fn what_only_a_remote_server_can_have_is_refused_beside_a_command() {
    for given in [
        "transport = \"sse\"",
        "headers = { A = \"hunter2\" }",
        "query = { a = \"hunter2\" }",
        "auth = { scheme = \"bearer\", env = \"hunter2\" }",
        "tool_auth = { t = { scheme = \"bearer\", env = \"hunter2\" } }",
        "allow_private = true",
    ] {
        let key = given.split(' ').next().unwrap();
        refused(
            "run = \"cat\"",
            &[(given, &format!("`servers.d.{key}` is for remote servers, which have a `url`"))],
        );
    }
    refused(
        "",
        &[("sessions = 1", "`servers.d.run` is missing; give a command, or the `url` of a remote server")],
    );
}

/// What is wrong with a credential, wherever it stands.
const FAULTS: [(&str, &str); 27] = [
    // Seeds D3.8 and D3.14: nothing goes out as nobody's because of a word that nobody knows.
    ("scheme = \"\", env = \"E\"", "must be \"bearer\", \"basic\", \"apiKey\" or \"oauth\""),
    ("scheme = \"Bearer\", env = \"E\"", "must be \"bearer\", \"basic\", \"apiKey\" or \"oauth\""),
    ("scheme = \"digest\", env = \"E\"", "must be \"bearer\", \"basic\", \"apiKey\" or \"oauth\""),
    ("env = \"E\"", "missing configuration field"),
    ("schema = \"bearer\"", ".schema`: did you mean `scheme`?"),
    ("scheme = \"bearer\", token = \"hunter2\"", ".token`: did you mean"),
    ("scheme = \"bearer\"", "does not say where the credential is; add `env"),
    ("scheme = \"basic\"", "does not say where the credential is; add `env"),
    ("scheme = \"bearer\", env = \"\"", "has an empty `env` or `file`; name where the credential is"),
    ("scheme = \"bearer\", file = \"\"", "has an empty `env` or `file`; name where the credential is"),
    (
        "scheme = \"bearer\", env = \"E\", file = \"/f\"",
        "has both `env` and `file`; leave out one of the two",
    ),
    ("scheme = \"bearer\", env = \"E\", user = \"hunter2\"", "for which `user` means nothing; leave it out"),
    ("scheme = \"bearer\", env = \"E\", header = \"hunter2\"", "for which `header` means nothing"),
    ("scheme = \"basic\", env = \"E\", query = \"hunter2\"", "for which `query` means nothing"),
    ("scheme = \"basic\", env = \"E\", scope = \"hunter2\"", "for which `scope` means nothing"),
    ("scheme = \"apiKey\", env = \"E\"", "say where it goes, by either `header` or `query`"),
    ("scheme = \"apiKey\", env = \"E\", header = \"A\", query = \"a\"", "say where it goes, by either"),
    ("scheme = \"apiKey\", env = \"E\", header = \"a b\"", "holds \"a b\", which is no name of a header"),
    (
        "scheme = \"apiKey\", env = \"E\", header = \"Content-Type\"",
        "\"Content-Type\", which the gateway sets by itself",
    ),
    ("scheme = \"apiKey\", env = \"E\", query = \"\"", "has an empty `query`; name the parameter"),
    ("scheme = \"bearer\", env = \"E\", passthrough = \"\"", "holds \"\", which is no name of a header"),
    (
        "scheme = \"bearer\", env = \"E\", passthrough = \"authorization\"",
        "in which clients show their secret for the gateway; choose another header",
    ),
    (
        "scheme = \"oauth\", env = \"E\", client_id = \"hunter2\"",
        "has the scheme \"oauth\", which needs `token_url`",
    ),
    ("scheme = \"oauth\", env = \"E\", token_url = \"https://b.example\"", "which needs `client_id`"),
    (
        "scheme = \"oauth\", env = \"E\", client_id = \"c\", token_url = \"hunter2\"",
        "has a `token_url` that is no URL",
    ),
    (
        "scheme = \"oauth\", client_id = \"c\", token_url = \"https://b.example\"",
        "does not say where the credential is",
    ),
    (
        "scheme = \"oauth\", env = \"E\", client_id = \"c\", token_url = \"https://b.example\", passthrough = \"A\"",
        "for which `passthrough` means nothing",
    ),
];

#[test]
fn a_credential_that_is_not_whole_stops_the_start_wherever_it_stands() {
    let tenant = "[tenants.t]\nsecrets = []\nservers = [\"d\"]\n";
    for (auth, expected) in FAULTS {
        for (key, file) in [
            ("servers.d.auth", format!("[servers.d]\n{URL}\nauth = {{ {auth} }}")),
            ("servers.d.tool_auth", format!("[servers.d]\n{URL}\ntool_auth = {{ \"a*\" = {{ {auth} }} }}")),
            ("tenants.t.auth", format!("[servers.d]\n{URL}\n{tenant}auth = {{ d = {{ {auth} }} }}")),
        ] {
            let error = error(&file);
            assert!(error.contains(expected) && error.contains(key), "{file} gave {error:?}");
            assert!(!error.contains("hunter2"), "{file} shows a value: {error}");
        }
    }
    let error = error(&format!("[servers.d]\n{URL}\ntool_auth = {{ \"a*\" = {{ scheme = \"bearer\" }} }}"));
    assert!(error.contains("`servers.d.tool_auth` for \"a*\" does not say where"), "{error}");
}

#[test]
fn two_settings_do_not_fill_the_same_place() {
    let server = format!(
        "[servers.d]\n{URL}\nheaders = {{ Authorization = \"hunter2\", X-Key = \"1\" }}\n\
                          query = {{ key = \"hunter2\" }}"
    );
    for (auth, name, key) in [
        ("scheme = \"bearer\", env = \"E\"", "authorization", "headers"),
        ("scheme = \"basic\", env = \"E\"", "authorization", "headers"),
        ("scheme = \"apiKey\", env = \"E\", header = \"x-KEY\"", "x-key", "headers"),
        ("scheme = \"apiKey\", env = \"E\", query = \"key\"", "key", "query"),
        ("scheme = \"apiKey\", env = \"E\", query = \"in_url\"", "in_url", "url"),
    ] {
        let told = format!("fills {name:?}, which `{key}` of the server sets, too; leave out one of the two");
        let tenant = format!("[tenants.t]\nsecrets = []\nservers = [\"*\"]\nauth = {{ d = {{ {auth} }} }}");
        for (file, expected) in [
            (format!("{server}\nauth = {{ {auth} }}"), format!("`servers.d.auth` {told}")),
            (
                format!("{server}\ntool_auth = {{ t = {{ {auth} }} }}"),
                format!("`servers.d.tool_auth` for \"t\" {told}"),
            ),
            (format!("{server}\n{tenant}"), format!("`tenants.t.auth` for \"d\" {told}")),
        ] {
            let error = error(&file);
            assert!(error.contains(&expected) && !error.contains("hunter2"), "{file} gave {error:?}");
        }
    }
    assert_eq!(
        error(&format!("{server}\nauth = {{ scheme = \"apiKey\", env = \"E\", query = \"Key\" }}")),
        ""
    );
}

#[test]
fn a_tenants_credential_is_for_a_remote_server_that_it_may_use() {
    let auth = "{ scheme = \"bearer\", env = \"E\" }";
    for (tenant, expected) in [
        (
            format!("servers = [\"*\"]\nauth = {{ e = {auth} }}"),
            "`tenants.t.auth` names \"e\", but there is no [servers.e]",
        ),
        (
            format!("servers = [\"*\"]\nauth = {{ c = {auth} }}"),
            "names \"c\", but there is no [servers.c] with a `url`",
        ),
        (
            format!("servers = [\"c\"]\nauth = {{ d = {auth} }}"),
            "names \"d\", which this tenant may not use; add it",
        ),
        (format!("servers = [\"d\"]\nauth = {{ d = {auth} }}"), ""),
        (
            "servers = [\"d\"]\nauth = 3".into(),
            "unknown key `tenants.t.auth`: it is a table: write name = { scheme",
        ),
    ] {
        let error = error(&format!(
            "[servers.c]\nrun = \"cat\"\n[servers.d]\n{URL}\n[tenants.t]\nsecrets = []\n{tenant}"
        ));
        assert!(
            error.contains(expected) && error.is_empty() == expected.is_empty(),
            "{tenant} gave {error:?}"
        );
    }
}
