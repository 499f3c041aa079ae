//! Spans as a collector gets them.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::events::Endpoint;
use crate::gateway::{Gateway, SECRET, until, with_peers};
use crate::otlp::{Span, collector, spans};
use crate::remote::{NEWEST, call, id_of, request, server};
use crate::scripted::{Remote, handshake, stateless};
use crate::stateless::{enveloped, mirrored};
use crate::telemetry::{OTHER, SPAN, say_secrets, settings};

const ROUTE: &str = "POST /{server}/mcp";

fn start(url: &str, more: &str) -> Gateway {
    let own = format!("[telemetry]\ntraces = {url:?}\n{more}");
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20sesame-collector");
    let variables = [("LOCKGATE_SECRET", SECRET), headers, ("DOCS_TOKEN", "sesame-docs")];
    Gateway::start_bare(&with_peers(&own), &variables)
}

/// Ends the gateway, and with that has everything exported.
fn finish(mut gateway: Gateway, collector: &Remote) -> Vec<Span> {
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
    spans(collector)
}

fn only<'a>(spans: &'a [Span], what: &str, which: impl Fn(&Span) -> bool) -> &'a Span {
    let found: Vec<_> = spans.iter().filter(|span| which(span)).collect();
    assert_eq!(found.len(), 1, "{what}: {spans:#?}");
    found[0]
}

#[tokio::test]
async fn a_trace_goes_from_the_client_through_the_gateway_to_the_child() {
    let collector = collector();
    let gateway = start(&format!("http://{}", collector.address), "");
    let opens = Endpoint::new(&gateway, "peer").header("traceparent", SPAN).header("x-request-id", "r-open");
    let session = opens.open(NEWEST).await.header("x-request-id", "r-call");
    let tag = gateway.audit("session_opened")[0]["session"].as_str().unwrap().to_owned();
    // The message is heard before the headers.
    let params = json!({ "kept": [1, 2], "_meta": { "traceparent": OTHER, "mine": true } });
    let echoed = call(&session, 1, "echo", params).await["result"].clone();
    let bare = json!({ "jsonrpc": "2.0", "id": 2, "method": "raw" });
    let bare: Value = session.post(&bare).await.json().await.unwrap();
    let all = finish(gateway, &collector);
    for export in collector.requests() {
        assert_eq!(
            (&*export.path, export.header("authorization")),
            ("/v1/traces", Some("Bearer sesame-collector"))
        );
    }

    let opening = only(&all, "opening", |span| span.is(ROUTE, "mcp.method.name", "initialize"));
    assert_eq!(format!("00-{}-{}-01", opening.trace, opening.parent), SPAN);
    let open = only(&all, "start", |span| span.name == "open");
    assert!(open.is_below(opening) && open.kind == 1 && open.begun >= opening.begun, "{open:?}");
    let initialized = only(&all, "its answer", |span| span.is("backend", "mcp.method.name", "initialize"));
    assert!(initialized.is_below(opening) && initialized.kind == 3);

    let calling = only(&all, "call", |span| {
        format!("00-{}-{}-01", span.trace, span.parent) == OTHER && span.name == ROUTE
    });
    assert_eq!(calling.kind, 2);
    for (key, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/{server}/mcp"),
        ("http.response.status_code", "200"),
        ("mcp.method.name", "_OTHER"),
        ("lockgate.request", "r-call"),
        ("lockgate.session", &*tag),
        ("lockgate.server", "peer"),
        ("lockgate.tenant", "default"),
    ] {
        assert_eq!(calling.attributes.get(key).map(String::as_str), Some(value), "{calling:?}");
    }
    let asked = only(&all, "backend", |span| span.is_below(calling));
    assert!(asked.name == "backend" && asked.kind == 3, "{asked:?}");
    assert!(calling.begun <= asked.begun && asked.begun <= asked.ended && asked.ended <= calling.ended);
    assert_eq!(echoed["_meta"], json!({ "traceparent": asked.context(), "mine": true }));
    assert_eq!(echoed["kept"], json!([1, 2]));
    let line: Value = serde_json::from_str(bare["result"].as_str().unwrap()).unwrap();
    let told = line["params"]["_meta"]["traceparent"].as_str().unwrap();
    assert!(all.iter().any(|span| span.name == "backend" && span.context() == told), "{told}");
}

