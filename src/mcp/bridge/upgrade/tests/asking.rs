use super::*;
use crate::mcp::bridge::upgrade::questions::MAX;

const YES: &str = r#"{"action":"accept","content":{"x":1.50}}"#;

#[test]
fn a_question_in_a_call_goes_to_its_client_and_the_answer_back() {
    let mut both = Both::open(EVERYTHING);
    both.asks(1, "tools/call", r#"{"name":"t","arguments":{},"_meta":{"progressToken":1}}"#);
    assert_eq!(both.wonders("0", "elicitation/create"), Said::default());
    assert_eq!(both.upgrade.next_deadline(), Some(both.now + Duration::from_millis(50)));
    assert_eq!(both.wait(49), Said::default());
    let asked = both.wait(1);
    let result = &asked.to_client[0]["result"];
    assert_eq!((&asked.to_client[0]["id"], asked.to_client.len()), (&json!(1), 1));
    assert_eq!(result["resultType"], "input_required");
    assert_eq!(
        result["inputRequests"],
        json!({ "q1": { "method": "elicitation/create", "params": { "message": "m", "_meta": { "a": 2 } } } })
    );
    assert!(both.upgrade.is_parked() && both.upgrade.is_taken());
    let state = state(&asked);
    assert!(both.upgrade.has_asked(&state));
    assert_eq!(
        both.tells("progress", r#"{"progressToken":1,"progress":1}"#),
        Said::default(),
        "nobody waits"
    );

    let text = format!(
        r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"arguments":{{}},"name":"t","_meta":{{"progressToken":2}},"inputResponses":{{"q1":{YES},"other":{{}}}},"requestState":{}}}}}"#,
        json!(state)
    );
    let out = both.does(|upgrade, now, out| upgrade.client_says(frame(&text), now, out));
    assert_eq!(out.to_backend[0].bytes(), &format!(r#"{{"jsonrpc":"2.0","id":0,"result":{YES}}}"#));
    assert_eq!((out.to_backend.len(), out.to_client.len()), (1, 0));
    assert!(!both.upgrade.is_parked() && both.upgrade.is_taken() && !both.upgrade.has_asked(&state));
    let told = both.tells("progress", r#"{"progressToken":1,"progress":1}"#);
    assert_eq!(told.to_client[0]["params"]["progressToken"], 2);
    let done = both.answers("1", r#"{"content":[]}"#);
    assert_eq!(
        (&done.to_client[0]["id"], &done.to_client[0]["result"]["resultType"]),
        (&json!(2), &json!("complete"))
    );
    assert!(is_idle(&both));
}

#[test]
fn progress_is_for_a_client_that_still_wants_it() {
    let mut both = Both::open(EVERYTHING);
    both.asks(1, "tools/call", r#"{"name":"t","arguments":{},"_meta":{"progressToken":1}}"#);
    both.wonders("0", "elicitation/create");
    let state = state(&both.wait(50));
    let params =
        json!({ "name": "t", "arguments": {}, "requestState": state, "inputResponses": { "q1": {} } });
    both.asks(2, "tools/call", &params.to_string());
    assert_eq!(both.tells("progress", r#"{"progressToken":1,"progress":1}"#), Said::default());
}

#[test]
fn questions_that_come_together_are_asked_together() {
    let mut both = Both::open(EVERYTHING);
    both.calls(1);
    both.wonders("0", "elicitation/create");
    both.now += Duration::from_millis(30);
    both.wonders("1", "sampling/createMessage");
    both.backend(r#"{"jsonrpc":"2.0","id":"2","method":"roots/list"}"#);
    let asked = both.wait(20);
    assert_eq!(keys(&asked), ["q1", "q2", "q3"]);
    assert_eq!(asked.to_client[0]["result"]["inputRequests"]["q3"], json!({ "method": "roots/list" }));
    // One comes too late for this round.
    assert_eq!(both.wonders("3", "roots/list"), Said::default());
    // What is missing, or no answer, is asked again at once, with what came later; what came goes on.
    let again = both.brings(2, r#"{"q1":{"action":"decline"},"q2":[]}"#, &state(&asked));
    assert_eq!(again.to_backend, [json!({ "jsonrpc": "2.0", "id": 0, "result": { "action": "decline" } })]);
    assert_eq!(again.to_client[0]["id"], 2);
    assert_eq!(keys(&again), ["q2", "q3", "q4"]);
    assert_ne!(state(&asked), state(&again));
    assert!(!both.upgrade.has_asked(&state(&asked)) && both.upgrade.has_asked(&state(&again)));
    let done = both.brings(3, r#"{"q2":{},"q3":{"roots":[]},"q4":{},"q1":{}}"#, &state(&again));
    let ids: Vec<_> = done.to_backend.iter().map(|one| one["id"].clone()).collect();
    assert_eq!(ids, [json!(1), json!("2"), json!(3)]);
    assert!(done.to_client.is_empty());
    // Each round has its own.
    both.wonders("4", "roots/list");
    assert_eq!(keys(&both.wait(50)), ["q5"]);
}

#[test]
fn what_a_client_cannot_be_asked_is_refused_at_once() {
    let mut both = Both::open(r#"{"elicitation":{}}"#);
    both.calls(1);
    for method in ["sampling/createMessage", "roots/list", "tasks/get", "x"] {
        let refused = both.wonders("7", method);
        assert_eq!(
            (code(&refused.to_backend[0]), &refused.to_backend[0]["id"]),
            (-32601, &json!(7)),
            "{method}"
        );
    }
    let url = r#"{"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{"mode":"url"}}"#;
    assert_eq!(code(&both.backend(url).to_backend[0]), -32601);
    // A part of what a question needs may be missing, too.
    let mut both = Both::open(r#"{"sampling":{}}"#);
    both.calls(1);
    let ask = r#"{"jsonrpc":"2.0","id":7,"method":"sampling/createMessage","params":{"tools":[]}}"#;
    assert_eq!(code(&both.backend(ask).to_backend[0]), -32601);
    assert_eq!(both.wonders("7", "ping").to_backend, [json!({ "jsonrpc": "2.0", "id": 7, "result": {} })]);
    assert_eq!(both.upgrade.next_deadline(), None);
    assert_eq!(both.answers("1", "{}").to_client.len(), 1);
}

#[test]
fn where_nobody_can_be_asked_nothing_waits() {
    let mut both = Both::open("{}");
    assert_eq!(both.calls(1).to_backend.len(), 1);
    assert_eq!(both.calls(2).to_backend.len(), 1);
    assert!(!both.upgrade.is_taken());
    assert_eq!(code(&both.wonders("7", "roots/list").to_backend[0]), -32601);
}

#[test]
fn calls_are_taken_one_at_a_time_and_everything_else_at_once() {
    let mut both = Both::open(EVERYTHING);
    assert_eq!(both.calls(1).to_backend.len(), 1);
    assert_eq!(both.calls(2), Said::default());
    assert_eq!(both.asks(3, "resources/read", r#"{"uri":"u"}"#), Said::default());
    assert_eq!(both.asks(4, "prompts/get", r#"{"name":"p"}"#), Said::default());
    assert_eq!(both.asks(5, "tools/list", "{}").to_backend.len(), 1);
    assert!(both.upgrade.held() > 0);
    both.calls_off(3);
    let next = both.answers("1", "{}");
    assert_eq!((&next.to_client[0]["id"], &next.to_backend[0]["id"]), (&json!(1), &json!(2)));
    let next = both.fails("2", r#"{"code":1,"message":"m"}"#);
    assert_eq!((&next.to_client[0]["id"], &next.to_backend[0]["id"]), (&json!(2), &json!(4)));
    assert_eq!(both.upgrade.held(), 0);
    let next = both.calls_off(4);
    assert_eq!(next.to_backend[0]["params"]["requestId"], 4);
    assert!(!both.upgrade.is_taken());
}

#[test]
fn a_call_that_waits_for_the_beginning_takes_the_turn() {
    let (mut both, _) = Both::begin(sides(EVERYTHING));
    both.asks(1, "tools/list", "{}");
    assert!(!both.upgrade.is_taken());
    both.calls(2);
    assert!(both.upgrade.is_taken());
}

#[test]
fn a_state_is_good_for_its_own_round_of_its_own_request() {
    let mut both = Both::open(EVERYTHING);
    let state = both.parked(1);
    let mut refused = |method: &str, name: &str, state: &str| {
        let params =
            json!({ "name": name, "arguments": {}, "requestState": state, "inputResponses": { "q1": {} } });
        let said = both.asks(2, method, &params.to_string());
        assert_eq!((code(&said.to_client[0]), said.to_backend.len()), (-32602, 0), "{method} {name} {state}");
        let text = said.to_client[0]["error"]["message"].as_str().unwrap();
        assert!(text.contains("send the original request again"), "{text}");
    };
    let other = Both::open(EVERYTHING).parked(1);
    let mut foreign = sides(EVERYTHING);
    foreign.seal = Seal::new([4; 32]);
    let token = foreign.seal.token(state.rsplit_once('.').unwrap().0);
    refused("tools/call", "other", &state);
    refused("prompts/get", "t", &state);
    refused("tools/call", "t", &token);
    refused("tools/call", "t", &state.replace("call.1.1", "call.1.2"));
    refused("tools/call", "t", &format!("{state}A"));
    refused("tools/call", "t", "");
    assert_eq!(other, state, "the same key draws the same; sessions have their own");
    let said = both.asks(9, "tools/call", r#"{"name":"t","arguments":{},"requestState":7}"#);
    assert_eq!(code(&said.to_client[0]), -32602);
    // None of this has cost the client its round.
    assert_eq!(both.brings(2, r#"{"q1":{}}"#, &state).to_backend.len(), 1);
    assert_eq!(code(&both.brings(3, r#"{"q1":{}}"#, &state).to_client[0]), -32602, "it was good once");
    both.answers("1", "{}");
    assert_eq!(code(&both.brings(4, r#"{"q1":{}}"#, &state).to_client[0]), -32602);
    assert!(is_idle(&both));
}

#[test]
fn a_call_without_a_state_is_a_new_one() {
    let mut both = Both::open(EVERYTHING);
    let state = both.parked(1);
    let params = r#"{"name":"t","arguments":{},"inputResponses":{"q1":{}}}"#;
    assert_eq!(both.asks(2, "tools/call", params), Said::default(), "it waits");
    both.brings(3, r#"{"q1":{}}"#, &state);
    let next = both.answers("1", "{}");
    assert_eq!(next.to_backend[0]["params"], json!({ "name": "t", "arguments": {} }));
}

#[test]
fn the_backend_may_think_better_of_it() {
    let mut both = Both::open(EVERYTHING);
    both.calls(1);
    both.wonders("0", "roots/list");
    both.tells("cancelled", r#"{"requestId":0}"#);
    assert_eq!((both.wait(50), both.upgrade.next_deadline()), (Said::default(), None));
    both.wonders("1", "roots/list");
    both.wonders("2", "roots/list");
    let state = state(&both.wait(50));
    both.tells("cancelled", r#"{"requestId":1}"#);
    let done = both.brings(2, r#"{"q1":{},"q2":{}}"#, &state);
    assert_eq!((done.to_backend.len(), &done.to_backend[0]["id"]), (1, &json!(2)));
}

#[test]
fn a_question_of_no_call_waits_for_the_next() {
    let mut both = Both::open(EVERYTHING);
    assert_eq!(both.wonders("0", "roots/list"), Said::default());
    assert_eq!(both.asks(1, "tools/list", "{}").to_backend.len(), 1);
    both.now += Duration::from_secs(60);
    // A call that is over before the window is leaves it to the next.
    both.calls(2);
    both.answers("2", "{}");
    both.now += Duration::from_secs(60);
    both.calls(3);
    assert_eq!(both.upgrade.next_deadline(), Some(both.now + Duration::from_millis(50)));
    let asked = both.wait(50);
    assert_eq!((&asked.to_client[0]["id"], keys(&asked)), (&json!(3), vec!["q1".to_owned()]));
    assert_eq!(both.brings(4, r#"{"q1":{}}"#, &state(&asked)).to_backend[0]["id"], 0);

    both.answers("3", "{}");
    both.wonders("1", "roots/list");
    let ended = both.wait(300_000);
    assert_eq!((&ended.to_backend[0]["id"], code(&ended.to_backend[0])), (&json!(1), -32603));
    assert_eq!((ended.to_backend.len(), both.open_one().questions.is_empty()), (1, true));
}

#[test]
fn questions_are_bounded_in_number_and_bytes() {
    let mut both = Both::open(EVERYTHING);
    for id in 0..MAX {
        assert_eq!(both.wonders(&id.to_string(), "roots/list"), Said::default());
    }
    assert_eq!(code(&both.wonders("99", "roots/list").to_backend[0]), -32603);
    assert_eq!(code(&both.wonders("0", "roots/list").to_backend[0]), -32603, "this one is open");
    both.wait(300_000);
    let large = |id: u64| {
        let text = "x".repeat(2 << 20);
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"roots/list","params":{{"a":"{text}"}}}}"#)
    };
    assert_eq!(both.backend(&large(1)), Said::default(), "one alone may be large");
    assert_eq!(code(&both.backend(&large(2)).to_backend[0]), -32603);
    both.wait(300_000);
    assert_eq!(both.backend(&large(2)), Said::default(), "nothing is left of what has gone");
    let odd = r#"{"jsonrpc":"2.0","id":3,"method":"roots/list","params":[1]}"#;
    assert_eq!(code(&both.backend(odd).to_backend[0]), -32603);
}
