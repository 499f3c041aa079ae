mod shared;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::mcp::Failure;

fn frame(text: &str) -> Frame {
    Frame::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn request(id: &str, method: &str) -> Frame {
    frame(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"}}"#))
}

fn response(id: &str) -> Frame {
    frame(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#))
}

fn exchange() -> Exchange {
    Exchange::new(Transport::Sse, Duration::from_secs(300), Offer::EVERYTHING)
}

fn backend(exchange: &mut Exchange, frame: Frame) -> FromBackend {
    exchange.backend_says(frame.into(), true)
}

fn client(exchange: &mut Exchange, frame: Frame, revision: Option<&str>) -> Result<FromClient, Unfit> {
    let said = Said { revision, ..said(frame, StreamId::LISTENING, Instant::now()) };
    exchange.client_says(said, || "not begun".into())
}

fn said(frame: Frame, stream: StreamId, now: Instant) -> Said<'static> {
    Said { frame, stream, revision: None, now, offer: &Offer::EVERYTHING, span: Default::default() }
}

fn open() -> Exchange {
    let mut open = exchange();
    assert!(matches!(client(&mut open, request("0", "initialize"), None), Ok(FromClient::Forward(_))));
    assert!(matches!(backend(&mut open, response("0")), FromBackend::Forward(_)));
    open
}

fn addressed(answers: &[Addressed]) -> Vec<String> {
    texts(&answers.iter().filter_map(|a| a.frame.clone()).collect::<Vec<_>>())
}

fn texts(frames: &[Frame]) -> Vec<String> {
    frames.iter().map(|f| String::from_utf8(f.bytes().to_vec()).unwrap()).collect()
}

#[tokio::test]
async fn before_initialize_only_ping_passes_and_everything_else_is_answered() {
    let mut fresh = exchange();
    assert!(matches!(client(&mut fresh, request("1", "ping"), None), Ok(FromClient::Forward(_))));
    let Ok(FromClient::Answer(answer)) = client(&mut fresh, request("2", "tools/list"), None) else {
        panic!()
    };
    assert!(addressed(&[answer])[0].contains("not begun"));
    let note = frame(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    assert_eq!(client(&mut fresh, note, None).unwrap_err(), Unfit::NotBegun);
}

#[tokio::test]
async fn a_reconnected_client_is_initialized_and_then_gets_what_it_asked_for() {
    let mut resumed = exchange();
    let revision = Some("2025-06-18");
    let Ok(FromClient::Hold(Some(initialize))) = client(&mut resumed, request("7", "tools/list"), revision)
    else {
        panic!()
    };
    assert!(texts(std::slice::from_ref(&initialize))[0].contains(r#""protocolVersion":"2025-06-18""#));
    assert!(matches!(client(&mut resumed, request("8", "ping"), revision), Ok(FromClient::Hold(None))));
    assert!(matches!(client(&mut resumed, response("0"), revision), Ok(FromClient::Hold(None))));
    let Kind::Request(id, _) = initialize.kind() else { panic!() };
    let FromBackend::Reply(frames) = backend(&mut resumed, response(id.token())) else { panic!() };
    let sent = texts(&frames);
    assert!(sent[0].contains("notifications/initialized"));
    assert_eq!(sent[1..], texts(&[request("7", "tools/list"), request("8", "ping")]));
    assert!(matches!(backend(&mut resumed, response("7")), FromBackend::Forward(_)));
}

#[tokio::test]
async fn a_message_that_cannot_be_held_begins_nothing() {
    let mut fresh = exchange();
    client(&mut fresh, request("1", "ping"), None).unwrap();
    let revision = Some("2025-06-18");
    assert_eq!(client(&mut fresh, request("1", "m"), revision).unwrap_err(), Unfit::DuplicateId);
    assert!(matches!(client(&mut fresh, request("2", "m"), revision), Ok(FromClient::Hold(Some(_)))));
}

#[tokio::test]
async fn what_was_held_fails_if_the_backend_refuses_to_be_initialized() {
    let mut resumed = exchange();
    let Ok(FromClient::Hold(Some(initialize))) = client(&mut resumed, request("7", "m"), Some("2025-06-18"))
    else {
        panic!()
    };
    let Kind::Request(id, _) = initialize.kind() else { panic!() };
    let refusal =
        frame(&format!(r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-1,"message":"no"}}}}"#, id.token()));
    let FromBackend::Answer(errors) = backend(&mut resumed, refusal) else { panic!() };
    assert!(addressed(&errors)[0].contains(r#""id":7"#));
    assert!(resumed.is_idle());
}

#[tokio::test]
async fn ids_are_kept_apart_by_direction() {
    let mut open = open();
    assert!(matches!(client(&mut open, request("1", "m"), None), Ok(FromClient::Forward(_))));
    assert!(matches!(backend(&mut open, request("1", "roots/list")), FromBackend::Forward(_)));
    assert!(matches!(client(&mut open, response("1"), None), Ok(FromClient::Forward(_))));
    assert!(!open.is_idle(), "the client's answer settled its own request");
    assert!(matches!(backend(&mut open, response("1")), FromBackend::Forward(_)));
    assert!(open.is_idle());
}

#[tokio::test]
async fn answers_that_nobody_waits_for_are_dropped() {
    let mut open = open();
    assert!(matches!(backend(&mut open, response("99")), FromBackend::Drop));
    assert!(matches!(client(&mut open, response("99"), None), Ok(FromClient::Drop)));
    client(&mut open, request("1", "m"), None).unwrap();
    let cancel = frame(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    assert!(matches!(client(&mut open, cancel, None), Ok(FromClient::Forward(_))));
    assert!(matches!(backend(&mut open, response("1")), FromBackend::Drop));
}

#[tokio::test]
async fn an_open_id_cannot_be_used_twice_and_opens_are_bounded() {
    let mut open = open();
    client(&mut open, request("1", "m"), None).unwrap();
    assert_eq!(client(&mut open, request("1", "m"), None).unwrap_err(), Unfit::DuplicateId);
    (2..=MAX_OPEN).for_each(|id| drop(client(&mut open, request(&id.to_string(), "m"), None).unwrap()));
    assert_eq!(client(&mut open, request("\"x\"", "m"), None).unwrap_err(), Unfit::TooMuch);
    for id in 0..MAX_OPEN {
        assert!(matches!(backend(&mut open, request(&id.to_string(), "m")), FromBackend::Forward(_)));
    }
    assert!(matches!(backend(&mut open, request("\"x\"", "m")), FromBackend::Refuse(_)));
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_time_is_up_fails_and_its_late_answer_goes_to_nobody() {
    let mut open = open();
    client(&mut open, request("1", "m"), None).unwrap();
    tokio::time::advance(Duration::from_secs(299)).await;
    assert!(open.expire(Instant::now(), "late").is_empty());
    client(&mut open, request("2", "m"), None).unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    let expired = open.expire(Instant::now(), "late");
    assert_eq!(expired.len(), 1);
    assert!(texts(&[expired[0].1.clone().unwrap()])[0].contains(r#""requestId":1"#));
    assert!(matches!(backend(&mut open, response("1")), FromBackend::Drop));
    assert!(matches!(backend(&mut open, response("2")), FromBackend::Forward(_)));
}

proptest! {
    /// Whatever the order: each request is answered exactly once, by its response or by an error.
    #[test]
    fn every_request_ends_exactly_once(steps in prop::collection::vec((0u8..3, 0u8..12), 0..200)) {
        let mut open = exchange();
        let now = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async { Instant::now() });
        let send = |open: &mut Exchange, frame| open.client_says(said(frame, StreamId::LISTENING, now), String::new);
        send(&mut open, request("\"i\"", "initialize")).unwrap();
        backend(&mut open, response("\"i\""));
        let (mut accepted, mut answered) = ([0usize; 12], [0usize; 12]);
        for (step, id) in steps {
            let token = id.to_string();
            match step {
                0 => if send(&mut open, request(&token, "m")).is_ok() { accepted[usize::from(id)] += 1 },
                1 => if let FromBackend::Forward(_) = backend(&mut open, response(&token)) {
                    answered[usize::from(id)] += 1;
                },
                _ => drop(backend(&mut open, request(&token, "m"))),
            }
        }
        for error in open.fail_all(&Failure::new(Code::Internal, "end")) {
            let error = error.frame.unwrap();
            let Kind::Response(Some(id)) = error.kind() else { panic!() };
            answered[id.token().parse::<usize>().unwrap()] += 1;
        }
        prop_assert_eq!(accepted, answered);
    }
}

fn streamable() -> Exchange {
    let mut open = Exchange::new(Transport::Streamable, Duration::from_secs(300), Offer::EVERYTHING);
    let stream = StreamId::for_test(1);
    open.client_says(said(request("0", "initialize"), stream, Instant::now()), String::new).unwrap();
    let answer = frame(r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25"}}"#);
    let FromBackend::Forward(addressed) = backend(&mut open, answer) else { panic!() };
    assert!(addressed.stream == stream && addressed.last);
    assert_eq!(open.revision().map(|r| &**r), Some("2025-11-25"));
    open
}

fn call(exchange: &mut Exchange, text: &str, stream: u64) {
    exchange.client_says(said(frame(text), StreamId::for_test(stream), Instant::now()), String::new).unwrap();
}

fn stream_of(exchange: &mut Exchange, text: &str, listening: bool) -> StreamId {
    match exchange.backend_says(frame(text).into(), listening) {
        FromBackend::Forward(addressed) => addressed.stream,
        other => panic!("{other:?}"),
    }
}

const ASK: &str = r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#;
const LOG: &str = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#;
const CHANGED: &str = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;

#[tokio::test]
async fn the_stream_of_a_message_is_that_of_its_request_if_that_can_be_told() {
    let mut open = streamable();
    let listening = StreamId::LISTENING;
    assert_eq!(stream_of(&mut open, LOG, false), listening);
    call(&mut open, r#"{"jsonrpc":"2.0","id":5,"method":"m","params":{"_meta":{"progressToken":"t"}}}"#, 5);
    assert_eq!(stream_of(&mut open, ASK, true), StreamId::for_test(5));
    assert_eq!(stream_of(&mut open, CHANGED, true), listening);
    call(&mut open, r#"{"jsonrpc":"2.0","id":6,"method":"m"}"#, 6);
    assert_eq!(stream_of(&mut open, LOG, true), listening);
    assert_eq!(stream_of(&mut open, LOG, false), StreamId::for_test(5));
    let progress = |token| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token}}}}}"#
        )
    };
    assert_eq!(stream_of(&mut open, &progress(r#""t""#), true), StreamId::for_test(5));
    assert_eq!(stream_of(&mut open, &progress("5"), true), listening);
    let about = ForClient { frame: frame(LOG), about: RequestId::parse("6") };
    let FromBackend::Forward(addressed) = open.backend_says(about, true) else { panic!() };
    assert_eq!(addressed.stream, StreamId::for_test(6));
    assert_eq!(stream_of(&mut open, r#"{"jsonrpc":"2.0","id":6,"result":1}"#, true), StreamId::for_test(6));
}

#[tokio::test]
async fn a_question_that_nobody_takes_is_answered_once_its_time_is_up() {
    let mut open = streamable();
    let now = Instant::now();
    let event = "0-1".parse().unwrap();
    assert_eq!(stream_of(&mut open, ASK, false), StreamId::LISTENING);
    let id = RequestId::parse("1").unwrap();
    open.park(id.clone(), event, now + Duration::from_secs(30));
    let unread = |waiting| {
        assert_eq!(waiting, event);
        true
    };
    assert!(open.answer_parked(now, unread).is_empty());
    assert!(open.next_deadline().is_some());
    let later = now + Duration::from_secs(31);
    assert_eq!(open.answer_parked(later, unread).len(), 1);
    assert!(open.answer_parked(later, unread).is_empty() && open.next_deadline().is_none());
    // If somebody has read it by then, it is theirs to answer.
    assert_eq!(stream_of(&mut open, ASK, false), StreamId::LISTENING);
    open.park(id, event, later);
    assert!(open.answer_parked(later, |_| false).is_empty());
}

#[tokio::test]
async fn a_second_initialize_is_refused_once_the_first_has_settled() {
    let mut open = streamable();
    let again = said(request("9", "initialize"), StreamId::for_test(2), Instant::now());
    let again = open.client_says(again, String::new);
    assert_eq!(again.unwrap_err(), Unfit::Begun);
}
