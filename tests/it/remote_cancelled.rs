//! Calls that are cancelled where a remote has not got them yet, or others wait behind them.

use std::sync::Arc;

use serde_json::json;

use crate::gateway::Gateway;
use crate::remote::{gateway, goes_on, open, request, server};
use crate::scripted::reply::{Door, Reply};
use crate::scripted::{Remote, handshake, rpc, stateless};
use crate::stateless::{enveloped, mirrored, try_call};

#[tokio::test]
async fn a_call_that_is_cancelled_while_its_session_is_begun_again_is_not_sent_again() {
    let (sessions, door) = (Arc::new(handshake::Handshake::default()), Door::default());
    let (own, shut) = (sessions.clone(), door.clone());
    let remote = Remote::start(move |request| match (&*request.rpc(), own.has_begun()) {
        ("initialize", true) => Reply::behind(&shut, own.answer(request)),
        _ => own.answer(request),
    });
    let gateway = gateway(&remote, "");
    let session = Arc::new(open(&gateway).await);
    remote.until("the gateway listens", |remote| !remote.by("GET").is_empty()).await;
    sessions.forget();
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.post(&request(5, "session", json!({}))).await }
    });
    remote.until("it begins again", |remote| remote.of("initialize").len() == 2).await;
    let cancelled = rpc::notification("notifications/cancelled", json!({ "requestId": 5 }));
    assert_eq!(session.post(&cancelled).await.status(), 202);
    // That ends the stream of the call.
    waiting.await.unwrap().text().await.unwrap();
    let next = tokio::spawn({
        let session = session.clone();
        async move { goes_on(&session, 6).await }
    });
    door.open();
    next.await.unwrap();
    assert_eq!(remote.of("session").len(), 1, "it is sent once, to the session that was lost");
}

/// Nobody waits for what has been called off, be it the first or more than may be on the way at once.
#[tokio::test]
async fn calls_without_a_session_that_are_cancelled_hold_up_no_others() {
    let (remote, _) = stateless::remote();
    let limits = "[limits]\nqueue = \"64KiB\"\nmessage = \"64KiB\"\n";
    let gateway = Gateway::start(&format!("{limits}{}", server("docs", &remote.url(), "")));
    for count in 1..5 {
        let body = enveloped(count, "never", json!({ "own": "x".repeat(60 << 10) }));
        let endpoint = mirrored(&gateway, "docs", &body);
        let waiting = tokio::spawn(async move { endpoint.post(&body).await });
        remote.until("it is called", |remote| remote.of("never").len() as u64 == count).await;
        waiting.abort();
        remote.left(&remote.of("never").pop().unwrap()).await;
        let answer = try_call(&gateway, "docs", 7, "echo", json!({ "own": count })).await;
        assert_eq!(answer["result"]["own"], count);
    }
    assert_eq!(remote.of("server/discover").len(), 1, "it is one conversation all the time");
}
