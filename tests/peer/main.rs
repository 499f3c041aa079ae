//! The scripted stdio server of the tests: it behaves well, and misbehaves in every way that is asked of it.
//!
//! Methods are called directly, without tools: `echo` returns its params, `pid`, `environment`, and so on;
//! `attack` tries one of the acts in `hostile.py`.
//! Arguments choose a behaviour for the whole process: `--linger` stays after its input has ended,
//! `--ignore-term` ignores SIGTERM too, `--deaf` never reads, `--silent` never answers, `--exit N` exits.
//! It speaks the handshake era; with `--dual` the stateless one too, with `--stateless` only that, and with
//! `--fatal` it exits when it is asked which (as rmcp 1.5 does). `--slow` initializes nobody who can tell its roots. `--objects` answers
//! with objects only, as the protocol wants it: another result stands in `value` then. `--secretive` never lists its tools, `--unlisted` refuses to; `--stocked`
//! has what `stock.rs` says.

#![expect(clippy::disallowed_methods, reason = "it exits when it is told to")]

mod hostile;
mod stock;

use std::io::{self, BufRead, Write};
use std::time::Duration;

use serde_json::{Value, json};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    if has("--exit") {
        eprintln!("peer: refusing to run\n");
        std::process::exit(arguments.last().and_then(|n| n.parse().ok()).unwrap_or(1));
    }
    if has("--ignore-term") {
        ignore_term();
    }
    if has("--deaf") {
        sleep_forever();
    }
    if let Some(at) = arguments.iter().position(|argument| argument == "--late") {
        std::thread::sleep(Duration::from_millis(arguments[at + 1].parse().expect("milliseconds")));
    }
    let eras = Eras { stateless: has("--stateless") || has("--dual"), handshake: !has("--stateless") };
    let (stocked, slow, objects) = (has("--stocked"), has("--slow"), has("--objects"));
    let mut peer = Peer {
        out: io::stdout(),
        asked: None,
        mark: None,
        blocked: None,
        eras,
        heard: Vec::new(),
        listens: Vec::new(),
        stocked,
        slow,
        objects,
    };
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let message: Value = serde_json::from_str(&line).expect("the gateway sends valid JSON");
        if has("--fatal") && message["method"] == "server/discover" {
            std::process::exit(1);
        }
        if !has("--silent") {
            peer.handle(&message, &line);
        }
    }
    if has("--linger") || has("--ignore-term") {
        sleep_forever();
    }
}

fn sleep_forever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// A signal that is ignored stays ignored across exec, so a shell can do what safe Rust cannot.
fn ignore_term() {
    use std::os::unix::process::CommandExt;
    if std::env::var_os("PEER_IGNORES").is_none() {
        let me = std::env::current_exe().expect("own path");
        let mut shell = std::process::Command::new("/bin/sh");
        shell.arg("-c").arg("trap '' TERM; exec \"$0\" \"$@\"").arg(me).args(std::env::args().skip(1));
        panic!("{}", shell.env("PEER_IGNORES", "1").exec());
    }
}

struct Peer {
    out: io::Stdout,
    /// The request that waits for the client's answer to ours.
    asked: Option<Value>,
    /// The file that is there once there was an answer.
    mark: Option<String>,
    /// What came meanwhile, if it waits for that answer and does nothing else.
    blocked: Option<Vec<Value>>,
    eras: Eras,
    /// Every line that came, as it came.
    heard: Vec<String>,
    /// The ids of open subscriptions.
    listens: Vec<Value>,
    /// It has tools, resources and prompts on several pages.
    stocked: bool,
    slow: bool,
    objects: bool,
}

struct Eras {
    handshake: bool,
    stateless: bool,
}

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

