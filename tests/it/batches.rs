//! Batches that are too long: a member can be as short as a digit, so that a message within its limit of bytes may
//! have millions.

use serde_json::{Value, json};

use crate::events::{Endpoint, fault};
use crate::gateway::Gateway;
use crate::remote::{call, gateway, goes_on, is_told, open};
use crate::scripted::handshake;
use crate::scripted::reply::Reply;

const NOTE: &str = r#"{"jsonrpc":"2.0","method":"note"}"#;

fn batch(member: &str, count: usize) -> String {
    format!("[{}]", vec![member; count].join(","))
}

/// What bytes of a message may cost: they are held a few times on their way, while a list of millions takes gigabytes.
fn costs_little(gateway: &Gateway, before: usize) {
    let grown = gateway.peak().saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB");
}

#[tokio::test]
async fn a_server_says_nothing_with_a_batch_that_is_too_long_and_all_go_on() {
    let gateway = Gateway::start("");
    let mut session = gateway.client().connect("peer").await;
    let mut other = gateway.client().connect("peer").await;
    let before = gateway.peak();
    for (member, count, passed) in
        [("1", 8_000_000, 0), (NOTE, 400_000, 0), (NOTE, 1001, 0), (NOTE, 1000, 1000), ("1", 1000, 0)]
    {
        let id = session.request("batch", json!({ "member": member, "count": count })).await;
        assert_eq!(other.call("echo", json!({ "a": 1 })).await, json!({ "a": 1 }));
        assert_eq!(session.answer(id).await["result"], "done");
        assert_eq!(session.aside.len(), passed, "{count} times {member}");
        session.aside.clear();
    }
    costs_little(&gateway, before);
}

#[tokio::test]
async fn a_remote_says_nothing_with_a_batch_that_is_too_long() {
    let (remote, _) =
        handshake::remote_but("fault", |_| Reply::new(200, "application/json", &*batch("1", 8_000_000)));
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    let before = gateway.peak();
    is_told(&call(&session, 5, "fault", json!({})).await, 5, &["message"]);
    goes_on(&session, 6).await;
    costs_little(&gateway, before);
}

#[tokio::test]
async fn a_client_is_refused_a_batch_that_is_too_long() {
    let gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "peer").open("2025-03-26").await;
    let mut other = gateway.client().connect("peer").await;
    let before = gateway.peak();
    for (member, count) in [("1", 1_000_000), (NOTE, 100_000), (NOTE, 101)] {
        let (status, code, body) = fault(session.post_raw(batch(member, count)).await).await;
        assert_eq!((status, code), (400, -32600), "{count} times {member}");
        let told: &Value = &body["error"]["message"];
        assert!(told.as_str().unwrap().contains("more than 100 members"), "{told}");
        assert_eq!(other.call("echo", json!({ "a": 1 })).await, json!({ "a": 1 }));
    }
    costs_little(&gateway, before);
    assert_eq!(session.post_raw(batch(NOTE, 100)).await.status(), 202);
    // One that is no message costs the others their way, but not the session.
    let (status, _, body) = fault(session.post_raw(format!("[{NOTE},3]")).await).await;
    let told = body["error"]["message"].as_str().unwrap();
    assert!(status == 400 && told.contains("it is not an object"), "{told}");
    assert_eq!(session.call(1, "echo", json!({ "a": 1 })).await["result"], json!({ "a": 1 }));
}
