//! One MCP session over SSE, Streamable HTTP or a pipe.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::process::Stdio;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::Shared;
use crate::cli::Transport;
use crate::http::{Conn, Target};
use crate::rpc::{Answer, Expect, Router, Verdict};
use crate::stream::{open_stream, read_events, read_lines};

/// How a session speaks.
pub enum Kind {
    Sse {
        post: Target,
    },
    Streamable {
        target: Target,
        session_id: Option<String>,
    },
    Pipe {
        stdin: Mutex<ChildStdin>,
        child: Box<RefCell<Option<Child>>>,
    },
    /// No session: requests to a server that answers a fixed reply.
    Raw {
        target: Target,
    },
}

pub struct Session {
    pub router: Rc<RefCell<Router>>,
    pub setup: Duration,
    pub kind: Kind,
    /// Request head up to the content length.
    pub post_head: String,
    readers: Vec<JoinHandle<()>>,
}

pub enum Failure {
    /// No answer within the limit.
    Lost,
    /// The session is over.
    Dead,
    Error(String),
}

/// A worker's connection for POSTs and its scratch space.
#[derive(Default)]
pub struct Wire {
    pub conn: Option<Conn>,
    pub used: bool,
    pub body: String,
    pub out: Vec<u8>,
    pub reply: Vec<u8>,
}
impl Session {
    /// Connects and initializes; `setup` is the time up to the initialize result.
    pub async fn open(index: u32, shared: &'static Shared) -> Result<Self, String> {
        let cfg = &shared.cfg;
        match timeout(cfg.connect_timeout(), Self::open_inner(index, shared)).await {
            Ok(result) => result,
            Err(_) => Err("set-up timed out".to_owned()),
        }
    }

    async fn open_inner(index: u32, shared: &'static Shared) -> Result<Self, String> {
        let cfg = &shared.cfg;
        let started = Instant::now();
        let ordered = !matches!(cfg.transport, Transport::Streamable | Transport::Stateless);
        let router = Rc::new(RefCell::new(Router::new(index, cfg.unique_ids(), ordered, cfg.note_size)));
        let mut readers = Vec::new();
        let kind = match cfg.transport {
            Transport::Sse => {
                let target = shared.target()?;
                let conn = open_stream(target, "", shared).await?;
                let (tx, rx) = oneshot::channel();
                let reader = read_events(conn, Rc::clone(&router), shared, Some(tx));
                readers.push(tokio::task::spawn_local(reader));
                let endpoint = rx.await.map_err(|_| "no endpoint event")?;
                let post = target.join(&endpoint)?;
                Kind::Sse { post }
            }
            Transport::Streamable | Transport::Stateless => {
                Kind::Streamable { target: shared.target()?.clone(), session_id: None }
            }
            Transport::Raw => Kind::Raw { target: shared.target()?.clone() },
            Transport::Pipe => {
                let mut words = cfg.cmd.split_ascii_whitespace();
                let mut child = Command::new(words.next().unwrap_or("echo-stdio"))
                    .args(words)
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null())
                    .kill_on_drop(true)
                    .spawn()
                    .map_err(|e| format!("spawn: {e}"))?;
                let stdin = Mutex::new(child.stdin.take().ok_or("no stdin")?);
                let stdout = child.stdout.take().ok_or("no stdout")?;
                let reader = read_lines(stdout, Rc::clone(&router), shared);
                readers.push(tokio::task::spawn_local(reader));
                let child = Box::new(RefCell::new(Some(child)));
                Kind::Pipe { stdin, child }
            }
        };
        let mut session = Self { router, setup: Duration::ZERO, kind, post_head: String::new(), readers };
        session.make_head(shared);
        if matches!(cfg.transport, Transport::Raw | Transport::Stateless) {
            return Ok(session);
        }
        let mut wire = Wire::default();
        let answer = session.initialize(&mut wire, shared).await?;
        session.setup = answer.at - started;
        session.make_head(shared);
        wire.body.clear();
        wire.body.push_str(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        session.post(&mut wire, None, shared).await?;
        if cfg.transport == Transport::Streamable && cfg.wants_get_stream() {
            session.open_get_stream(shared).await;
        }
        Ok(session)
    }

