//! The HTTP limit of a machine: bare actix-web 4 answers MCP echo calls by
//! itself. `GET /sse` + `POST /message` are the SSE transport, `POST /mcp` is
//! Streamable HTTP with JSON replies, `POST /fixed202` and `POST /fixed` answer
//! a constant. No child, no session state but the open streams.
//!
//! Usage: `floor PORT [WORKERS] [TUNED]`, TUNED 1 (default) or 0. Untuned,
//! actix-web leaves Nagle's algorithm on, which costs an SSE stream up to 40 ms
//! an event as soon as events overlap, and takes a client's hang-up for half a
//! close, so that an idle SSE stream stays open for ever.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::web::{Bytes, Data, PayloadConfig, Query};
use actix_web::{App, Error, HttpResponse, HttpServer, web};
use futures_util::stream;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

#[derive(Default)]
struct Streams {
    open: RwLock<HashMap<u64, UnboundedSender<Bytes>>>,
    last: AtomicU64,
}

#[derive(Deserialize)]
struct Session {
    id: u64,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Option<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow, default, rename = "protocolVersion")]
    version: Option<&'a RawValue>,
    #[serde(borrow, default)]
    arguments: Option<Arguments<'a>>,
}

#[derive(Deserialize)]
struct Arguments<'a> {
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
}

/// Appends the reply to `body`; false when it asks for none.
fn reply(body: &[u8], out: &mut String) -> bool {
    let Ok(req) = serde_json::from_slice::<Request<'_>>(body) else {
        return false;
    };
    let Some(id) = req.id else {
        return false;
    };
    let params = req.params.as_ref();
    let _ = if req.method == "initialize" {
        let version = params.and_then(|p| p.version);
        write!(
            out,
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"protocolVersion":{},"capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"floor","version":"0"}}}}}}"#,
            version.map_or("\"2024-11-05\"", RawValue::get)
        )
    } else {
        let payload = params.and_then(|p| p.arguments.as_ref()?.payload);
        write!(
            out,
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":{}}}]}}}}"#,
            payload.map_or("\"\"", RawValue::get)
        )
    };
    true
}

async fn sse(streams: Data<Streams>) -> HttpResponse {
    let id = streams.last.fetch_add(1, Ordering::Relaxed);
    let (tx, rx) = unbounded_channel();
    let hello = format!("event: endpoint\ndata: /message?id={id}\n\n");
    let _ = tx.send(Bytes::from(hello));
    if let Ok(mut open) = streams.open.write() {
        open.insert(id, tx);
    }
    let events = stream::unfold(rx, |mut rx| async {
        let event = rx.recv().await?;
        Some((Ok::<_, Error>(event), rx))
    });
    HttpResponse::Ok().content_type("text/event-stream").streaming(events)
}

async fn message(session: Query<Session>, body: Bytes, streams: Data<Streams>) -> HttpResponse {
    let mut event = String::with_capacity(body.len() + 64);
    event.push_str("event: message\ndata: ");
    if reply(&body, &mut event) {
        event.push_str("\n\n");
        if let Ok(open) = streams.open.read()
            && let Some(tx) = open.get(&session.id)
        {
            let _ = tx.send(Bytes::from(event));
        }
    }
    HttpResponse::Accepted().finish()
}

async fn mcp(body: Bytes) -> HttpResponse {
    let mut out = String::with_capacity(body.len() + 64);
    if reply(&body, &mut out) {
        HttpResponse::Ok()
            .insert_header(("Mcp-Session-Id", "floor"))
            .content_type("application/json")
            .body(out)
    } else {
        HttpResponse::Accepted().finish()
    }
}

async fn fixed202(_body: Bytes) -> HttpResponse {
    HttpResponse::Accepted().finish()
}

async fn fixed(_body: Bytes) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#)
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let mut number = |default: u16| args.next().and_then(|a| a.parse().ok()).unwrap_or(default);
    let (port, workers, tuned) = (number(8080), number(2), number(1));
    let streams = Data::new(Streams::default());
    HttpServer::new(move || {
        App::new()
            .app_data(streams.clone())
            .app_data(PayloadConfig::new(64 << 20))
            .route("/sse", web::get().to(sse))
            .route("/message", web::post().to(message))
            .route("/mcp", web::post().to(mcp))
            .route("/mcp", web::delete().to(HttpResponse::Ok))
            .route("/fixed202", web::post().to(fixed202))
            .route("/fixed", web::post().to(fixed))
    })
    .workers(usize::from(workers.max(1)))
    .tcp_nodelay(tuned != 0)
    .h1_allow_half_closed(tuned == 0)
    .shutdown_timeout(1)
    .bind(("127.0.0.1", port))?
    .run()
    .await
}
