//! How calls and sessions of a remote end when nothing is wrong with it (seeds D1.6, D1.7, D1.9).

use std::sync::Arc;

use reqwest::Method;
use serde_json::json;

use crate::events::Endpoint;
use crate::gateway::{Gateway, until_told};
use crate::remote::{end, gateway, goes_on, open, request, server};
use crate::scripted::reply::{Reply, Step};
use crate::scripted::{Remote, handshake, rpc, stateless};

// D1.6
#[tokio::test]
async fn who_leaves_takes_the_requests_to_the_remote_along() {
    let (remote, server) = handshake::remote();
    let gateway = gateway(&remote, "");
    let mut session = gateway.client().connect("docs").await;
    session.request("never", json!({})).await;
    let pending = remote.called("never").await;
    remote.until("the gateway listens", |remote| !remote.by("GET").is_empty()).await;
    drop(session);
    remote.left(&pending).await;
    remote.left(&remote.by("GET")[0]).await;
    gateway.until_active(0).await;
    remote.until("it has ended there", |_| server.sessions().is_empty()).await;
    assert_eq!(remote.by("DELETE")[0].header("mcp-session-id"), Some("remote-session-1"));
}

// D1.6, in the era in which leaving is cancelling.
#[tokio::test]
async fn closing_a_request_without_a_session_closes_the_one_to_the_remote() {
    let (remote, _) = stateless::remote();
    let gateway = gateway(&remote, "");
    let body = crate::stateless::enveloped(1, "never", json!({}));
    let endpoint = crate::stateless::mirrored(&gateway, "docs", &body);
    let waiting = tokio::spawn(async move { endpoint.post(&body).await });
    let pending = remote.called("never").await;
    waiting.abort();
    remote.left(&pending).await;
}

#[tokio::test]
async fn a_call_that_is_cancelled_is_cancelled_there() {
    let (remote, _) = handshake::remote();
    let gateway = gateway(&remote, "");
    let session = Arc::new(open(&gateway).await);
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.post(&request(5, "never", json!({}))).await }
    });
    let pending = remote.called("never").await;
    let params = json!({ "requestId": 5, "reason": "enough" });
    assert_eq!(session.post(&rpc::notification("notifications/cancelled", params)).await.status(), 202);
    let note = remote.called("notifications/cancelled").await;
    assert_eq!(note.message()["params"]["requestId"], pending.message()["id"]);
    assert_eq!(note.header("mcp-session-id"), Some("remote-session-1"));
    remote.left(&pending).await;
    goes_on(&session, 6).await;
    waiting.abort();
}

// D1.7
#[tokio::test]
async fn a_session_that_is_deleted_is_deleted_there_and_is_found_no_more() {
    let (remote, server) = handshake::remote();
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    assert_eq!(Endpoint::new(&gateway, "docs").request(Method::DELETE).send().await.unwrap().status(), 405);
    end(&gateway, &[&session]).await;
    remote.until("it has ended there", |_| server.sessions().is_empty()).await;
    assert_eq!(remote.by("DELETE").len(), 1);
    assert_eq!(session.post(&request(2, "echo", json!({}))).await.status(), 404);
    assert_eq!(session.request(Method::DELETE).send().await.unwrap().status(), 404);
}

// D1.7
#[tokio::test]
async fn a_remote_that_does_not_let_go_is_not_waited_for() {
    let server = handshake::Handshake::default();
    let remote = Remote::start(move |request| match &*request.method {
        "DELETE" => Reply::raw(vec![Step::Hang]),
        _ => server.answer(request),
    });
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    assert_eq!(session.request(Method::DELETE).send().await.unwrap().status(), 200);
    remote.until("it is asked to", |remote| !remote.by("DELETE").is_empty()).await;
    remote.left(&remote.by("DELETE")[0]).await;
    gateway.until_active(0).await;
}

// D1.9; the store is the gateway's own.
#[tokio::test]
async fn a_session_lives_as_long_as_it_is_used() {
    let (remote, sessions) = handshake::remote();
    let settings = server("docs", &remote.url(), "");
    let gateway = Gateway::start(&format!("[timeouts]\nidle = \"2s\"\n{settings}"));
    let used = open(&gateway).await;
    let _unused = open(&gateway).await;
    // What is used outlives what is not, although it is the older one.
    let mut id = 0;
    let ended = async || {
        id += 1;
        goes_on(&used, id).await;
        !sessions.sessions().contains(&"remote-session-2".to_owned())
    };
    until_told("the other one ends", ended).await;
    assert_eq!(sessions.sessions(), ["remote-session-1"]);
    gateway.until_active(0).await;
    assert_eq!(used.post(&request(1, "echo", json!({}))).await.status(), 404);
    remote.until("both have ended there", |_| sessions.sessions().is_empty()).await;
}
