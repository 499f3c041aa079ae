use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;
use url::Url;

use super::super::address::{Forbidden, Reach};
use super::super::stand_in::{Listener, answer};
use super::*;

/// Tokens named by their number, that live this long.
fn numbered(expires_in: u64) -> impl Fn(&str) -> String {
    let count = AtomicUsize::new(0);
    move |_| granted(&format!("t{}", count.fetch_add(1, Ordering::SeqCst)), expires_in)
}

fn granted(token: &str, expires_in: u64) -> String {
    let body = format!(r#"{{"access_token":"{token}","token_type":"bearer","expires_in":{expires_in}}}"#);
    answer(200, "content-type: application/json\r\n", &body)
}

fn asking(listener: &Listener, host: &str, reach: Reach, lifecycle: Lifecycle) -> Tokens {
    let grant = Grant {
        // What counts is the destination that was made of it.
        token_url: Url::parse("https://elsewhere.example").unwrap(),
        client_id: "lock:gate é".into(),
        client_secret: Sealed::new("pass+word"),
        scope: Some("read write".into()),
        resource: Url::parse("https://mcp.example.com/mcp").unwrap(),
    };
    Tokens::new(Arc::new(grant), listener.endpoint(host, "/token?a=1", reach), lifecycle)
}

async fn tokens(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> (Tokens, Listener) {
    let listener = Listener::new(answer).await;
    (asking(&listener, "127.0.0.1", Reach::Open, Lifecycle::default()), listener)
}

fn text(token: Answer) -> String {
    token.unwrap().reveal().to_owned()
}

#[tokio::test]
async fn the_request_says_who_asks_and_for_what() {
    let (tokens, mut listener) = tokens(numbered(3600)).await;
    assert_eq!(text(tokens.token().await), "t0");
    let request = listener.requests.recv().await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /token?a=1 HTTP/1.1\r\n"), "{head}");
    // lock%3Agate+%C3%A9:pass%2Bword
    assert!(head.contains("\r\nauthorization: Basic bG9jayUzQWdhdGUrJUMzJUE5OnBhc3MlMkJ3b3Jk\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/x-www-form-urlencoded\r\n"), "{head}");
    assert_eq!(
        body,
        "grant_type=client_credentials&scope=read+write&resource=https%3A%2F%2Fmcp.example.com%2Fmcp"
    );
}

#[tokio::test]
async fn however_many_want_a_token_one_is_asked_for() {
    let (tokens, listener) = tokens(numbered(3600)).await;
    let mut waiters = JoinSet::new();
    for _ in 0..50 {
        let tokens = tokens.clone();
        waiters.spawn(async move { text(tokens.token().await) });
    }
    assert!(waiters.join_all().await.iter().all(|token| token == "t0"));
    assert_eq!(text(tokens.token().await), "t0");
    assert_eq!(listener.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_used_until_shortly_before_its_end() {
    let (tokens, _listener) = tokens(numbered(90)).await;
    assert_eq!(text(tokens.token().await), "t0");
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(text(tokens.token().await), "t0");
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(text(tokens.token().await), "t1");
}

#[tokio::test]
async fn a_rejected_token_is_replaced_once() {
    let (tokens, listener) = tokens(numbered(3600)).await;
    let first = tokens.token().await.unwrap();
    let (one, other) = tokio::join!(tokens.renew(&first), tokens.renew(&first));
    assert_eq!((text(one), text(other)), ("t1".into(), "t1".into()));
    assert_eq!(text(tokens.renew(&first).await), "t1", "who comes late gets what there is");
    assert_eq!(text(tokens.token().await), "t1");
    assert_eq!(listener.connections(), 2);
}

#[tokio::test]
async fn a_token_that_stays_the_same_is_asked_for_no_more() {
    let (tokens, listener) = tokens(|_| granted("same", 3600)).await;
    let token = tokens.token().await.unwrap();
    for _ in 0..3 {
        assert!(matches!(tokens.renew(&token).await, Err(NoToken::Unchanged)));
    }
    assert_eq!(listener.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_to_all_who_wait_and_not_for_long() {
    let count = AtomicUsize::new(0);
    let (tokens, listener) = tokens(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => answer(401, "", r#"{"error":"invalid_client"}"#),
        _ => granted("t", 3600),
    })
    .await;
    let refused = |answer: Answer| matches!(answer, Err(NoToken::Refused { status: 401, code }) if &*code == "invalid_client");
    let (one, other) = tokio::join!(tokens.token(), tokens.token());
    assert!(refused(one) && refused(other));
    assert!(refused(tokens.token().await));
    assert_eq!(listener.connections(), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(text(tokens.token().await), "t");
}

#[tokio::test]
async fn who_leaves_takes_nothing_from_those_who_wait() {
    let (tokens, listener) = tokens(numbered(3600)).await;
    let (mut first, mut second) = (Box::pin(tokens.token()), Box::pin(tokens.token()));
    assert!(polled(&mut first).await.is_none() && polled(&mut second).await.is_none());
    drop(first);
    assert_eq!(text(second.await), "t0");
    assert_eq!(listener.connections(), 1);
}

/// What it has after one poll.
async fn polled<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    std::future::poll_fn(|cx| match std::pin::Pin::new(&mut *future).poll(cx) {
        std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

#[test]
fn a_runtime_that_goes_takes_no_token_from_others() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (lives, dies) = (runtime(), runtime());
    let (tokens, _listener) = lives.block_on(tokens(numbered(3600)));
    let asking = tokens.clone();
    dies.block_on(async { assert!(polled(&mut Box::pin(asking.token())).await.is_none()) });
    drop(dies);
    assert_eq!(lives.block_on(async { text(tokens.token().await) }), "t0");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_not_waited_for() {
    let (tokens, _listener) = tokens(|_| String::new()).await;
    let begun = Instant::now();
    assert!(matches!(tokens.token().await, Err(NoToken::Unreachable(Unreachable::Slow))));
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn an_answer_that_is_no_token_is_none() {
    let long = format!(r#"{{"access_token":"t","token_type":"bearer","x":"{}"}}"#, "x".repeat(64 * 1024));
    for body in [
        "",
        "<html>",
        r#"{"access_token":"t"}"#,
        r#"{"access_token":"t","token_type":"mac"}"#,
        r#"{"access_token":"","token_type":"bearer"}"#,
        r#"{"access_token":"a\r\nb: c","token_type":"bearer"}"#,
        &long,
    ] {
        let given = answer(200, "", body);
        let (tokens, _listener) = tokens(move |_| given.clone()).await;
        assert!(matches!(tokens.token().await, Err(NoToken::Unusable(_))), "{body:.60}");
    }
}

#[tokio::test]
async fn credentials_go_nowhere_that_requests_may_not() {
    let listener = Listener::new(|_| granted("t", 3600)).await;
    let tokens = asking(&listener, "localhost", Reach::Guarded, Lifecycle::default());
    let failed = tokens.token().await;
    assert!(matches!(failed, Err(NoToken::Unreachable(Unreachable::Forbidden(Forbidden::Private)))));
    assert_eq!(listener.connections(), 0);
}

#[tokio::test]
async fn a_gateway_that_stops_waits_for_no_token() {
    let listener = Listener::new(|_| String::new()).await;
    let lifecycle = Lifecycle::default();
    let tokens = asking(&listener, "127.0.0.1", Reach::Open, lifecycle.clone());
    let (token, gone) = tokio::join!(
        tokens.token(),
        lifecycle.shut_down(Duration::ZERO, Duration::ZERO, Duration::from_secs(5))
    );
    assert!(matches!(token, Err(NoToken::Ending)) && gone);
}

#[tokio::test]
async fn nothing_shows_a_secret() {
    let (tokens, _listener) = tokens(|_| granted("hunter2", 3600)).await;
    let token = tokens.token().await;
    let shown = format!("{tokens:?} {token:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("pass+word"), "{shown}");
    let refused = NoToken::Refused { status: 401, code: "invalid_client".into() };
    assert!(
        !refused.public().contains("client") && refused.to_string().contains("401"),
        "a client is told less"
    );
}
