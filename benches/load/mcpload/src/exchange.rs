//! One message out, and what comes back on the same way.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::Shared;
use crate::http::{Conn, Head};
use crate::rpc::{Answer, Expect, Verdict};
use crate::session::{Failure, Kind, Session, Wire};
use crate::sse;

/// After the reply, how long a response stream may stay open.
const STREAM_END: Duration = Duration::from_secs(1);

impl Session {
    /// Sends `wire.body` and takes the response, but for SSE not yet the reply.
    pub async fn post(
        &self,
        wire: &mut Wire,
        id: Option<u64>,
        shared: &Shared,
    ) -> Result<Option<Head>, String> {
        let Some(target) = self.target() else {
            return self.write_line(wire).await.map(|()| None);
        };
        wire.out.clear();
        wire.out.extend_from_slice(self.post_head.as_bytes());
        let _ = io::Write::write_fmt(&mut wire.out, format_args!("{}\r\n\r\n", wire.body.len()));
        wire.out.extend_from_slice(wire.body.as_bytes());
        let mut conn = match wire.conn.take() {
            Some(conn) if conn.reusable() => conn,
            _ => {
                if wire.used {
                    self.router.borrow_mut().counts.reconnects += 1;
                }
                wire.used = true;
                Conn::open(target.addr).await.map_err(|e| format!("connect: {e}"))?
            }
        };
        // A server may refuse a large body before it has read it all.
        let sent = conn.send(&wire.out).await;
        let head = match conn.head().await {
            Ok(head) => head,
            Err(e) => return Err(format!("POST: {}", sent.err().unwrap_or(e))),
        };
        if !(200..300).contains(&head.status) {
            wire.reply.clear();
            let _ = conn.read_body(&mut wire.reply).await;
            let text = String::from_utf8_lossy(&wire.reply);
            return Err(format!("HTTP {}: {}", head.status, text.trim()));
        }
        let io_error = |e: io::Error| format!("response: {e}");
        match (&self.kind, head.event_stream) {
            (Kind::Streamable { .. }, true) => {
                let mut parser = sse::Parser::default();
                loop {
                    let done = id.is_none_or(|id| !self.router.borrow().is_pending(id));
                    let next = if done {
                        match timeout(STREAM_END, conn.chunk()).await {
                            Ok(next) => next,
                            Err(_) => return Ok(Some(head)),
                        }
                    } else {
                        conn.chunk().await
                    };
                    let Some(bytes) = next.map_err(io_error)? else {
                        break;
                    };
                    let mut router = self.router.borrow_mut();
                    parser.feed(bytes, &mut |name, data| {
                        if matches!(name, b"" | b"message") {
                            router.on_message(data, &shared.payload);
                        }
                    });
                }
            }
            (Kind::Streamable { .. }, false) => {
                wire.reply.clear();
                conn.read_body(&mut wire.reply).await.map_err(io_error)?;
                if id.is_some() {
                    let mut router = self.router.borrow_mut();
                    router.on_message(&wire.reply, &shared.payload);
                }
            }
            _ => while conn.chunk().await.map_err(io_error)?.is_some() {},
        }
        wire.conn = Some(conn);
        Ok(Some(head))
    }

    async fn write_line(&self, wire: &mut Wire) -> Result<(), String> {
        let Kind::Pipe { stdin, .. } = &self.kind else {
            return Ok(());
        };
        wire.body.push('\n');
        let mut stdin = stdin.lock().await;
        stdin.write_all(wire.body.as_bytes()).await.map_err(|e| format!("pipe: {e}"))
    }

    /// One request and its answer. `build` writes the JSON-RPC message for an
    /// id and a sequence number.
    pub async fn request(
        &self,
        wire: &mut Wire,
        expect: Expect,
        shared: &Shared,
        build: impl FnOnce(&mut String, u64, u64),
    ) -> Result<Answer, Failure> {
        if self.router.borrow().dead.is_some() {
            return Err(Failure::Dead);
        }
        let (id, seq, answer) = self.router.borrow_mut().open(expect);
        wire.body.clear();
        build(&mut wire.body, id, seq);
        let exchange = async {
            let head = self.post(wire, Some(id), shared).await.map_err(Failure::Error)?;
            let streamable = matches!(self.kind, Kind::Streamable { .. });
            let accepted = head.is_some_and(|h| h.status == 202);
            if streamable && !accepted && self.router.borrow().is_pending(id) {
                return Err(Failure::Error("response without the reply".to_owned()));
            }
            answer.await.map_err(|_| Failure::Dead)
        };
        match timeout(shared.cfg.call_timeout(), exchange).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(failure)) => {
                self.router.borrow_mut().abandon(id);
                Err(failure)
            }
            Err(_) => {
                self.router.borrow_mut().abandon(id);
                Err(Failure::Lost)
            }
        }
    }

    /// A request to a server with a fixed reply: only the status is checked.
    pub async fn raw(&self, wire: &mut Wire, shared: &Shared) -> Result<Answer, Failure> {
        let exchange = timeout(shared.cfg.call_timeout(), self.post(wire, None, shared));
        match exchange.await {
            Ok(Ok(_)) => Ok(Answer { at: Instant::now(), verdict: Verdict::Good }),
            Ok(Err(why)) => Err(Failure::Error(why)),
            Err(_) => Err(Failure::Lost),
        }
    }
}
