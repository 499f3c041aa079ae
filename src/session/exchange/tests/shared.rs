//! Clients that share a backend: nothing of one reaches another.

use super::*;

#[tokio::test]
async fn a_backend_may_call_off_subscriptions_only() {
    let mut shared = Exchange::new(Transport::Stateless, Duration::from_secs(300), Offer::EVERYTHING);
    call(&mut shared, r#"{"jsonrpc":"2.0","id":"x","method":"tools/list"}"#, 1);
    call(&mut shared, r#"{"jsonrpc":"2.0","id":"x","method":"subscriptions/listen"}"#, 2);
    let off = |number| {
        frame(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{number}}}}}"#
        ))
    };
    assert!(matches!(shared.backend_says(off(1).into(), false), FromBackend::Drop));
    let FromBackend::Forward(end) = shared.backend_says(off(2).into(), false) else { panic!() };
    assert!(end.frame.is_none() && end.last && end.stream == StreamId::for_test(2));
    assert!(matches!(shared.backend_says(response("1").into(), false), FromBackend::Forward(_)));
}

#[tokio::test]
async fn a_line_of_a_shared_log_goes_to_the_request_that_the_bridge_names() {
    let mut shared = Exchange::new(Transport::Stateless, Duration::from_secs(300), Offer::EVERYTHING);
    let meta = r#""params":{"name":"t","_meta":{"io.modelcontextprotocol/logLevel":"debug"}}"#;
    for (stream, method) in [(1, "subscriptions/listen"), (2, "tools/call"), (3, "tools/call")] {
        call(&mut shared, &format!(r#"{{"jsonrpc":"2.0","id":"x","method":"{method}",{meta}}}"#), stream);
    }
    for number in 1..=3 {
        let about = ForClient { frame: frame(LOG), about: Some(RequestId::number(number)) };
        let line = shared.backend_says(about, false);
        let FromBackend::Forward(line) = line else { panic!("{number}: {line:?}") };
        assert_eq!(line.stream, StreamId::for_test(number));
    }
    // Nobody can tell whose it is, or nobody waits for it any more.
    for about in [None, Some(RequestId::number(4))] {
        let line = ForClient { frame: frame(LOG), about };
        assert!(matches!(shared.backend_says(line, false), FromBackend::Drop));
    }
}

#[tokio::test]
async fn a_shared_backend_that_sends_a_request_hears_what_to_do_instead() {
    let mut shared = Exchange::new(Transport::Stateless, Duration::from_secs(300), Offer::EVERYTHING);
    let FromBackend::Refuse(refusal) = shared.backend_says(frame(ASK).into(), false) else { panic!() };
    assert!(refusal.payload().contains("-32601") && refusal.payload().contains("input_required"));
}

proptest! {
    /// Many clients, the same ids: each request of each is answered exactly once, with its own id, on its
    /// own stream, and reaches the backend under a number that no other open one has.
    #[test]
    fn shared_requests_never_cross(steps in prop::collection::vec((0u8..4, 0u64..8), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let now = runtime.block_on(async { Instant::now() });
        let mut shared = Exchange::new(Transport::Stateless, Duration::from_secs(300), Offer::EVERYTHING);
        // Open requests: number, client's id, stream.
        let mut open: Vec<(RequestId, u64, StreamId)> = Vec::new();
        let mut next_stream = 1;
        for (step, which) in steps {
            let chosen = usize::try_from(which).unwrap() % open.len().max(1);
            match step {
                0 => {
                    let stream = StreamId::for_test(next_stream);
                    next_stream += 1;
                    let text = format!(r#"{{"jsonrpc":"2.0","id":{which},"method":"m","params":{{"_meta":{{"progressToken":{which}}}}}}}"#);
                    let said = shared.client_says(said(frame(&text), stream, now), String::new).unwrap();
                    let FromClient::Forward(sent) = said else { panic!() };
                    let Kind::Request(number, _) = sent.kind() else { panic!() };
                    prop_assert!(open.iter().all(|(other, ..)| other != number));
                    prop_assert_eq!(asked_progress(&sent), Some(number.clone()));
                    open.push((number.clone(), which, stream));
                }
                1 if !open.is_empty() => {
                    let (number, id, stream) = open.remove(chosen);
                    let said = shared.backend_says(response(number.token()).into(), false);
                    let FromBackend::Forward(answer) = said else { panic!() };
                    prop_assert_eq!((answer.stream, answer.last), (stream, true));
                    let text = texts(&[answer.frame.unwrap()]).remove(0);
                    prop_assert!(text.contains(&format!(r#""id":{id},"#)), "{}", text);
                }
                2 if !open.is_empty() => {
                    let (number, id, stream) = &open[chosen];
                    let note = format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{}}}}}"#, number.token());
                    let said = shared.backend_says(frame(&note).into(), false);
                    let FromBackend::Forward(note) = said else { panic!() };
                    prop_assert_eq!((note.stream, note.last), (*stream, false));
                    let text = texts(&[note.frame.unwrap()]).remove(0);
                    prop_assert!(text.contains(&format!(r#""progressToken":{id}}}"#)), "{}", text);
                }
                3 if !open.is_empty() => {
                    let (number, _, stream) = open.remove(chosen);
                    let told = texts(&shared.abandon(stream));
                    let named = format!(r#""requestId":{}"#, number.token());
                    prop_assert!(told.len() == 1 && told[0].contains(&named), "{:?}", told);
                    let late = shared.backend_says(response(number.token()).into(), false);
                    prop_assert!(matches!(late, FromBackend::Drop));
                }
                _ => {}
            }
        }
        prop_assert_eq!(shared.fail_all(&Failure::new(Code::Internal, "end")).len(), open.len());
        prop_assert!(shared.is_quiet());
    }
}