#[tokio::test]
async fn a_remote_hangs_below_the_gateway() {
    let (collector, (remote, _)) = (collector(), handshake::remote());
    let gateway = start(&collector.at("/"), &server("docs", &remote.url(), ""));
    let session = Endpoint::new(&gateway, "docs").open(NEWEST).await;
    let session = session.header("traceparent", SPAN).header("tracestate", "a=1");
    let params = json!({ "_meta": { "traceparent": SPAN, "tracestate": "b=2" } });
    call(&session, 1, "echo", params.clone()).await;
    let seen = remote.called("echo").await;
    let all = finish(gateway, &collector);
    let below = only(&all, "backend", |span| Some(&*span.context()) == seen.header("traceparent"));
    let calling = only(&all, "call", |span| below.is_below(span));
    assert_eq!(format!("00-{}-{}-01", calling.trace, calling.parent), SPAN);
    assert_eq!(seen.header("tracestate"), Some("b=2"));
    assert_eq!(seen.message()["params"], params, "a remote's messages stay as they are");
}

#[tokio::test]
async fn a_span_lasts_until_the_answer_whatever_the_transport() {
    let collector = collector();
    let gateway = start(&collector.at("/v1/traces"), "");
    let mut sse = gateway.client().connect("peer").await;
    sse.call("echo", json!({})).await;
    let body = enveloped(1, "echo", json!({ "_meta": { "traceparent": OTHER } }));
    let echoed: Value = mirrored(&gateway, "stateless", &body).post(&body).await.json().await.unwrap();
    drop(sse);
    let all = finish(gateway, &collector);
    let sent = |span: &&Span| span.is("POST /{server}/message", "mcp.method.name", "_OTHER");
    let sent = all.iter().find(sent).unwrap();
    assert_eq!(sent.attributes["http.response.status_code"], "202");
    let asked = only(&all, "backend", |span| span.is_below(sent));
    assert!(asked.ended >= asked.begun);
    let calling = only(&all, "call", |span| format!("00-{}-{}-01", span.trace, span.parent) == OTHER);
    let below: Vec<&str> =
        all.iter().filter(|span| span.is_below(calling)).map(|span| span.name.as_str()).collect();
    assert!(below.contains(&"open") && below.contains(&"backend"), "{below:?}");
    let told = echoed["result"]["_meta"]["traceparent"].as_str().unwrap();
    assert!(all.iter().any(|span| span.is_below(calling) && span.context() == told), "{told}");
}

#[tokio::test]
async fn what_is_exported_holds_no_payload_secret_or_id_of_a_session() {
    let ((remote, _), (modern, _), collector) = (handshake::remote(), stateless::remote(), collector());
    let own = settings(&remote, &modern);
    let own = format!("[telemetry]\ntraces = {:?}\n{own}", collector.at(""));
    let variables = [("LOCKGATE_SECRET", SECRET), ("LOG_LEVEL", "trace"), ("DOCS_TOKEN", "sesame-docs")];
    let gateway = Gateway::start_bare(&own, &variables);
    let hidden = say_secrets(&gateway, &remote, &modern).await;
    assert!(hidden.len() > 8, "{hidden:?}");
    until("the log has come", || !gateway.audit("session_refused").is_empty()).await;
    let log = gateway.log();
    assert!(finish(gateway, &collector).len() > 20);
    for hidden in hidden {
        assert!(!log.contains(&hidden), "{hidden} is in the log");
        for export in collector.requests() {
            let is_there = export.body.windows(hidden.len()).any(|part| part == hidden.as_bytes());
            assert!(!is_there, "{hidden} is exported");
        }
    }
}

#[tokio::test]
async fn the_operator_decides_how_much_is_exported() {
    let collector = collector();
    let gateway = start(&collector.at(""), "traces_sampled = 0.0");
    let session = Endpoint::new(&gateway, "peer").header("traceparent", SPAN).open(NEWEST).await;
    let echoed = call(&session, 1, "echo", json!({})).await["result"].clone();
    let told = echoed["_meta"]["traceparent"].as_str().unwrap();
    assert!(told.starts_with(&SPAN[..35]) && told.ends_with("-00"), "{told}");
    assert!(finish(gateway, &collector).is_empty());
}

#[tokio::test]
async fn a_collector_that_is_away_costs_its_spans_and_one_line() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut gateway = start(&format!("http://{free}"), "");
    let told = |gateway: &Gateway| gateway.log().matches("the collector does not take spans").count();
    let session = Endpoint::new(&gateway, "peer").open(NEWEST).await;
    let id = id_of(&session).to_owned();
    for number in 1..600 {
        assert_eq!(session.post(&request(number, "echo", json!({}))).await.status(), 200);
    }
    until("it is told", || told(&gateway) == 1).await;
    assert_eq!(session.post(&request(600, "echo", json!({}))).await.status(), 200);
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
    assert_eq!(told(&gateway), 1);
    assert!(!gateway.log().contains(&id) && !gateway.log().contains("sesame"));
}
