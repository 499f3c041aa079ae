//! What a stranger sees on the command line.

use std::io::{BufRead, Write};
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::gateway::lockgate;

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        lockgate().args(arguments).envs(variables.iter().copied()).stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn mistakes_are_answered_with_what_is_wrong_and_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("lockgate.toml");
    let path = file.to_str().unwrap().to_owned();
    for (settings, variables, expected) in [
        ("[limits]\nsesions = 1", &[][..], "unknown key `limits.sesions`: did you mean `sessions`?"),
        ("[timeouts]\nidle = \"soon\"", &[], "timeouts.idle"),
        ("[servers.a]\nrun = \"no-such-program\"", &[], "not an executable on PATH"),
        ("[servers.a]\nrun = \"cat | grep x\"", &[], "no shell reads it"),
        (
            "[tenants.a]\nsecrets = [\"plain\"]\nservers = [\"*\"]",
            &[],
            "tenants.a.secrets must hold \"sha256:\"",
        ),
        ("[listen]\naddress = \"0.0.0.0:0\"", &[], "no secret is configured"),
        ("", &[("LOCKGATE_SECRET", "")], "LOCKGATE_SECRET is empty"),
        ("", &[("LOCKGATE_SECRET", "with space")], "letters, digits"),
        ("", &[("LOCKGATE_SECRET", "a"), ("MAXIM_SECRET", "b")], "both set"),
        ("", &[("PORT", "http")], "PORT=http is no port number"),
        ("", &[("LOG_LEVEL", "loud=high=x")], "LOG_LEVEL"),
        ("[telemetry]\ntraces = \"http://u:p@127.0.0.1\"", &[], "OTEL_EXPORTER_OTLP_HEADERS"),
        #[cfg(not(feature = "otel"))]
        ("[telemetry]\ntraces = \"http://127.0.0.1:4318\"", &[], "build with `--features otel`"),
        #[cfg(feature = "otel")]
        (
            "[telemetry]\ntraces = \"http://127.0.0.1:4318\"",
            &[("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"), ("LOCKGATE_SECRET", "a")],
            "OTEL_EXPORTER_OTLP_HEADERS must hold name=value pairs",
        ),
    ] {
        std::fs::write(&file, settings).unwrap();
        let (code, stdout, stderr) = run(&["serve", "--config", &path], variables);
        assert_eq!(code, 2, "{settings}: {stderr}");
        assert!(
            stderr.starts_with("lockgate: ") && stderr.contains(expected),
            "{settings:?} {variables:?}: {stderr}"
        );
        assert_eq!(stdout, "");
    }
    let (code, _, stderr) = run(&["serve", "--config", "/no/such/file"], &[]);
    assert_eq!(code, 2);
    assert!(stderr.contains("cannot use /no/such/file"), "{stderr}");
}

#[test]
fn an_address_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, _, stderr) = run(&["--port", &port], &[]);
    assert_eq!(code, 2);
    assert!(stderr.contains("cannot listen on") && stderr.contains("--port"), "{stderr}");
}

#[test]
fn check_prints_the_effective_settings_without_secrets() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("lockgate.toml");
    let hash = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let text = format!(
        "[servers.a]\nrun = \"cat\"\nenv = {{ KEY = \"hidden\" }}\n[tenants.t]\nsecrets = [\"{hash}\"]\nservers = [\"a\"]\n\
         sessions = 7\nrate = {{ burst = 3 }}\nenv = {{ OWN = \"hidden too\" }}"
    );
    std::fs::write(&file, text).unwrap();
    let (code, stdout, stderr) =
        run(&["check", "--config", file.to_str().unwrap()], &[("LOCKGATE__LIMITS__STARTS", "9")]);
    assert_eq!(code, 0, "{stderr}");
    assert!(!stdout.contains("hidden") && !stdout.contains(hash), "{stdout}");
    assert!(stdout.contains("starts = 9") && stdout.contains("[servers.a]"), "{stdout}");
    assert!(
        stdout.contains("sessions = 7")
            && stdout.contains("burst = 3")
            && stdout.contains("OWN = \"(masked)\"")
    );
    // What it prints is a settings file.
    std::fs::write(&file, stdout.replace("\"(masked)\"", &format!("\"{hash}\""))).unwrap();
    let (code, _, stderr) = run(&["check", "--config", file.to_str().unwrap()], &[]);
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn secret_prints_a_pair_that_fits() {
    let (code, stdout, _) = run(&["secret"], &[]);
    assert_eq!(code, 0);
    let mut lines = stdout.lines();
    let secret = lines.next().unwrap().strip_prefix("secret   ").unwrap();
    let setting = lines.next().unwrap().strip_prefix("setting  secrets = [\"").unwrap();
    assert_eq!(setting, format!("{}\"]", crate::tenants::hash(secret)));
}

#[test]
fn url_prints_what_to_paste() {
    let (code, stdout, stderr) =
        run(&["url", "npx -y @upstash/context7-mcp@latest", "--base", "https://gate.example/"], &[]);
    assert_eq!(code, 0);
    assert!(
        stdout.starts_with("https://gate.example/npx%20-y%20%40upstash%2Fcontext7-mcp%40latest/mcp\n"),
        "{stdout}"
    );
    assert!(stdout.contains("StreamableHTTPClientTransport") && stdout.contains("streamable_http_client"));
    assert!(stdout.contains("context7-mcp%40latest/sse"));
    assert!(stderr.contains("is not on the allowlist"), "{stderr}");
    let (_, _, stderr) = run(&["url", "demo"], &[]);
    assert_eq!(stderr, "");
}