    async fn initialize(&mut self, wire: &mut Wire, shared: &'static Shared) -> Result<Answer, String> {
        let (id, _, answer) = self.router.borrow_mut().open(Expect::Initialize);
        wire.body.clear();
        let _ = write!(
            wire.body,
            r#"{{"jsonrpc":"2.0","id":{id},"method":"initialize","params":{{"protocolVersion":"{}","capabilities":{{}},"clientInfo":{{"name":"mcpload","version":"0.1.0"}}}}}}"#,
            shared.cfg.protocol()
        );
        let head = self.post(wire, Some(id), shared).await?;
        if let (Kind::Streamable { session_id, .. }, Some(head)) = (&mut self.kind, head) {
            *session_id = head.session_id;
        }
        let answer = answer.await.map_err(|_| "no initialize result")?;
        match answer.verdict {
            Verdict::Good => Ok(answer),
            _ => Err("initialize: error or wrong reply".to_owned()),
        }
    }

    async fn open_get_stream(&mut self, shared: &'static Shared) {
        let Kind::Streamable { target, .. } = &self.kind else {
            return;
        };
        match open_stream(target, &self.session_headers(), shared).await {
            Ok(conn) => {
                let reader = read_events(conn, Rc::clone(&self.router), shared, None);
                self.readers.push(tokio::task::spawn_local(reader));
            }
            Err(why) => self.router.borrow_mut().counts.kind(&format!("GET stream: {why}")),
        }
    }

    fn session_headers(&self) -> String {
        let mut headers = String::new();
        if let Kind::Streamable { session_id: Some(id), .. } = &self.kind {
            let _ = write!(headers, "Mcp-Session-Id: {id}\r\n");
        }
        let router = self.router.borrow();
        if !router.protocol.is_empty() {
            let _ = write!(headers, "MCP-Protocol-Version: {}\r\n", router.protocol);
        }
        headers
    }

    pub fn target(&self) -> Option<&Target> {
        match &self.kind {
            Kind::Sse { post } => Some(post),
            Kind::Streamable { target, .. } | Kind::Raw { target } => Some(target),
            Kind::Pipe { .. } => None,
        }
    }

    fn make_head(&mut self, shared: &Shared) {
        let Some(target) = self.target() else {
            return;
        };
        let accept = match self.kind {
            Kind::Streamable { .. } => "Accept: application/json, text/event-stream\r\n",
            _ => "Accept: */*\r\n",
        };
        // What a stateless request repeats of its body.
        let mirror = match shared.cfg.transport {
            Transport::Stateless => format!(
                "MCP-Protocol-Version: {}\r\nMcp-Method: tools/call\r\nMcp-Name: echo\r\n",
                shared.cfg.protocol()
            ),
            _ => String::new(),
        };
        self.post_head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n{accept}{mirror}{}{}Content-Length: ",
            target.path,
            target.host,
            self.session_headers(),
            shared.headers,
        );
    }

    /// Ends the session as its transport has it.
    pub async fn close(&self, shared: &Shared) {
        for reader in &self.readers {
            reader.abort();
        }
        match &self.kind {
            Kind::Streamable { target, session_id: Some(_) } => {
                let request = format!(
                    "DELETE {} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\n{}{}\r\n",
                    target.path,
                    target.host,
                    self.session_headers(),
                    shared.headers,
                );
                let delete = async {
                    let mut conn = Conn::open(target.addr).await?;
                    conn.send(request.as_bytes()).await?;
                    conn.head().await
                };
                let status = match timeout(Duration::from_secs(5), delete).await {
                    Ok(Ok(head)) if (200..300).contains(&head.status) => return,
                    Ok(Ok(head)) => head.status.to_string(),
                    Ok(Err(e)) => e.to_string(),
                    Err(_) => "timed out".to_owned(),
                };
                let mut router = self.router.borrow_mut();
                router.counts.kind(&format!("DELETE: {status}"));
            }
            Kind::Pipe { stdin, child } => {
                let _ = stdin.lock().await.shutdown().await;
                let taken = child.borrow_mut().take();
                if let Some(mut child) = taken {
                    let _ = child.start_kill();
                    let _ = timeout(Duration::from_secs(2), child.wait()).await;
                }
            }
            _ => {}
        }
    }
}
