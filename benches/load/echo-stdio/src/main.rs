//! A tiny stdio MCP server for measuring gateways.
//!
//! One JSON-RPC message a line on stdin, one a line on stdout, no async
//! runtime. Requests that wait in the pipe are answered in one write. Every
//! tool result carries `_meta: {"echo/seq": N, "echo/pid": P}`: `seq` rises by
//! one with each reply this process sends, so a client can see re-ordering, and
//! `pid` tells whether two sessions share one child.
//!
//! Tools: `echo`, `burst`, `big`, `sleep`, `crash`, `spawn_grandchild`,
//! `stderr_flood`, `garbage_stdout` (see `TOOLS`).

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Replies gather up to this size before they are written in one go.
const FLUSH_AT: usize = 64 * 1024;

const TOOLS: &str = r#"{"tools":[
{"name":"echo","description":"Returns payload unchanged","inputSchema":{"type":"object","properties":{"payload":{"type":"string"}},"required":["payload"]}},
{"name":"burst","description":"Sends n notifications of about size bytes, then the result. kind is message (notifications/message) or progress","inputSchema":{"type":"object","properties":{"n":{"type":"integer"},"size":{"type":"integer"},"tag":{"type":"string"},"kind":{"type":"string"}},"required":["n"]}},
{"name":"big","description":"Returns bytes bytes of text","inputSchema":{"type":"object","properties":{"bytes":{"type":"integer"}},"required":["bytes"]}},
{"name":"sleep","description":"Answers after ms milliseconds without blocking other calls","inputSchema":{"type":"object","properties":{"ms":{"type":"integer"}},"required":["ms"]}},
{"name":"crash","description":"Exits at once with code, without an answer","inputSchema":{"type":"object","properties":{"code":{"type":"integer"}}}},
{"name":"spawn_grandchild","description":"Starts sleep(1) for secs seconds, which keeps stdin, stdout and stderr when inherit is true, and returns its pid","inputSchema":{"type":"object","properties":{"secs":{"type":"integer"},"inherit":{"type":"boolean"}}}},
{"name":"stderr_flood","description":"Writes bytes bytes to stderr, then answers","inputSchema":{"type":"object","properties":{"bytes":{"type":"integer"}},"required":["bytes"]}},
{"name":"garbage_stdout","description":"Writes a line that is no JSON-RPC message, then answers. kind: text, binary, blank, json or crlf","inputSchema":{"type":"object","properties":{"kind":{"type":"string"}}}}
]}"#;

const DISCOVERED: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"serverInfo":{"name":"echo-stdio","version":"0.1.0"},"ttlMs":60000,"cacheScope":"private"}"#;

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Initialize<'a> {
    #[serde(borrow, default, rename = "protocolVersion")]
    protocol_version: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<Meta<'a>>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, default, rename = "progressToken")]
    progress_token: Option<&'a RawValue>,
}

/// The arguments of every tool in one shape; each tool reads its own.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Args<'a> {
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    #[serde(borrow)]
    tag: Option<&'a RawValue>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    n: u64,
    size: usize,
    bytes: usize,
    ms: u64,
    secs: Option<u64>,
    code: i32,
    inherit: bool,
}

/// Stdout without std's line buffering, and the reply counter.
struct Out {
    file: File,
    buf: Vec<u8>,
    seq: u64,
    pid: u32,
}

impl Out {
    fn flush(&mut self) {
        if self.buf.is_empty() {
            return;
        }
        if self.file.write_all(&self.buf).is_err() {
            // Nobody reads any more.
            std::process::exit(0);
        }
        self.buf.clear();
        if self.buf.capacity() > 1 << 20 {
            self.buf.shrink_to(FLUSH_AT);
        }
    }

    fn put(&mut self, s: &str) {
        self.buf.extend_from_slice(s.as_bytes());
    }

    fn end_line(&mut self) {
        self.buf.push(b'\n');
        if self.buf.len() >= FLUSH_AT {
            self.flush();
        }
    }

