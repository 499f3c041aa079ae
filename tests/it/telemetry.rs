//! What the log says and on whose account, and what a trace's headers become. What it must not say it says at no level.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::events::Endpoint;
use crate::gateway::{Gateway, SECRET, lockgate, until, with_peers};
use crate::remote::{NEWEST, call, id_of, request, server};
use crate::scripted::{Remote, handshake, reply::Reply, stateless};
use crate::stateless::{enveloped, mirrored};

pub(crate) const SPAN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
pub(crate) const OTHER: &str = "00-11111111111111111111111111111111-2222222222222222-01";

fn tag(response: &Response) -> String {
    let tags: Vec<_> = response.headers().get_all("x-request-id").iter().collect();
    assert_eq!(tags.len(), 1, "{:?}", response.headers());
    tags[0].to_str().unwrap().to_owned()
}

/// The lines that were written on account of this request.
fn lines_of(gateway: &Gateway, request: &str) -> Vec<Value> {
    let log = gateway.log();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["request"] == request).collect()
}

#[tokio::test]
async fn every_response_names_its_request() {
    let gateway = Gateway::start("");
    let get = |path: &str| crate::client::get(gateway.url(path));
    let mut tags = Vec::new();
    for (path, status) in
        [("/health", 200), ("/nothing/here/at/all", 404), ("/peer/mcp", 401), ("/%ff/sse", 401)]
    {
        let response = get(path).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        tags.push(tag(&response));
    }
    let peer = || Endpoint::new(&gateway, "peer");
    for response in [
        peer().initialize(NEWEST).await,
        peer().request(Method::PUT).send().await.unwrap(),
        peer().post_raw("no JSON").await,
        Endpoint::new(&gateway, "nobodys").initialize(NEWEST).await,
        gateway.client().get("/peer/sse").send().await.unwrap(),
    ] {
        tags.push(tag(&response));
    }
    let all = tags.len();
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), all, "each has its own: {tags:?}");
}

#[tokio::test]
async fn a_client_may_say_what_its_request_is_called_but_not_just_anything() {
    let gateway = Gateway::start("");
    let own = |tag_: &str| Endpoint::new(&gateway, "peer").header("x-request-id", tag_);
    let long = "x".repeat(64);
    for named in ["a", "req_7.B-c", &long] {
        assert_eq!(tag(&own(named).get().await), named);
    }
    let session = own("opens").open(NEWEST).await;
    let id = id_of(&session).to_owned();
    for other in ["", "a b", "a;b", "a\"b", &format!("{long}x"), &id] {
        let given = tag(&own(other).get().await);
        assert!(given != other && !given.is_empty(), "{other}");
    }
    let twice = own("one").request(Method::GET).header("x-request-id", "two").send().await.unwrap();
    assert!(!["one", "two"].contains(&&*tag(&twice)));
    assert!(!gateway.log().contains(&id));
}

