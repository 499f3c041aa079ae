//! Drives the binary over its pipes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

struct Server {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_echo-stdio"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            stdin: child.stdin.take().unwrap(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn send(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    fn call(&mut self, name: &str, arguments: &str) {
        self.send(&format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{name}","arguments":{arguments}}}}}"#
        ));
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

#[test]
fn initialize_echoes_the_version_and_lists_are_one_line() {
    let mut s = Server::start();
    s.send(r#"{"jsonrpc":"2.0","id":"a","method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#);
    s.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    s.send(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#);
    s.send(r#"{"jsonrpc":"2.0","id":3,"method":"ping"}"#);
    s.send(r#"{"jsonrpc":"2.0","id":4,"method":"nothing"}"#);
    assert!(s.line().starts_with(r#"{"jsonrpc":"2.0","id":"a","result":{"protocolVersion":"2025-11-25""#));
    assert!(s.line().ends_with("]}}"));
    assert_eq!(s.line(), r#"{"jsonrpc":"2.0","id":3,"result":{}}"#);
    assert!(s.line().contains("-32601"));
    drop(s.stdin);
    assert!(s.child.wait().unwrap().success());
}

#[test]
fn echo_keeps_every_byte_of_any_size() {
    let mut s = Server::start();
    for payload in
        [r#""q\"\\\n\u00e9""#.to_owned(), format!("\"{}\"", "x".repeat(3_000_000)), r#""after""#.to_owned()]
    {
        s.call("echo", &format!(r#"{{"payload":{payload}}}"#));
        assert!(s.line().contains(&format!(r#""text":{payload}}}"#)));
    }
}

#[test]
fn burst_comes_before_its_result() {
    let mut s = Server::start();
    s.call("burst", r#"{"n":3,"size":2,"tag":"t"}"#);
    for i in 0..3 {
        let line = s.line();
        assert!(line.contains(&format!(r#""tag":"t","fill":"nn","i":{i}"#)));
    }
    assert!(s.line().contains(r#""text":"3""#));
}

#[test]
fn sleep_does_not_hold_up_other_calls() {
    let mut s = Server::start();
    s.call("sleep", r#"{"ms":100}"#);
    s.call("echo", r#"{"payload":"first"}"#);
    assert!(s.line().contains("first"));
    assert!(s.line().contains("slept"));
}

#[test]
fn crash_leaves_with_its_code() {
    let mut s = Server::start();
    s.call("crash", r#"{"code":3}"#);
    assert_eq!(s.line(), "");
    assert_eq!(s.child.wait().unwrap().code(), Some(3));
}