    fn result(&mut self, id: &str, result: &str) {
        self.put(r#"{"jsonrpc":"2.0","id":"#);
        self.put(id);
        self.put(r#","result":"#);
        // A line is a message: the tool list above is written over several.
        self.buf.extend(result.bytes().filter(|b| *b != b'\n'));
        self.put("}");
        self.end_line();
    }

    fn error(&mut self, id: &str, code: i32, message: &str) {
        let line =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"{message}"}}}}"#);
        self.put(&line);
        self.end_line();
    }

    /// A tool result whose text is `json_text`, a JSON string with its quotes.
    fn text(&mut self, id: &str, json_text: &str) {
        self.put(r#"{"jsonrpc":"2.0","id":"#);
        self.put(id);
        self.put(r#","result":{"content":[{"type":"text","text":"#);
        self.put(json_text);
        self.seq += 1;
        let (seq, pid) = (self.seq, self.pid);
        let _ = write!(self.buf, r#"}}],"_meta":{{"echo/seq":{seq},"echo/pid":{pid}}}}}}}"#);
        self.end_line();
    }
}

fn main() -> io::Result<()> {
    let mut stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let out = Arc::new(Mutex::new(Out {
        file: File::from(io::stdout().as_fd().try_clone_to_owned()?),
        buf: Vec::with_capacity(4096),
        seq: 0,
        pid: std::process::id(),
    }));

    let mut buf = vec![0_u8; 16 * 1024];
    let (mut start, mut scanned, mut end) = (0, 0, 0);
    loop {
        while let Some(at) = memchr::memchr(b'\n', &buf[scanned..end]) {
            let newline = scanned + at;
            handle(&buf[start..newline], &out);
            start = newline + 1;
            scanned = start;
        }
        scanned = end;
        lock(&out).flush();
        if start == end {
            (start, scanned, end) = (0, 0, 0);
            if buf.len() > 1 << 20 {
                buf = vec![0; 16 * 1024];
            }
        } else if end == buf.len() {
            if start > 0 {
                buf.copy_within(start..end, 0);
                end -= start;
                scanned -= start;
                start = 0;
            } else {
                buf.resize(buf.len() * 2, 0);
            }
        }
        let n = stdin.read(&mut buf[end..])?;
        if n == 0 {
            return Ok(());
        }
        end += n;
    }
}

fn lock(out: &Mutex<Out>) -> std::sync::MutexGuard<'_, Out> {
    out.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn handle(line: &[u8], out: &Arc<Mutex<Out>>) {
    if line.iter().all(u8::is_ascii_whitespace) {
        return;
    }
    let Ok(req) = serde_json::from_slice::<Request<'_>>(line) else {
        lock(out).error("null", -32700, "Parse error");
        return;
    };
    // A notification, or a client's reply: nothing to say.
    let Some(id) = req.id.map(RawValue::get) else {
        return;
    };
    if req.method.is_empty() {
        return;
    }
    match &*req.method {
        "tools/call" => match req.params.map(|p| serde_json::from_str::<ToolCall<'_>>(p.get())) {
            Some(Ok(call)) => tool(id, &call, out),
            _ => lock(out).error(id, -32602, "Invalid params"),
        },
        "initialize" => {
            let version = req
                .params
                .and_then(|p| serde_json::from_str::<Initialize<'_>>(p.get()).ok())
                .and_then(|p| p.protocol_version)
                .map_or("\"2024-11-05\"", RawValue::get);
            let result = format!(
                r#"{{"protocolVersion":{version},"capabilities":{{"tools":{{}},"logging":{{}}}},"serverInfo":{{"name":"echo-stdio","version":"0.1.0"}}}}"#
            );
            lock(out).result(id, &result);
        }
        // It speaks both eras: a stateless client's requests are answered like any other.
        "server/discover" => lock(out).result(id, DISCOVERED),
        "ping" | "logging/setLevel" => lock(out).result(id, "{}"),
        "tools/list" => lock(out).result(id, TOOLS),
        _ => lock(out).error(id, -32601, "Method not found"),
    }
}

fn tool(id: &str, call: &ToolCall<'_>, out: &Arc<Mutex<Out>>) {
    let args = match call.arguments.map(|a| serde_json::from_str::<Args<'_>>(a.get())) {
        Some(Ok(args)) => args,
        None => Args::default(),
        Some(Err(_)) => return lock(out).error(id, -32602, "Invalid arguments"),
    };
    match &*call.name {
        "echo" => match args.payload.map(RawValue::get) {
            Some(text) if text.starts_with('"') => lock(out).text(id, text),
            _ => lock(out).error(id, -32602, "payload must be a string"),
        },
        "burst" => {
            let mut out = lock(out);
            burst(&mut out, call, &args);
            out.text(id, &format!("\"{}\"", args.n));
        }
        "big" => {
            let mut text = String::with_capacity(args.bytes + 2);
            text.push('"');
            text.extend((0..args.bytes).map(|i| char::from(b'a' + (i % 26) as u8)));
            text.push('"');
            lock(out).text(id, &text);
        }
        "sleep" => {
            let (id, out) = (id.to_owned(), Arc::clone(out));
            let wait = Duration::from_millis(args.ms);
            let started = thread::Builder::new().stack_size(64 * 1024).spawn(move || {
                thread::sleep(wait);
                let mut out = lock(&out);
                out.text(&id, "\"slept\"");
                out.flush();
            });
            // Out of threads: the call stays unanswered, which the client sees.
            drop(started);
        }
        "crash" => {
            lock(out).flush();
            std::process::exit(args.code);
        }
        "spawn_grandchild" => {
            let io = || {
                if args.inherit { Stdio::inherit() } else { Stdio::null() }
            };
            let spawned = Command::new("sleep")
                .arg(args.secs.unwrap_or(60).to_string())
                .stdin(io())
                .stdout(io())
                .stderr(io())
                .spawn();
            match spawned {
                Ok(child) => lock(out).text(id, &format!("\"{}\"", child.id())),
                Err(_) => lock(out).error(id, -32603, "spawn failed"),
            }
        }
        "stderr_flood" => {
            let line = [b'e'; 1023];
            let mut err = io::stderr().lock();
            let mut left = args.bytes;
            while left > 0 {
                let n = left.min(1024) - 1;
                let _ = err.write_all(&line[..n]).and_then(|()| err.write_all(b"\n"));
                left -= n + 1;
            }
            lock(out).text(id, "\"flooded\"");
        }
        "garbage_stdout" => {
            let mut out = lock(out);
            let garbage: &[u8] = match &*args.kind {
                "binary" => b"\xff\xfe\x00\x80 not utf-8 \xc3\x28\n",
                "blank" => b"\n   \n\r\n",
                "json" => b"[1,2,3]\n\"a string\"\n42\nnull\n{\"no\":\"rpc\"}\n",
                "crlf" => b"garbage with a carriage return\r\n",
                _ => b"this line is no JSON: {\"jsonrpc\":\n",
            };
            out.buf.extend_from_slice(garbage);
            out.text(id, "\"garbage sent\"");
        }
        _ => lock(out).error(id, -32602, "Unknown tool"),
    }
}

fn burst(out: &mut Out, call: &ToolCall<'_>, args: &Args<'_>) {
    let tag = args.tag.map_or("null", RawValue::get);
    let fill = "n".repeat(args.size);
    let n = args.n;
    let token = call.meta.as_ref().and_then(|m| m.progress_token);
    let (head, tail) = match (&*args.kind, token) {
        ("progress", Some(token)) => (
            format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{},"total":{n},"message":"{fill}","progress":"#,
                token.get()
            ),
            "}}",
        ),
        _ => (
            format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","logger":"burst","data":{{"tag":{tag},"fill":"{fill}","i":"#
            ),
            "}}}",
        ),
    };
    for i in 0..n {
        out.put(&head);
        let _ = write!(out.buf, "{i}");
        out.put(tail);
        out.end_line();
    }
}
