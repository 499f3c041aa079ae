//! What feeds a session's router: event streams and a child's lines.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;

use crate::Shared;
use crate::http::{Conn, Target};
use crate::rpc::Router;
use crate::sse;

type Routed = Rc<RefCell<Router>>;

/// Feeds an event stream to the router until it ends.
pub async fn read_events(
    mut conn: Conn,
    router: Routed,
    shared: &'static Shared,
    endpoint: Option<oneshot::Sender<String>>,
) {
    let mut parser = sse::Parser::default();
    let mut endpoint = endpoint;
    let is_session = endpoint.is_some();
    let why = loop {
        match conn.chunk().await {
            Ok(Some(bytes)) => {
                let mut router = router.borrow_mut();
                parser.feed(bytes, &mut |name, data| match name {
                    b"endpoint" => {
                        if let Some(tx) = endpoint.take() {
                            let _ = tx.send(String::from_utf8_lossy(data).into_owned());
                        }
                    }
                    b"" | b"message" => router.on_message(data, &shared.payload),
                    _ => {}
                });
            }
            Ok(None) => break "stream ended".to_owned(),
            Err(e) => break e.to_string(),
        }
    };
    let mut router = router.borrow_mut();
    if is_session {
        router.died(why);
    } else {
        router.counts.kind(&format!("GET stream: {why}"));
    }
}

pub async fn read_lines(mut from: impl AsyncReadExt + Unpin, router: Routed, shared: &'static Shared) {
    let mut buf = vec![0_u8; 64 * 1024];
    let (mut start, mut scanned, mut end) = (0, 0, 0);
    loop {
        match from.read(&mut buf[end..]).await {
            Ok(n) if n > 0 => end += n,
            _ => break,
        }
        let mut router = router.borrow_mut();
        while let Some(at) = memchr::memchr(b'\n', &buf[scanned..end]) {
            router.on_message(&buf[start..scanned + at], &shared.payload);
            start = scanned + at + 1;
            scanned = start;
        }
        scanned = end;
        if start == end {
            (start, scanned, end) = (0, 0, 0);
        } else if end == buf.len() && start > 0 {
            buf.copy_within(start..end, 0);
            (start, scanned, end) = (0, scanned - start, end - start);
        } else if end == buf.len() {
            buf.resize(end * 2, 0);
        }
    }
    router.borrow_mut().died("pipe closed".to_owned());
}

/// GETs an event stream.
pub async fn open_stream(target: &Target, headers: &str, shared: &Shared) -> Result<Conn, String> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\nCache-Control: no-cache\r\n{headers}{}\r\n",
        target.path, target.host, shared.headers,
    );
    let mut conn = Conn::open(target.addr).await.map_err(|e| format!("connect: {e}"))?;
    let sent = async {
        conn.send(request.as_bytes()).await?;
        conn.head().await
    };
    let head = sent.await.map_err(|e| format!("GET: {e}"))?;
    if head.status != 200 || !head.event_stream {
        return Err(format!("HTTP {}", head.status));
    }
    Ok(conn)
}
