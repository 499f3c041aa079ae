mod arbitrary;

use bytes::Bytes;

use super::*;
use crate::mcp::frame::Kind;
use crate::mcp::id::RequestId;

const NOW: Duration = Duration::from_secs(7);
const SHOWS: &str = r#""result":{"supportedVersions":["2026-07-28"]}"#;
const UNKNOWN: &str = r#""error":{"code":-32601,"message":"?"}"#;

fn frame(text: &str) -> Frame {
    Frame::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn sides(client: Era, backend: Option<Era>) -> Sides {
    let (introduction, seal) = (Introduction::nobody(), Seal::new([1; 32]));
    Sides { client, backend, profile: None, introduction, server: "s".into(), seal }
}

fn request(id: u64, method: &str) -> Frame {
    frame(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"}}"#))
}

fn cancelled(id: u64) -> Frame {
    crate::mcp::cancelled(&RequestId::number(id), "why")
}

/// The answer to the first request of these.
fn answer(sent: &[Frame], rest: &str) -> Frame {
    let Kind::Request(id, _) = sent[0].kind() else { panic!("{sent:?}") };
    frame(&format!(r#"{{"jsonrpc":"2.0","id":{},{rest}}}"#, id.token()))
}

fn methods(sent: &[Frame]) -> Vec<String> {
    sent.iter().map(|frame| frame.method().into_owned()).collect()
}

/// A bridge that has asked its backend, which runs since now, and the question.
fn probing() -> (Bridge, Vec<Frame>) {
    let (mut bridge, first) = Bridge::new(sides(Era::Stateless, None));
    bridge.backend_runs(NOW);
    assert_eq!(methods(&first.to_backend), ["server/discover"]);
    (bridge, first.to_backend)
}

#[test]
fn the_same_era_on_both_sides_needs_no_bridge() {
    for era in [Era::Handshake, Era::Stateless] {
        let (bridge, first) = Bridge::new(sides(era, Some(era)));
        assert!(bridge.is_direct() && first.to_backend.is_empty());
    }
}

#[test]
fn what_was_called_off_before_the_backend_was_known_never_reaches_it() {
    let (mut bridge, first) = probing();
    for frame in [request(1, "a"), request(2, "b"), cancelled(1)] {
        assert!(bridge.client_says(frame, NOW).to_backend.is_empty());
    }
    assert!(bridge.held() > 0);
    let passed = bridge.backend_says(answer(&first, SHOWS), NOW);
    assert_eq!(methods(&passed.to_backend), ["b"]);
    assert!(bridge.is_direct() && bridge.shown() == Some(Era::Stateless) && bridge.held() == 0);
    assert_eq!(methods(&bridge.client_says(cancelled(2), NOW).to_backend), ["notifications/cancelled"]);
}

#[test]
fn what_waits_before_the_backend_is_known_is_bounded() {
    let (mut bridge, first) = probing();
    let large = |id: u64| {
        let text = "x".repeat(600_000);
        frame(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m","params":{{"a":"{text}"}}}}"#))
    };
    assert!(bridge.client_says(large(1), NOW).to_client.is_empty());
    let refused = bridge.client_says(large(2), NOW).to_client;
    assert!(refused[0].frame.is_error() && bridge.held() < 700_000, "{refused:?}");
    let Kind::Response(Some(id)) = refused[0].frame.kind() else { panic!("{refused:?}") };
    assert_eq!(*id, RequestId::number(2));
    assert_eq!(methods(&bridge.backend_says(answer(&first, SHOWS), NOW).to_backend), ["m"]);
}

#[test]
fn a_backend_that_does_not_show_the_era_of_its_clients_is_asked_for_the_other() {
    let (mut bridge, first) = probing();
    assert_eq!(methods(&bridge.backend_says(answer(&first, UNKNOWN), NOW).to_backend), ["initialize"]);
    assert!(!bridge.is_direct());

    // One that is late is asked behind the first question, one that ends over it is asked anew.
    let (mut bridge, first) = probing();
    let due = bridge.next_deadline().unwrap();
    assert!(bridge.tick(due - Duration::from_millis(1)).to_backend.is_empty());
    bridge.client_says(request(1, "a"), NOW);
    assert_eq!(methods(&bridge.tick(due).to_backend), ["initialize"]);
    // It may read the question only now, and end over it: once.
    let again = bridge.begin_again(due).unwrap().to_backend;
    assert_eq!(methods(&again), ["initialize"]);
    assert!(bridge.begin_again(due).is_none());
    let late = bridge.backend_says(answer(&first, SHOWS), due);
    assert!(late.to_client.is_empty() && late.to_backend.is_empty());
    let agreed = bridge.backend_says(answer(&again, r#""result":{"capabilities":{}}"#), due);
    assert_eq!(methods(&agreed.to_backend), ["notifications/initialized", "a"]);
    // The next who comes needs no bridge.
    assert_eq!(bridge.shown(), Some(Era::Stateless));

    let (mut bridge, _) = probing();
    assert_eq!(methods(&bridge.begin_again(NOW).unwrap().to_backend), ["initialize"]);
    assert_eq!(bridge.shown(), Some(Era::Handshake));
    assert!(bridge.begin_again(NOW).is_none());
}

#[test]
fn what_never_ran_has_not_ended_over_a_question() {
    let (mut bridge, _) = Bridge::new(sides(Era::Stateless, None));
    assert!(bridge.begin_again(NOW).is_none() && bridge.next_deadline().is_none());
}

#[test]
fn a_client_that_begins_is_bridged_only_if_its_backend_knows_no_such_request() {
    let initialize =
        r#"{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#;
    let begun = |rest: &str| {
        let (mut bridge, first) = Bridge::new(sides(Era::Handshake, None));
        assert!(first.to_backend.is_empty());
        for text in [request(6, "ping"), frame(initialize)] {
            let passed = bridge.client_says(text.clone(), NOW);
            assert_eq!(passed.to_backend[0].bytes(), text.bytes());
        }
        assert_eq!(bridge.backend_says(answer(&[request(6, "ping")], UNKNOWN), NOW).to_client.len(), 1);
        let passed = bridge.backend_says(answer(&[frame(initialize)], rest), NOW);
        (bridge, passed)
    };
    let (bridge, passed) = begun(r#""result":{"protocolVersion":"2025-06-18"}"#);
    assert!(bridge.is_direct() && passed.to_client.len() == 1);
    let (bridge, passed) = begun(r#""error":{"code":-32603,"message":"ill"}"#);
    assert!(!bridge.is_direct() && passed.to_client.len() == 1);
    let other = r#""error":{"code":-32022,"message":"","data":{"supported":["2026-07-28"]}}"#;
    for refusal in [UNKNOWN, other] {
        let (_, passed) = begun(refusal);
        assert!(passed.to_client.is_empty(), "{passed:?}");
    }
}

fn initialize(id: u64) -> Frame {
    let params = r#"{"protocolVersion":"2025-06-18","capabilities":{}}"#;
    frame(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"initialize","params":{params}}}"#))
}

/// A bridge whose client sent this `initialize`, which the backend has refused in both eras; and what went out.
fn refused_twice(bridge: &mut Bridge, initialize: &Frame) -> Vec<Frame> {
    assert_eq!(bridge.client_says(initialize.clone(), NOW).to_backend.len(), 1);
    let asked = bridge.backend_says(answer(std::slice::from_ref(initialize), UNKNOWN), NOW);
    assert_eq!(methods(&asked.to_backend), ["server/discover"]);
    let passed = bridge.backend_says(answer(&asked.to_backend, UNKNOWN), NOW);
    assert!(passed.to_backend.is_empty() && passed.to_client.len() == 1);
    let told = &passed.to_client[0].frame;
    assert!(
        matches!((told.kind(), initialize.kind()), (Kind::Response(Some(told)), Kind::Request(id, _)) if told == id)
    );
    asked.to_backend
}

#[test]
fn a_client_that_was_refused_in_both_eras_may_try_again() {
    let (mut bridge, _) = Bridge::new(sides(Era::Handshake, None));
    let first = refused_twice(&mut bridge, &initialize(1));
    let second = refused_twice(&mut bridge, &initialize(2));
    let token = |sent: &[Frame]| match sent[0].kind() {
        Kind::Request(id, _) => id.token().to_owned(),
        other => panic!("{other:?}"),
    };
    assert_ne!(token(&first), token(&second), "a late answer to the first is none to the second");
    // The corrected one reaches the backend as it is, and so does its answer the client.
    let again = initialize(3);
    assert_eq!(bridge.client_says(again.clone(), NOW).to_backend[0].bytes(), again.bytes());
    let agreed = answer(&[again], r#""result":{"protocolVersion":"2025-06-18"}"#);
    assert_eq!(bridge.backend_says(agreed.clone(), NOW).to_client[0].frame.bytes(), agreed.bytes());
    assert!(bridge.is_direct());
}

#[test]
fn one_that_was_called_off_is_not_answered_by_another_era() {
    let initialize = initialize(1);
    let (mut bridge, _) = Bridge::new(sides(Era::Handshake, None));
    bridge.client_says(initialize.clone(), NOW);
    bridge.client_says(cancelled(1), NOW);
    assert!(bridge.backend_says(answer(&[initialize], UNKNOWN), NOW).to_backend.is_empty());
}

#[test]
fn a_backend_that_asks_before_it_has_shown_its_era_is_answered() {
    let (mut bridge, _) = probing();
    for (method, is_error) in [("ping", false), ("roots/list", true)] {
        let passed = bridge.backend_says(request(9, method), NOW);
        let told = &passed.to_backend[0];
        assert!(matches!(told.kind(), Kind::Response(Some(id)) if id.token() == "9"), "{told:?}");
        assert_eq!((told.is_error(), passed.to_client.len()), (is_error, 0), "{method}");
    }
}
