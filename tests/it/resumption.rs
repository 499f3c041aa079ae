//! A connection that breaks in the middle of a call (MCP 2025-11-25, resumability).

use reqwest::Method;
use serde_json::{Value, json};

use crate::events::{Endpoint, Event, Events, fault, first_event};
use crate::gateway::Gateway;

/// Cuts and events of one call.
const CUTS: usize = 100;

/// A small generator of numbers, the same ones each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Reads so many bytes of a response and then cuts the connection, wherever in an event that is. What was
/// whole, and whether the stream ended before.
async fn read_and_cut(mut response: reqwest::Response, bytes: usize) -> (Vec<Event>, bool) {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut buffer = Vec::new();
    let mut ended = false;
    while buffer.len() < bytes {
        match response.chunk().await.unwrap() {
            Some(chunk) => buffer.extend_from_slice(&chunk),
            None => {
                ended = true;
                break;
            }
        }
    }
    if !ended {
        buffer.truncate(bytes);
    }
    let events = std::iter::from_fn(|| first_event(&mut buffer)).collect();
    (events, ended)
}

#[tokio::test]
async fn a_hundred_cuts_lose_double_and_reorder_nothing() {
    let gateway = Gateway::start("[limits]\nqueue = \"16MiB\"");
    let session = Endpoint::new(&gateway, "peer").open("2025-11-25").await;
    let mut dice = Dice(42);
    let mut cuts = 0;
    let mut id = 0;
    while cuts < CUTS {
        id += 1;
        let params =
            json!({ "count": 60, "pause_ms": 1, "pad": "x".repeat(300), "_meta": { "progressToken": id } });
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": "steps", "params": params });
        let mut response = session.post(&call).await;
        let mut last = None;
        let mut messages: Vec<Value> = Vec::new();
        loop {
            // The empty event comes at once, so at least that is seen before the first cut.
            let (events, ended) = read_and_cut(response, 100 + dice.roll(6000) as usize).await;
            for event in events {
                messages.extend(
                    event.data.filter(|d| !d.is_empty()).map(|data| serde_json::from_str(&data).unwrap()),
                );
                last = event.id.or(last);
            }
            if ended {
                break;
            }
            cuts += 1;
            let resumed = session.request(Method::GET).header("last-event-id", last.as_deref().unwrap());
            response = resumed.send().await.unwrap();
            if response.status() == 405 {
                // The cut came behind the last event.
                break;
            }
        }
        let progress: Vec<_> = messages.iter().filter_map(|m| m["params"]["progress"].as_u64()).collect();
        assert_eq!(progress, (1..=60).collect::<Vec<_>>());
        assert_eq!(messages.len(), 61);
        assert_eq!((&messages[60]["id"], &messages[60]["result"]), (&json!(id), &json!("done")));
    }
}

#[tokio::test]
async fn the_listening_stream_goes_on_behind_the_last_event() {
    let gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "peer").open("2025-06-18").await;
    let mut listening = Events::of(session.get().await);
    session.call(1, "notes", json!({ "count": 5 })).await;
    let mut last = String::new();
    for _ in 0..2 {
        last = listening.next().await.unwrap().id.unwrap();
    }
    drop(listening);
    session.call(2, "notes", json!({ "count": 1 })).await;
    let resumed = session.request(Method::GET).header("last-event-id", &last).send().await.unwrap();
    let mut resumed = Events::of(resumed);
    for n in [2, 3, 4, 0] {
        assert_eq!(resumed.message().await.unwrap()["params"]["n"], n);
    }
}

#[tokio::test]
async fn a_stream_is_resumed_alone_and_only_by_its_owner() {
    let gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "peer").open("2025-11-25").await;
    let params = json!({ "count": 2, "_meta": { "progressToken": 1 } });
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "steps", "params": params });
    let mut events = Events::of(session.post(&call).await);
    let first = events.next().await.unwrap().id.unwrap();
    while events.next().await.is_some() {}
    session.call(2, "notes", json!({ "count": 3 })).await;
    let resume =
        |endpoint: &Endpoint, id: &str| endpoint.request(Method::GET).header("last-event-id", id).send();
    let mut again = Events::of(resume(&session, &first).await.unwrap());
    for _ in 0..2 {
        assert_eq!(again.message().await.unwrap()["method"], "notifications/progress");
    }
    assert_eq!(again.message().await.unwrap()["result"], "done");
    assert_eq!(again.next().await, None);
    let stream = first.split('-').next().unwrap();
    let done = resume(&session, &format!("{stream}-3")).await.unwrap();
    assert_eq!((done.status().as_u16(), &done.headers()["allow"]), (405, &"POST, DELETE".parse().unwrap()));
    for unknown in [
        format!("{stream}-4"),
        "99-0".into(),
        "x".into(),
        "1".into(),
        format!("{stream}-18446744073709551615"),
    ] {
        let (status, code, _) = fault(resume(&session, &unknown).await.unwrap()).await;
        assert_eq!((status, code), (400, -32000), "{unknown}");
    }
    let other = Endpoint::new(&gateway, "peer").open("2025-11-25").await;
    assert_eq!(resume(&other, &first).await.unwrap().status(), 400);
}

#[tokio::test]
async fn what_is_kept_is_bounded_and_a_gap_is_told() {
    let gateway = Gateway::start("[limits]\nqueue = \"64KiB\"");
    let session = Endpoint::new(&gateway, "peer").open("2025-11-25").await;
    let params = json!({ "count": 200, "pad": "x".repeat(1000), "_meta": { "progressToken": 1 } });
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "steps", "params": params });
    let mut events = Events::of(session.post(&call).await);
    let first = events.next().await.unwrap().id.unwrap();
    while events.next().await.is_some() {}
    let resumed = session.request(Method::GET).header("last-event-id", &first).send().await.unwrap();
    let (status, _, body) = fault(resumed).await;
    assert_eq!(status, 400);
    assert!(body["error"]["message"].as_str().unwrap().contains("not kept"));
    let stream = first.split('-').next().unwrap();
    let near =
        session.request(Method::GET).header("last-event-id", format!("{stream}-190")).send().await.unwrap();
    let mut near = Events::of(near);
    assert_eq!(near.message().await.unwrap()["params"]["progress"], 191);
}

#[tokio::test]
async fn what_is_kept_for_nobody_keeps_nothing_else_alive() {
    let gateway = Gateway::start("");
    let session = Endpoint::new(&gateway, "peer").open("2025-11-25").await;
    // 100 MB of noise, and 6 kB of messages that wait for a listening stream.
    let params = json!({ "count": 100, "bytes": 1 << 20 });
    assert_eq!(session.call_slowly(1, "padded_notes", params).await["result"], "done");
    let resident = gateway.resident();
    assert!(resident < 48 << 10, "{resident} KiB");
    let mut listening = Events::of(session.get().await);
    for n in 0..100 {
        assert_eq!(listening.message().await.unwrap()["params"]["n"], n);
    }
}