#[test]
fn a_server_that_is_not_there_is_told_with_those_that_may_be_meant() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("lockgate.toml");
    let servers = ["context7", "context8", "notes", "maps"]
        .map(|name| format!("[servers.{name}]\nrun = \"cat {name}\"\n"));
    std::fs::write(&file, servers.concat()).unwrap();
    for (wanted, expected, unexpected) in [
        ("contxt7", "did you mean context7 or context8?", "notes"),
        ("cat note", "did you mean notes?", "maps"),
        ("weather", "which has context7, context8, maps, notes; add it to the settings", "did you mean"),
    ] {
        let (code, stdout, stderr) = run(&["url", wanted, "--json", "--config", file.to_str().unwrap()], &[]);
        assert_eq!(code, 0);
        assert!(stderr.contains(expected) && !stderr.contains(unexpected), "{wanted}: {stderr}");
        assert_eq!(serde_json::from_str::<Value>(&stdout).unwrap()["allowed"], false);
    }
}

#[test]
fn who_stops_reading_ends_a_command_quietly() {
    let commands: [&[&str]; 9] = [
        &["check"],
        &["check", "--json"],
        &["url", "demo"],
        &["secret"],
        &["doctor", "--no-servers"],
        &["completions", "zsh"],
        &["man"],
        &["--port", "0"],
        &["no-such-command"],
    ];
    for arguments in commands {
        let status = if arguments[0].starts_with("no-") { 2 } else { 141 };
        let variables = [("LOG_LEVEL", "off"), ("LOCKGATE__ADMIN__ADDRESS", "")];
        let mut command = lockgate();
        command.args(arguments).envs(variables).stdin(Stdio::null());
        let unread = || std::io::pipe().unwrap().1;
        let output = command.stdout(unread()).stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {stderr}");
        assert!(status == 2 || stderr.is_empty(), "{arguments:?}: {stderr}");
        // What there is to say may have no reader either.
        let both = command.stdout(unread()).stderr(unread()).status().unwrap();
        assert_eq!(both.code(), Some(status), "{arguments:?}");
    }
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = lockgate().arg("check").stdout(full).stderr(Stdio::piped()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && stderr.contains("send it elsewhere"), "{stderr}");
}

#[test]
fn help_names_every_subcommand() {
    let (code, stdout, _) = run(&["--help"], &[]);
    assert_eq!(code, 0);
    for name in ["serve", "check", "url", "secret", "demo", "completions", "man", "--allow", "--color"] {
        assert!(stdout.contains(name), "{name}: {stdout}");
    }
    assert!(!stdout.contains("__launch"));
}

/// What the demo says to these requests, each a method and its parameters, in their order.
fn demo<const N: usize>(requests: [(&str, Value); N]) -> [Value; N] {
    let mut demo = lockgate().arg("demo").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = demo.stdin.take().unwrap();
    // What is no request has no answer.
    stdin.write_all(b"noise\n{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n").unwrap();
    for (id, (method, params)) in requests.into_iter().enumerate() {
        writeln!(stdin, "{}", json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
            .unwrap();
    }
    drop(stdin);
    let Output { status, stdout, .. } = demo.wait_with_output().unwrap();
    assert!(status.success());
    let answers: Vec<Value> =
        stdout.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert!(answers.iter().enumerate().all(|(id, answer)| answer["id"] == id), "{answers:?}");
    answers.try_into().unwrap()
}

#[test]
fn the_demo_answers_clients_of_every_revision() {
    let add = json!({ "name": "add", "arguments": { "a": 1, "b": 2 } });
    let content = json!([{ "type": "text", "text": "3" }]);
    let [opened, added] = demo([
        ("initialize", json!({ "protocolVersion": "2025-06-18", "capabilities": {} })),
        ("tools/call", add.clone()),
    ]);
    assert_eq!(opened["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(opened["result"]["serverInfo"]["name"], "lockgate-demo");
    assert_eq!(added["result"], json!({ "content": content }));
    let envelope = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let mut enveloped = add;
    enveloped["_meta"] = envelope.clone();
    let [added, listed] = demo([("tools/call", enveloped), ("tools/list", json!({ "_meta": envelope }))]);
    assert_eq!((&added["result"]["resultType"], &added["result"]["content"]), (&json!("complete"), &content));
    assert_eq!((&listed["result"]["ttlMs"], &listed["result"]["cacheScope"]), (&json!(0), &json!("private")));
    assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 3);
}

#[test]
fn the_demo_refuses_what_it_has_not() {
    let refused = demo([
        ("tools/call", json!({ "name": "no-such-tool" })),
        ("tools/call", json!({ "name": "echo", "arguments": { "text": 1 } })),
        ("resources/list", json!({})),
    ]);
    assert_eq!(refused.map(|answer| answer["error"]["code"].clone()), [-32602, -32602, -32601]);
}
