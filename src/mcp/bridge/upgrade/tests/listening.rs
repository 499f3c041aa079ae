use super::*;

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

fn listens(both: &mut Both, id: u64, wanted: &str) -> Said {
    both.asks(id, "subscriptions/listen", &format!(r#"{{"notifications":{wanted}}}"#))
}

/// The id of our own request, and what it is about.
fn own(message: &Value) -> (String, &str, &str) {
    let uri = message["params"]["uri"].as_str().unwrap();
    (message["id"].to_string(), message["method"].as_str().unwrap(), uri)
}

fn granted(said: &Said) -> &Value {
    assert_eq!(said.to_client.len(), 1);
    assert_eq!(said.to_client[0]["method"], "notifications/subscriptions/acknowledged");
    &said.to_client[0]["params"]
}

#[test]
fn what_the_server_can_tell_is_acknowledged_and_told() {
    let mut both = Both::open("{}");
    let wanted = r#"{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":false}"#;
    let said = listens(&mut both, 1, wanted);
    assert_eq!(
        *granted(&said),
        json!({ "notifications": { "toolsListChanged": true }, "_meta": { SUBSCRIPTION: 1 } })
    );
    let said = listens(&mut both, 2, r#"{"toolsListChanged":true,"resourcesListChanged":true}"#);
    assert_eq!(said.to_client[0]["params"]["_meta"][SUBSCRIPTION], 2);
    let mut told = both.tells("tools/list_changed", r#"{"_meta":{"a":1}}"#);
    told.to_client.sort_by_key(|one| one["params"]["_meta"][SUBSCRIPTION].as_u64());
    for (n, id) in [(0, 1), (1, 2)] {
        assert_eq!(told.to_client[n]["params"], json!({ "_meta": { "a": 1, SUBSCRIPTION: id } }));
    }
    let told = both.backend(r#"{"jsonrpc":"2.0","method":"notifications/resources/list_changed"}"#);
    assert_eq!(told.to_client[0]["params"], json!({ "_meta": { SUBSCRIPTION: 2 } }));
    assert_eq!(told.to_client.len(), 1);
    assert_eq!(both.tells("prompts/list_changed", "{}"), Said::default(), "it has not said that it tells");
    both.calls_off(1);
    both.calls_off(2);
    assert_eq!(both.tells("tools/list_changed", "{}"), Said::default());
    assert!(both.open_one().subscriptions.is_empty());
}

#[test]
fn a_resource_is_watched_once_however_many_watch_it() {
    let mut both = Both::open("{}");
    let first = listens(&mut both, 1, r#"{"resourceSubscriptions":["a","b","a"]}"#);
    assert!(first.to_client.is_empty(), "the backend has not agreed yet");
    let [(a, ..), (b, ..)] = [own(&first.to_backend[0]), own(&first.to_backend[1])];
    assert_eq!(own(&first.to_backend[1]).1, "resources/subscribe");
    assert_eq!(first.to_backend.len(), 2);
    assert_eq!(listens(&mut both, 2, r#"{"resourceSubscriptions":["a"]}"#), Said::default());
    assert_eq!(
        both.tells("resources/updated", r#"{"uri":"a"}"#),
        Said::default(),
        "nothing before the first word"
    );
    let said = both.answers(&a, "{}");
    assert_eq!(granted(&said)["notifications"], json!({ "resourceSubscriptions": ["a"] }));
    assert_eq!(said.to_client[0]["params"]["_meta"][SUBSCRIPTION], 2);
    let said = both.fails(&b, r#"{"code":-32602,"message":"m"}"#);
    assert_eq!(granted(&said)["notifications"], json!({ "resourceSubscriptions": ["a"] }));
    let third = listens(&mut both, 3, r#"{"resourceSubscriptions":["a"]}"#);
    assert_eq!((granted(&third)["_meta"][SUBSCRIPTION].as_u64(), third.to_backend.len()), (Some(3), 0));
    assert_eq!(both.tells("resources/updated", r#"{"uri":"a"}"#).to_client.len(), 3);
    assert_eq!(both.tells("resources/updated", r#"{"uri":"b"}"#), Said::default());
    assert_eq!((both.calls_off(1), both.calls_off(3)), (Said::default(), Said::default()));
    let last = both.calls_off(2);
    assert_eq!(own(&last.to_backend[0]).1, "resources/unsubscribe");
    assert_eq!(last.to_backend.len(), 1);
    assert!(both.open_one().subscriptions.is_empty());
}

#[test]
fn a_part_of_a_resource_is_told_as_well_and_a_neighbour_is_not() {
    let mut both = Both::open("{}");
    let said = listens(&mut both, 1, r#"{"resourceSubscriptions":["x:/a"]}"#);
    both.answers(&own(&said.to_backend[0]).0, "{}");
    for (uri, told) in [("x:/a", 1), ("x:/a/b", 1), ("x:/a?q", 1), ("x:/ab", 0), ("x:/", 0)] {
        let said = both.tells("resources/updated", &json!({ "uri": uri }).to_string());
        assert_eq!(said.to_client.len(), told, "{uri}");
    }
    assert_eq!(both.tells("resources/updated", r#"{"uri":"x:/a","uri":"y"}"#), Said::default());
}

#[test]
fn who_leaves_before_the_backend_agrees_leaves_nothing_behind() {
    let mut both = Both::open("{}");
    let said = listens(&mut both, 1, r#"{"resourceSubscriptions":["a"]}"#);
    assert_eq!(both.calls_off(1), Said::default());
    let late = both.answers(&own(&said.to_backend[0]).0, "{}");
    assert_eq!(own(&late.to_backend[0]).1, "resources/unsubscribe");
    assert!(late.to_client.is_empty() && both.open_one().subscriptions.is_empty());
    // One that comes meanwhile takes it over.
    let said = listens(&mut both, 2, r#"{"resourceSubscriptions":["a"]}"#);
    both.calls_off(2);
    assert_eq!(listens(&mut both, 3, r#"{"resourceSubscriptions":["a"]}"#), Said::default());
    let agreed = both.answers(&own(&said.to_backend[0]).0, "{}");
    assert_eq!((granted(&agreed)["_meta"][SUBSCRIPTION].as_u64(), agreed.to_backend.len()), (Some(3), 0));
}

#[test]
fn a_backend_that_does_not_agree_in_time_is_not_waited_for() {
    let mut both = Both::open("{}");
    listens(&mut both, 1, r#"{"toolsListChanged":true,"resourceSubscriptions":["a"]}"#);
    let due = both.upgrade.next_deadline().unwrap();
    let said = both.wait(u64::try_from(due.as_millis()).unwrap());
    assert_eq!(granted(&said)["notifications"], json!({ "toolsListChanged": true }));
    assert_eq!(said.to_backend[0]["method"], "notifications/cancelled");
    assert_eq!(both.answers(&said.to_backend[0]["params"]["requestId"].to_string(), "{}"), Said::default());
    both.calls_off(1);
    assert!(both.open_one().subscriptions.is_empty());
}

#[test]
fn what_is_malformed_is_refused_and_what_is_too_much_left_out() {
    let mut both = Both::open("{}");
    let many = json!({ "resourceSubscriptions": vec!["u"; 257] }).to_string();
    for wanted in [
        "7",
        r#"{"toolsListChanged":1}"#,
        r#"{"resourceSubscriptions":[1]}"#,
        r#"{"resourceSubscriptions":{}}"#,
        &many,
    ] {
        let said = listens(&mut both, 1, wanted);
        assert_eq!((code(&said.to_client[0]), said.to_backend.len()), (-32602, 0), "{wanted}");
    }
    assert_eq!(code(&both.asks(1, "subscriptions/listen", "{}").to_client[0]), -32602);
    let long = json!({ "resourceSubscriptions": ["x".repeat(4000)] }).to_string();
    assert_eq!(granted(&listens(&mut both, 1, &long))["notifications"], json!({}));
    let mut asked = 0;
    for id in 2..20 {
        let uris: Vec<_> = (0..256).map(|n| format!("{id}/{n}")).collect();
        asked +=
            listens(&mut both, id, &json!({ "resourceSubscriptions": uris }).to_string()).to_backend.len();
        // What the backend has not agreed to counts even when nobody waits for it any more.
        both.calls_off(id);
    }
    assert_eq!(asked, 4096);
}

#[test]
fn a_server_without_subscriptions_is_not_asked() {
    let (mut both, _) = Both::begin(sides("{}"));
    assert_eq!(
        listens(&mut both, 1, r#"{"toolsListChanged":true,"resourceSubscriptions":["a"]}"#),
        Said::default()
    );
    let said = both.answers(r#""lockgate-1""#, r#"{"capabilities":{"tools":{},"resources":{}}}"#);
    assert_eq!(granted(&said)["notifications"], json!({}));
    assert_eq!(said.to_backend.len(), 1);
}
