use super::*;
use crate::mcp::bridge::upgrade::calls::PATIENCE;

#[test]
fn an_answer_that_comes_while_the_client_is_away_is_kept() {
    let mut both = Both::open(EVERYTHING);
    let parked = both.parked(1);
    both.wonders("5", "roots/list");
    assert_eq!(both.answers("1", r#"{"content":[]}"#), Said::default());
    assert_eq!(both.answers("1", r#"{"content":[1]}"#), Said::default());
    assert!(both.upgrade.is_parked());
    let done = both.brings(2, r#"{"q1":{}}"#, &parked);
    assert_eq!(done.to_backend[0], json!({ "jsonrpc": "2.0", "id": "w", "result": {} }));
    assert_eq!((&done.to_backend[1]["id"], code(&done.to_backend[1])), (&json!(5), -32603));
    assert_eq!((done.to_client.len(), &done.to_client[0]["id"]), (1, &json!(2)));
    assert_eq!(done.to_client[0]["result"]["content"], json!([]));
    assert!(is_idle(&both));
}

#[test]
fn a_client_that_does_not_come_back_holds_nobody_up_for_ever() {
    let mut both = Both::open(EVERYTHING);
    let state = both.parked(1);
    assert_eq!(both.upgrade.next_deadline(), Some(both.now + PATIENCE));
    assert_eq!(both.wait(10_000), Said::default());
    // From when it was asked, not from when the other came.
    both.calls(2);
    assert_eq!(both.wait(19_999), Said::default());
    let ended = both.wait(1);
    assert_eq!(ended.to_client, Vec::<Value>::new());
    assert_eq!(ended.to_backend[0]["params"]["requestId"], 1);
    assert_eq!((&ended.to_backend[1]["id"], code(&ended.to_backend[1])), (&json!("w"), -32603));
    assert_eq!(ended.to_backend[2]["id"], 2);
    assert_eq!(both.answers("1", "{}"), Said::default());
    assert_eq!(code(&both.brings(3, r#"{"q1":{}}"#, &state).to_client[0]), -32602);
    both.answers("2", "{}");
    assert!(is_idle(&both));
}

#[test]
fn a_round_that_is_over_is_over_before_anybody_looks() {
    let mut both = Both::open(EVERYTHING);
    let state = both.parked(1);
    both.now += PATIENCE;
    assert_eq!(code(&both.brings(3, r#"{"q1":{}}"#, &state).to_client[0]), -32602);
}

#[test]
fn who_holds_nobody_up_may_take_long() {
    let mut both = Both::open(EVERYTHING);
    let state = both.parked(1);
    both.calls(2);
    both.upgrade.client_says(
        crate::mcp::cancelled(&RequestId::number(2), "gone"),
        both.now,
        &mut Passed::default(),
    );
    assert_eq!(both.wait(299_999), Said::default());
    assert_eq!(both.brings(3, r#"{"q1":{}}"#, &state).to_backend.len(), 1);
}

#[test]
fn an_answer_that_nobody_fetched_is_not_called_off() {
    let mut both = Both::open(EVERYTHING);
    both.parked(1);
    both.answers("1", "{}");
    let ended = both.wait(300_000);
    assert_eq!((ended.to_backend.len(), code(&ended.to_backend[0])), (1, -32603));
    assert!(is_idle(&both));
}

#[test]
fn a_call_that_ends_takes_its_questions_with_it() {
    let mut both = Both::open(EVERYTHING);
    both.calls(1);
    both.calls(2);
    both.wonders("0", "roots/list");
    let off = both.calls_off(1);
    assert_eq!(off.to_backend[0]["params"]["requestId"], 1);
    assert_eq!((&off.to_backend[1]["id"], code(&off.to_backend[1])), (&json!(0), -32603));
    assert_eq!(off.to_backend[2]["id"], 2);
    // It may be of the call that was called off, and the other is somebody else's.
    for method in ["elicitation/create", "roots/list"] {
        assert_eq!(code(&both.wonders("1", method).to_backend[0]), -32603);
    }
    assert!(both.upgrade.is_spent());
    assert_eq!(both.answers("2", "{}").to_client.len(), 1);
    assert_eq!(both.wait(50), Said::default());
    assert!(is_idle(&both));
}

#[test]
fn what_is_asked_once_a_call_is_over_is_put_to_nobody_else() {
    let mut both = Both::open(EVERYTHING);
    both.calls(1);
    both.wonders("0", "elicitation/create");
    let done = both.answers("1", "{}");
    assert_eq!((&done.to_backend[0]["id"], code(&done.to_backend[0])), (&json!(0), -32603));
    assert_eq!(code(&both.wonders("1", "sampling/createMessage").to_backend[0]), -32603);
    assert!(!both.upgrade.is_spent());
    both.calls(2);
    assert_eq!(both.wait(50), Said::default());
}

#[test]
fn a_call_whose_client_brings_nothing_ends_some_time() {
    let mut both = Both::open(EVERYTHING);
    let first = both.parked(1);
    both.wait(200_000);
    let second = state(&both.brings(2, "{}", &first));
    assert_eq!(both.wait(99_999), Said::default());
    assert_eq!(both.wait(1).to_backend[0]["method"], "notifications/cancelled");
    assert_eq!(code(&both.brings(3, r#"{"q1":{}}"#, &second).to_client[0]), -32602);
}

#[test]
fn who_keeps_others_waiting_elsewhere_may_not_take_long() {
    let mut both = Both::open(EVERYTHING);
    both.parked(1);
    both.wait(29_999);
    both.upgrade.hurry();
    assert_eq!(both.wait(1).to_backend[0]["method"], "notifications/cancelled");
}

#[test]
fn a_client_that_leaves_after_it_came_back_calls_off_what_it_came_back_to() {
    let mut both = Both::open(EVERYTHING);
    let state = both.parked(1);
    both.brings(2, r#"{"q1":{}}"#, &state);
    assert_eq!(both.calls_off(1), Said::default(), "this number waits for nothing");
    assert_eq!(both.calls_off(2).to_backend[0]["params"]["requestId"], 1);
    assert!(is_idle(&both));
}

#[test]
fn a_question_of_nobody_is_of_the_call_in_which_it_was_asked() {
    let mut both = Both::open(EVERYTHING);
    both.wonders("0", "roots/list");
    both.calls(1);
    let asked = state(&both.wait(50));
    both.answers("1", "{}");
    let done = both.brings(2, "{}", &asked);
    assert_eq!(
        (done.to_client.len(), &done.to_backend[0]["id"], code(&done.to_backend[0])),
        (1, &json!(0), -32603)
    );
    assert!(is_idle(&both));
}
