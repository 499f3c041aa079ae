use super::*;
use crate::mcp::bridge::upgrade::calls::PATIENCE;

fn urls(mode: &str) -> String {
    format!(
        r#"{{"code":-32042,"message":"m","data":{{"elicitations":[{{"mode":"{mode}","url":"u","elicitationId":"e","message":"m"}}]}}}}"#
    )
}

#[test]
fn urls_to_be_opened_first_are_asked_for_and_the_request_is_sent_again() {
    let mut both = Both::open(EVERYTHING);
    both.calls(1);
    let asked = both.fails("1", &urls("url"));
    let url = json!({ "mode": "url", "url": "u", "elicitationId": "e", "message": "m" });
    assert_eq!(
        asked.to_client[0]["result"]["inputRequests"],
        json!({ "url1": { "method": "elicitation/create", "params": url } })
    );
    assert!(is_idle(&both));
    let state = state(&asked);
    assert!(both.upgrade.has_asked(&state));
    let again = both.brings(2, "{}", &state);
    assert_eq!(
        (&again.to_backend[0]["id"], &again.to_backend[0]["method"]),
        (&json!(2), &json!("tools/call"))
    );
    assert_eq!(again.to_backend[0]["params"].get(STATE), None);
    both.answers("2", "{}");
    let other = json!({ "name": "u", "requestState": state });
    assert_eq!(code(&both.asks(3, "tools/call", &other.to_string()).to_client[0]), -32602);
    both.now += PATIENCE;
    assert_eq!(code(&both.brings(4, "{}", &state).to_client[0]), -32602);
}

#[test]
fn who_cannot_open_urls_is_told_what_it_lacks() {
    for capabilities in ["{}", r#"{"elicitation":{}}"#] {
        let mut both = Both::open(capabilities);
        both.calls(1);
        let error = both.fails("1", &urls("url")).to_client.remove(0)["error"].take();
        assert_eq!(error["code"], -32021, "{capabilities}");
        assert_eq!(error["data"], json!({ "requiredCapabilities": { "elicitation": { "url": {} } } }));
        assert!(is_idle(&both));
    }
}

#[test]
fn urls_may_be_needed_after_a_question_too() {
    let mut both = Both::open(EVERYTHING);
    let parked = both.parked(1);
    both.fails("1", &urls("url"));
    let asked = both.brings(2, r#"{"q1":{}}"#, &parked);
    assert_eq!((&asked.to_client[0]["id"], keys(&asked)), (&json!(2), vec!["url1".to_owned()]));
    assert_eq!(both.brings(3, "{}", &state(&asked)).to_backend[0]["id"], 3);
}
