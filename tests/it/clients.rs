//! The official SDKs and well-known servers (user stories 1 and 2). `tests/run` installs them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::gateway::{Gateway, SECRET, is_open, send_signal};

const RATE: &str = "[rate]\nper_minute = 0\nopens_per_minute = 0\n";

/// Where the clients are installed.
pub(crate) fn tests() -> PathBuf {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    assert!(place.join("node_modules").exists(), "the clients are not installed: run `tests/run`");
    place
}

fn clients() -> PathBuf {
    tests().join("clients")
}

pub(crate) fn gateway(servers: &str) -> Gateway {
    // Servers that lie below a directory that is closed to others cannot be run by other users.
    let closed = !is_open(&tests().join("x")) && !servers.contains("[sandbox]");
    let sandbox = if closed { "[sandbox]\nprofile = \"off\"\n" } else { "" };
    Gateway::start_bare(&format!("{RATE}{sandbox}{servers}"), &[("LOCKGATE_SECRET", SECRET)])
}

/// A server from npm that `tests/run` has installed.
pub(crate) fn installed(name: &str, arguments: &str) -> String {
    format!("node {}/node_modules/@modelcontextprotocol/{name}/dist/index.js{arguments}", tests().display())
}

pub(crate) fn node(script: &str, gateway: &Gateway, arguments: &[&str]) -> Command {
    node_at(&gateway.url(""), script, arguments)
}

/// The same where the gateway is reached by another URL.
pub(crate) fn node_at(base: &str, script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("node");
    command.current_dir(clients()).args([script, base, SECRET]).args(arguments);
    command
}

pub(crate) fn python(script: &str, gateway: &Gateway, arguments: &[&str]) -> Command {
    python_at(&gateway.url(""), script, arguments)
}

/// The same where the gateway is reached by another URL.
pub(crate) fn python_at(base: &str, script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(tests().join(".venv/bin/python"));
    command.current_dir(clients()).args(["-B", script, base, SECRET]).args(arguments);
    command
}

/// Whether the command succeeded, and what it said.
pub(crate) fn stdout_of(mut command: Command) -> (bool, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), format!("{stderr}{stdout}"))
}

pub(crate) fn passes(command: Command) {
    let (success, said) = stdout_of(command);
    assert!(success && said.trim().ends_with("passed"), "{said}");
}

/// The server of `tests/everything` in its three forms.
pub(crate) fn everything() -> String {
    let server = tests().join("everything/server.mjs");
    ["handshake", "dual", "stateless"]
        .iter()
        .map(|form| format!("[servers.{form}]\nrun = \"node {} {form}\"\n", server.display()))
        .collect()
}

#[test]
fn the_typescript_sdk_uses_everything_by_short_name() {
    let gateway = gateway(&format!("[servers.everything]\nrun = {:?}", installed("server-everything", "")));
    passes(node("everything.mjs", &gateway, &["everything"]));
}

#[test]
fn the_typescript_sdk_uses_everything_by_an_npx_command() {
    let gateway = gateway("[servers.everything]\nrun = \"npx -y @modelcontextprotocol/server-everything\"");
    passes(node("everything.mjs", &gateway, &["npx -y @modelcontextprotocol/server-everything"]));
}

#[test]
fn the_typescript_sdk_uses_a_filesystem() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().to_str().unwrap();
    // Sessions have users of their own.
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let run = installed("server-filesystem", &format!(" {directory}"));
    let gateway = gateway(&format!("[servers.files]\nrun = {run:?}\nwritable = [{directory:?}]"));
    passes(node("filesystem.mjs", &gateway, &["files", directory]));
}

#[test]
fn the_typescript_sdk_sees_errors_that_say_what_to_do() {
    passes(node("refused.mjs", &gateway(""), &[]));
}

#[test]
fn the_typescript_sdk_goes_on_after_its_stream_was_cut() {
    let gateway = gateway("");
    let mut client = node("reconnect.mjs", &gateway, &[]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().as_deref(), Some("ready"));
    gateway.descendants().into_iter().for_each(|child| send_signal(child, "KILL"));
    assert_eq!(lines.next().as_deref(), Some("passed"));
    assert!(client.wait().unwrap().success());
}

#[test]
fn the_python_sdk_uses_everything() {
    let gateway = gateway(&format!("[servers.everything]\nrun = {:?}", installed("server-everything", "")));
    passes(python("session.py", &gateway, &["everything", "everything"]));
}

#[test]
fn the_python_sdk_uses_the_time_server() {
    // Where python lies in root's own directory, no other user can run it.
    let run = format!("{}/.venv/bin/mcp-server-time", tests().display());
    let gateway = gateway(&format!("[sandbox]\nprofile = \"off\"\n[servers.time]\nrun = {run:?}"));
    passes(python("session.py", &gateway, &[&run, "time"]));
}

/// List, call, progress, elicitation, sampling, subscribe, list-changed, cancel, 3 MB each way.
#[test]
fn the_typescript_sdk_v1_uses_sessions() {
    let gateway = gateway(&everything());
    passes(node("streamable_v1.mjs", &gateway, &["handshake"]));
    passes(node("streamable_v1.mjs", &gateway, &["dual"]));
}

#[test]
fn the_typescript_client_v2_uses_sessions_or_none() {
    let gateway = gateway(&everything());
    for (server, mode, era) in [
        ("handshake", "legacy", "legacy"),
        ("dual", "legacy", "legacy"),
        ("stateless", "legacy", "legacy"),
        ("handshake", "auto", "modern"),
        ("dual", "auto", "modern"),
        ("stateless", "auto", "modern"),
        ("handshake", "pinned", "modern"),
        ("dual", "pinned", "modern"),
        ("stateless", "pinned", "modern"),
    ] {
        passes(node("streamable_v2.mjs", &gateway, &[server, mode, era]));
    }
}

#[test]
fn the_python_client_uses_sessions_or_none() {
    let gateway = gateway(&everything());
    for server in ["handshake", "dual", "stateless"] {
        passes(python("streamable.py", &gateway, &[server, "auto", "modern"]));
    }
}
