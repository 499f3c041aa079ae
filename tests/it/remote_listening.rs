//! The stream beside the requests, on which a remote says things unasked: when it breaks, when its session is gone,
//! and when there is none (seed D1.5).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::events::{Endpoint, Events};
use crate::gateway::Gateway;
use crate::remote::{NEWEST, gateway, goes_on, open, server};
use crate::scripted::reply::{Door, Reply, Step, chunk, event_with_id};
use crate::scripted::{Remote, Request, handshake, rpc};

/// The listening streams that were asked for.
fn listened(remote: &Remote) -> Vec<Arc<Request>> {
    remote.by("GET")
}

fn note(n: u64) -> Value {
    rpc::notification("notifications/n", json!({ "n": n }))
}

#[tokio::test]
async fn a_stream_that_breaks_is_taken_up_behind_its_last_event() {
    let (server, door, asked) = (handshake::Handshake::default(), Door::default(), AtomicUsize::new(0));
    let opens = door.clone();
    let said = |id: &str, n: u64| Step::Bytes(chunk(&event_with_id(id, &note(n))));
    let remote = Remote::start(move |request| match &*request.method {
        "GET" => match asked.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::stream(vec![Step::Until(opens.clone()), said("a/1", 1), Step::Close]),
            // That nothing comes on one changes nothing.
            1 => Reply::stream(vec![Step::Bytes(chunk(b""))]),
            2 => Reply::stream(vec![said("a/2", 2), Step::Bytes(chunk(b""))]),
            _ => Reply::stream(vec![said("a/3", 3), Step::Hang]),
        },
        _ => server.answer(request),
    });
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    let mut listening = Events::of(session.get().await);
    door.open();
    for n in 1..4 {
        assert_eq!(listening.message().await.unwrap(), note(n), "each one once, in order");
    }
    let gets = listened(&remote);
    let last: Vec<_> = gets.iter().map(|get| get.header("last-event-id")).collect();
    assert_eq!(last, [None, Some("a/1"), Some("a/1"), Some("a/2")]);
    assert!(gets.iter().all(|get| get.header("mcp-session-id") == Some("remote-session-1")));
    assert_eq!(remote.of("initialize").len(), 1);
}

#[tokio::test]
async fn a_session_that_is_gone_when_its_stream_is_taken_up_is_begun_once_more() {
    let (remote, server) = handshake::remote();
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    let mut listening = Events::of(session.get().await);
    remote.until("the gateway listens", |_| server.say(&note(0)) == 1).await;
    assert_eq!(listening.message().await.unwrap(), note(0));
    // Its streams end with it.
    server.forget();
    let mut told = Vec::new();
    for _ in 0..4 {
        let message = listening.message().await.unwrap();
        if message["method"] == "notifications/message" {
            assert_eq!(message["params"]["level"], "warning");
            assert!(message["params"]["data"].to_string().contains("docs"), "{message}");
        }
        told.push(message["method"].as_str().unwrap().to_owned());
    }
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "notifications/message",
            "notifications/prompts/list_changed",
            "notifications/resources/list_changed",
            "notifications/tools/list_changed",
        ]
    );
    remote.until("it listens to the new one", |_| server.say(&note(1)) == 1).await;
    assert_eq!(listening.message().await.unwrap(), note(1));
    goes_on(&session, 1).await;
    let begun = (remote.of("initialize").len(), remote.of("notifications/initialized").len());
    assert_eq!((begun, server.sessions()), ((2, 2), vec!["remote-session-2".to_owned()]));
    let last = listened(&remote).pop().unwrap();
    assert_eq!(last.header("mcp-session-id"), Some("remote-session-2"));
    assert_eq!(last.header("last-event-id"), None, "ids are the lost session's");
}

/// Both say no: 405 as they should, 404 where nobody has thought of it. A third that is only out of order shows how
/// long it takes until somebody would ask again.
#[tokio::test]
async fn a_remote_that_has_no_such_stream_is_asked_for_it_once() {
    let sessions = handshake::Handshake::default();
    let remote = Remote::start(move |request| match (&*request.method, &*request.path) {
        ("GET", path) => Reply::status(path[1..].parse().unwrap()),
        _ => sessions.answer(request),
    });
    let tables: String = ["405", "404", "503"]
        .iter()
        .map(|status| server(&format!("s{status}"), &remote.at(&format!("/{status}")), ""))
        .collect();
    let gateway = Gateway::start(&tables);
    let asked = |status: &str| listened(&remote).into_iter().filter(|get| get.path[1..] == *status).count();
    let mut open = Vec::new();
    for status in ["405", "404"] {
        let session = Endpoint::new(&gateway, &format!("s{status}")).open(NEWEST).await;
        remote.until("it is asked", |_| asked(status) > 0).await;
        open.push(session);
    }
    open.push(Endpoint::new(&gateway, "s503").open(NEWEST).await);
    remote.until("the third is asked again and again", |_| asked("503") > 2).await;
    assert_eq!((asked("405"), asked("404")), (1, 1), "no means no");
    for (session, id) in open.iter().zip(1..) {
        let _listening = Events::of(session.get().await);
        goes_on(session, id).await;
    }
    assert_eq!(remote.of("initialize").len(), 3, "nobody has lost a session");
}