#[tokio::test]
async fn a_line_says_which_request_it_is_about_and_which_session() {
    let (remote, _) = handshake::remote_but("break", |_| Reply::status(503));
    let gateway = Gateway::start(&server("docs", &remote.url(), ""));
    let wrong = Endpoint::new(&gateway, "peer").of_tenant("wrong").header("x-request-id", "wrong-1");
    assert_eq!(wrong.get().await.status(), 401);
    let nobodys = Endpoint::new(&gateway, "nobodys").header("x-request-id", "refused-1");
    assert_eq!(nobodys.initialize(NEWEST).await.status(), 403);
    let peer = Endpoint::new(&gateway, "peer").header("x-request-id", "open-1").open(NEWEST).await;
    assert_eq!(peer.request(Method::DELETE).send().await.unwrap().status(), 200);
    until("it has ended", || !gateway.audit("session_ended").is_empty()).await;
    assert_eq!(gateway.audit("secret_refused")[0]["request"], "wrong-1");
    assert_eq!(gateway.audit("session_refused")[0]["request"], "refused-1");
    let opened = &gateway.audit("session_opened")[0];
    assert_eq!(opened["request"], "open-1");
    let started = &gateway.audit("server_started")[0];
    assert_eq!((&started["request"], &started["session"]), (&json!("open-1"), &opened["session"]));
    let ended = &gateway.audit("session_ended")[0];
    assert_eq!((ended.get("request"), &ended["session"]), (None, &opened["session"]));
    // A line far from where the request came in.
    let docs = Endpoint::new(&gateway, "docs").header("x-request-id", "docs-1").open(NEWEST).await;
    let docs = docs.header("x-request-id", "breaks-1");
    assert!(call(&docs, 1, "break", json!({})).await["error"].is_object());
    until("it is told", || !lines_of(&gateway, "breaks-1").is_empty()).await;
    let line = lines_of(&gateway, "breaks-1").remove(0);
    assert_eq!(line["message"], "a request to a remote server failed");
    let opened = &gateway.audit("session_opened")[1];
    assert_eq!((&line["session"], &line["tenant"]), (&opened["session"], &json!("default")));
}

#[tokio::test]
async fn a_remote_gets_the_trace_of_its_client_as_it_came_or_none() {
    let (remote, _) = handshake::remote();
    let gateway = Gateway::start(&server("docs", &remote.url(), ""));
    let session = Endpoint::new(&gateway, "docs").open(NEWEST).await;
    let calls = [
        (vec![("traceparent", SPAN), ("tracestate", "a=1,b=2")], Some(SPAN), Some("a=1,b=2")),
        (vec![("traceparent", SPAN), ("tracestate", "not a state")], Some(SPAN), None),
        (vec![("traceparent", SPAN), ("traceparent", OTHER)], None, None),
        (vec![("traceparent", "00-x"), ("tracestate", "a=1")], None, None),
        (vec![("tracestate", "a=1")], None, None),
    ];
    for (id, (headers, parent, state)) in calls.into_iter().enumerate() {
        let before = remote.of("echo").len();
        let params = json!({ "_meta": { "traceparent": OTHER, "baggage": "x=1" } });
        let mut post = session.request(Method::POST).header("content-type", "application/json");
        for (name, value) in &headers {
            post = post.header(*name, *value);
        }
        let response = post.body(request(id as u64 + 1, "echo", params.clone()).to_string()).send().await;
        assert_eq!(response.unwrap().status(), 200, "{headers:?}");
        let seen = remote.of("echo").remove(before);
        assert_eq!((seen.header("traceparent"), seen.header("tracestate")), (parent, state), "{headers:?}");
        assert_eq!(seen.message()["params"], params, "what a message says of its trace is the message's");
    }
}

#[tokio::test]
async fn a_child_gets_what_a_message_says_of_its_trace_to_the_byte() {
    let gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "peer").header("traceparent", SPAN).open(NEWEST).await;
    let text = format!(
        r#"{{ "jsonrpc":"2.0", "id" : 7,"params":{{"_meta" : {{ "tracestate":"a=1" ,"traceparent": "{OTHER}","x":1.50}}}},"method":"raw" }}"#
    );
    let answer: Value = session.post_raw(text.clone()).await.json().await.unwrap();
    assert_eq!(answer["result"], text.as_str());
}