impl Peer {
    #[expect(clippy::too_many_lines, reason = "one arm for each behaviour")]
    fn handle(&mut self, message: &Value, line: &str) {
        self.heard.push(line.chars().take(500).collect());
        let id = &message["id"];
        let params = &message["params"];
        if message["method"].is_string()
            && let Some(blocked) = &mut self.blocked
        {
            return blocked.push(message.clone());
        }
        let Some(method) = message["method"].as_str() else {
            let blocked = self.blocked.take().unwrap_or_default();
            if let Some(waiting) = self.asked.take() {
                self.reply(&waiting, message["result"].clone());
            }
            if let Some(path) = self.mark.take() {
                std::fs::write(path, "answered").expect("mark");
            }
            blocked.iter().for_each(|message| self.handle(message, ""));
            return;
        };
        if let Some(result) = stock::answer(method, params).filter(|_| self.stocked) {
            return self.line(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#));
        }
        match method {
            "initialize" if !self.eras.handshake => {
                let data = json!({ "supported": ["2026-07-28"], "requested": params["protocolVersion"] });
                self.fail(id, -32022, data);
            }
            "initialize" if self.slow && params["capabilities"].get("roots").is_some() => {}
            "initialize" if params["protocolVersion"] == "refuse" => self.fail(id, -32602, json!("refused")),
            "server/discover" if self.eras.stateless => {
                let shown = json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {} });
                self.reply(id, shown);
            }
            "server/discover" => self.fail(id, -32601, Value::Null),
            "tools/list" if std::env::args().any(|argument| argument == "--secretive") => {}
            "tools/list" if std::env::args().any(|argument| argument == "--unlisted") => {
                self.fail(id, -32603, Value::Null);
            }
            "tools/list" => {
                let region = json!({ "type": "string", "x-mcp-header": "Region" });
                let tool = json!({ "name": "echo", "inputSchema": { "properties": { "region": region } } });
                self.reply(id, json!({ "tools": [tool] }));
            }
            // A tool for each method.
            "tools/call" => {
                let mut arguments = params["arguments"].clone();
                arguments["_meta"] = params["_meta"].clone();
                let name = &params["name"];
                self.handle(&json!({ "id": id, "method": name, "params": arguments }), "");
            }
            "heard" => self.reply(id, json!(self.heard)),
            "fail" => self.fail(id, params["code"].as_i64().expect("code"), params["data"].clone()),
            "steps" => {
                let token = &params["_meta"]["progressToken"];
                for n in 1..=params["count"].as_u64().expect("count") {
                    let note = json!({ "progressToken": token, "progress": n, "pad": params["pad"] });
                    self.note("notifications/progress", &note);
                    std::thread::sleep(Duration::from_millis(params["pause_ms"].as_u64().unwrap_or(0)));
                }
                self.reply(id, json!("done"));
            }
            "log" => {
                self.note("notifications/message", &json!({ "level": "info", "data": params["text"] }));
                self.reply(id, json!("done"));
            }
            "subscriptions/listen" => {
                self.listens.push(id.clone());
                let params =
                    json!({ "notifications": params["notifications"], "_meta": { SUBSCRIPTION: id } });
                self.note("notifications/subscriptions/acknowledged", &params);
            }
            "touch" => {
                let note = params["note"].as_str().unwrap_or("notifications/tools/list_changed");
                for listen in self.listens.clone() {
                    let uri = &params["uri"];
                    self.note(note, &json!({ "uri": uri, "_meta": { SUBSCRIPTION: listen } }));
                }
                self.reply(id, json!("done"));
            }
            "unlisten" => {
                for listen in std::mem::take(&mut self.listens) {
                    self.reply(
                        &listen,
                        json!({ "resultType": "complete", "_meta": { SUBSCRIPTION: listen } }),
                    );
                }
                self.reply(id, json!("done"));
            }
            "initialize" => self.reply(
                id,
                json!({
                    "protocolVersion": params["protocolVersion"], "capabilities": { "tools": { "listChanged": true } },
                    "serverInfo": { "name": name(), "version": "1" }, "clientInfo": params["clientInfo"]
                }),
            ),
            "echo" => self.reply(id, params.clone()),
            // Asks the gateway so often whether it is there, and reads nothing meanwhile.
            "pings" => {
                let pad = "x".repeat(200);
                let lines: String = (0..1000)
                    .map(|n| format!("{{\"jsonrpc\":\"2.0\",\"id\":\"{pad}{n}\",\"method\":\"ping\"}}\n"))
                    .collect();
                for _ in 0..params["count"].as_u64().expect("count") / 1000 {
                    self.raw(lines.as_bytes());
                }
                self.reply(id, json!("done"));
            }
            // Asks, and does nothing else until it is answered.
            "block" => {
                self.note("notifications/tools/list_changed", &json!({}));
                self.asked = Some(id.clone());
                self.blocked = Some(Vec::new());
                self.line(
                    &json!({ "jsonrpc": "2.0", "id": params["id"], "method": "roots/list" }).to_string(),
                );
            }
            // Asks in the middle of a call; answers late.
            "dawdle" => {
                std::thread::sleep(Duration::from_millis(params["pause_ms"].as_u64().unwrap_or(0)));
                self.asked = Some(id.clone());
                self.line(
                    &json!({ "jsonrpc": "2.0", "id": params["id"], "method": "roots/list" }).to_string(),
                );
            }
            // One large note that its tools have changed.
            "changed" => {
                let pad = "x".repeat(params["bytes"].as_u64().expect("bytes") as usize);
                self.note("notifications/tools/list_changed", &json!({ "pad": pad }));
                self.reply(id, json!("done"));
            }
            "raw" => self.reply(id, json!(line)),
            "pid" => self.reply(id, json!(std::process::id())),
            "environment" => {
                self.reply(id, Value::Object(std::env::vars().map(|(k, v)| (k, json!(v))).collect()))
            }
            "read" => self.reply(id, json!(read_lossy(params["path"].as_str().unwrap_or_default()))),
            "write" => {
                std::fs::write(params["path"].as_str().expect("path"), "x").expect("write");
                self.reply(id, json!(std::env::current_dir().expect("cwd")));
            }
            "limits" => self.reply(id, json!(read_lossy("/proc/self/limits"))),
            "status" => self.reply(id, json!(read_lossy("/proc/self/status"))),
            "descriptors" => {
                self.reply(id, json!(std::fs::read_dir("/proc/self/fd").expect("fds").count() - 1))
            }
            "attack" => self.reply(id, hostile::attack(params)),
            "hoard" => {
                let hoard = vec![1u8; params["bytes"].as_u64().expect("bytes") as usize];
                self.reply(id, json!(hoard.len()));
            }
            "never" => {}
            "later" => {
                self.reply(&params["id"], json!("late"));
                self.reply(id, json!("done"));
            }
            "exit" => {
                eprint!("{}", params["stderr"].as_str().unwrap_or_default());
                std::process::exit(params["status"].as_i64().unwrap_or(0) as i32);
            }
            "big" => self.big(id, params["bytes"].as_u64().expect("bytes") as usize),
            "ask" => {
                self.asked = Some(id.clone());
                self.line(
                    &json!({ "jsonrpc": "2.0", "id": params["id"], "method": "roots/list" }).to_string(),
                );
                self.mark = params["mark"].as_str().map(str::to_owned);
            }
            "notes" => {
                for n in 0..params["count"].as_u64().expect("count") {
                    let note = json!({ "jsonrpc": "2.0", "method": "note", "params": { "n": n, "pad": params["pad"] } });
                    self.line(&note.to_string());
                }
                self.reply(id, json!("done"));
            }
            "noise" => {
                self.raw(b"hello\n\n{\"not\":\"a message\"}\n[1,2]\n\xff\xfe\n{\n");
                self.reply(id, json!("done"));
            }
            // A text as it is.
            "say" => {
                self.raw(params["text"].as_str().expect("text").as_bytes());
                self.raw(b"\n");
                self.reply(id, json!("done"));
            }
            // A batch of the same member many times.
            "batch" => {
                let member = params["member"].as_str().expect("member");
                let members = vec![member; params["count"].as_u64().expect("count") as usize];
                self.line(&format!("[{}]", members.join(",")));
                self.reply(id, json!("done"));
            }
            // A small note behind each of many large lines of noise.
            "padded_notes" => {
                for n in 0..params["count"].as_u64().expect("count") {
                    let mut noise = vec![b' '; params["bytes"].as_u64().expect("bytes") as usize];
                    noise.push(b'\n');
                    self.raw(&noise);
                    self.note("note", &json!({ "n": n }));
                }
                self.reply(id, json!("done"));
            }
            "bad_utf8" => {
                self.raw(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":\"a").as_bytes());
                self.raw(b"\xff\"}\n");
            }
            "stderr" => {
                let flood = vec![b'e'; params["bytes"].as_u64().expect("bytes") as usize];
                io::stderr().write_all(&flood).expect("stderr");
                self.reply(id, json!("done"));
            }
            "close" => {
                // Safe Rust cannot close descriptor 1, a shell can; it keeps the rest open.
                use std::os::unix::process::CommandExt;
                panic!(
                    "{}",
                    std::process::Command::new("/bin/sh").args(["-c", "exec 1>&-; exec sleep 3600"]).exec()
                );
            }
            "orphan" => {
                // A grandchild whose parent ends at once, in our group.
                let script = "sleep 3600 & echo $!";
                let mut shell = std::process::Command::new("/bin/sh");
                shell.args(["-c", script]).stdin(std::process::Stdio::null());
                self.reply(id, json!(spawn_orphan(&mut shell)));
            }
            _ => {}
        }
    }

    /// A response of exactly this many bytes, without its line break.
    fn big(&mut self, id: &Value, bytes: usize) {
        let head = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":\"");
        let mut line = head.into_bytes();
        line.resize(bytes - 2, b'x');
        line.extend_from_slice(b"\"}\n");
        self.raw(&line);
    }

    fn reply(&mut self, id: &Value, result: Value) {
        let result = if self.objects && !result.is_object() { json!({ "value": result }) } else { result };
        if !id.is_null() {
            self.line(&json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string());
        }
    }

    fn fail(&mut self, id: &Value, code: i64, data: Value) {
        let error = json!({ "code": code, "message": "no", "data": data });
        self.line(&json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string());
    }

    fn note(&mut self, method: &str, params: &Value) {
        self.line(&json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string());
    }

    fn line(&mut self, line: &str) {
        self.raw(format!("{line}\n").as_bytes());
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.out.write_all(bytes).expect("stdout");
        self.out.flush().expect("stdout");
    }
}

fn name() -> String {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--name").skip(1);
    arguments.next().map_or("peer".into(), |length| "n".repeat(length.parse().expect("a length")))
}

fn spawn_orphan(command: &mut std::process::Command) -> u32 {
    let path = std::env::temp_dir().join("orphan");
    let out = std::fs::File::create(&path).expect("file");
    command.stdout(out).status().expect("sh");
    std::fs::read_to_string(path).expect("file").trim().parse().expect("pid")
}

fn read_lossy(path: &str) -> String {
    match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("error: {error}"),
    }
}