/// All that must not be told, said on every way there is.
pub(crate) async fn say_secrets(gateway: &Gateway, remote: &Remote, modern: &Remote) -> Vec<String> {
    let hidden = "payload-that-is-nobodys";
    let mut told = vec![SECRET.to_owned(), hidden.to_owned(), "value-of-client".into(), "sesame".into()];
    for name in ["peer", "docs"] {
        let endpoint = Endpoint::new(gateway, name).header("env_client_key", "value-of-client");
        let session = endpoint.header("traceparent", SPAN).open(NEWEST).await;
        told.push(id_of(&session).to_owned());
        let _ = call(&session, 1, "echo", json!({ hidden: hidden })).await;
        // A method, an id and a header of the client's own.
        let _ = session.header("x-other", hidden).post(&request(2, hidden, json!({ "id": hidden }))).await;
    }
    let mut sse = gateway.client().header("ENV_CLIENT_KEY", "value-of-client").connect("peer").await;
    told.push(sse.endpoint.split('=').nth(1).unwrap().to_owned());
    sse.call("say", json!({ "text": hidden })).await;
    assert_eq!(sse.post_raw(hidden).send().await.unwrap().status(), 400);
    for name in ["stateless", "modern"] {
        let body = enveloped(1, "echo", json!({ hidden: hidden }));
        assert_eq!(mirrored(gateway, name, &body).post(&body).await.status(), 200);
    }
    let wrong = Endpoint::new(gateway, hidden).of_tenant("sesame-wrong").header("x-other", hidden);
    assert_eq!(wrong.get().await.status(), 401);
    let elsewhere = Endpoint::new(gateway, hidden).header("mcp-session-id", &told[4]);
    assert_eq!(elsewhere.get().await.status(), 403);
    let remotes = remote.requests().into_iter().chain(modern.requests());
    told.extend(remotes.filter_map(|seen| seen.header("mcp-session-id").map(str::to_owned)));
    told
}

/// A gateway with all kinds of backends, on which [`say_secrets`] can be said.
pub(crate) fn settings(remote: &Remote, modern: &Remote) -> String {
    let auth = "auth = { scheme = \"bearer\", env = \"DOCS_TOKEN\" }\nenv_allow = [\"CLIENT_KEY\"]";
    let docs = server("docs", &remote.url(), auth);
    with_peers(&format!("{docs}{}", server("modern", &modern.url(), "")))
}

#[tokio::test]
async fn no_level_of_the_log_holds_payloads_secrets_or_ids_of_sessions() {
    for level in ["debug", "trace"] {
        let ((remote, _), (modern, _)) = (handshake::remote(), stateless::remote());
        let variables = [("LOCKGATE_SECRET", SECRET), ("LOG_LEVEL", level), ("DOCS_TOKEN", "sesame-docs")];
        let gateway = Gateway::start_bare(&settings(&remote, &modern), &variables);
        let hidden = say_secrets(&gateway, &remote, &modern).await;
        until("the log has come", || !gateway.audit("session_refused").is_empty()).await;
        gateway.signal("TERM");
        until("it ends", || gateway.log().contains("draining")).await;
        let log = gateway.log();
        assert!(log.contains("\"DEBUG\""), "a log of {level}");
        for hidden in hidden {
            assert!(!log.contains(&hidden), "{hidden} is in the log of {level}");
        }
    }
}

#[tokio::test]
async fn headers_for_the_collector_are_for_nobody_else() {
    let headers = "authorization=Bearer%20sesame";
    for name in ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"] {
        let gateway = Gateway::start_bare(&with_peers(""), &[("LOCKGATE_SECRET", SECRET), (name, headers)]);
        let mut session = gateway.client().connect("peer").await;
        let environment = session.call("environment", json!({})).await.to_string();
        assert!(!environment.contains("OTEL") && !environment.contains("sesame"), "{environment}");
        let environ = std::fs::read(format!("/proc/{}/environ", gateway.pid())).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&environ).contains("sesame"));
        assert!(!gateway.log().contains("sesame"));
    }
}

#[test]
fn the_log_has_the_form_that_is_asked_for() {
    for (form, is_json) in [("auto", true), ("json", true), ("human", false)] {
        let mut gateway = lockgate()
            .args(["--port", "0"])
            .env("LOCKGATE__TELEMETRY__LOG", form)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(gateway.stderr.take().unwrap()).lines().map(Result::unwrap);
        let line = lines.find(|line| line.contains("listening")).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&line).is_ok(), is_json, "{form}: {line}");
        let _ = gateway.kill();
        let _ = gateway.wait();
    }
}
