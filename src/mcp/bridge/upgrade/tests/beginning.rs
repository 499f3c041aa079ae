use super::*;

#[test]
fn a_backend_is_told_what_its_clients_can_do_and_no_more() {
    let (_, first) = Both::begin(sides(EVERYTHING));
    assert_eq!(
        first.to_backend,
        [json!({ "jsonrpc": "2.0", "id": "lockgate-1", "method": "initialize", "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": { "elicitation": { "form": {}, "url": {} }, "sampling": {}, "roots": {} },
            "clientInfo": { "name": "lockgate", "version": env!("CARGO_PKG_VERSION") },
        }})]
    );
    let introduction = Introduction { info: Some(INFO.into()), ..sides("{}").introduction };
    let (_, first) = Both::begin(Sides { introduction, ..sides("{}") });
    assert_eq!(first.to_backend[0]["params"]["clientInfo"], json!({ "name": "s", "version": "1" }));
}

#[test]
fn what_is_said_before_waits_in_order() {
    let (mut both, _) = Both::begin(sides("{}"));
    assert_eq!(both.asks(1, "tools/list", "{}"), Said::default());
    assert_eq!(both.asks(2, "server/discover", "{}"), Said::default());
    assert_eq!(both.asks(3, "tools/call", r#"{"name":"t"}"#), Said::default());
    assert_eq!(both.asks(4, "prompts/list", "{}"), Said::default());
    assert!(both.upgrade.held() > 0);
    assert_eq!(both.calls_off(3), Said::default(), "what never reached the backend is not called off there");
    // The answer to a question of before says nothing any more.
    let late = r#"{"supportedVersions":["2026-07-28"],"capabilities":{}}"#;
    assert_eq!(both.answers(r#""lockgate-discover""#, late), Said::default());
    assert!(matches!(both.upgrade.stage, Stage::Beginning(_)));
    let open = both.answers(r#""lockgate-1""#, &agreement());
    let methods: Vec<_> = open.to_backend.iter().map(|one| one["method"].as_str().unwrap()).collect();
    assert_eq!(methods, ["notifications/initialized", "tools/list", "prompts/list"]);
    assert_eq!(open.to_client[0]["id"], 2);
    assert_eq!(both.upgrade.held(), 0);
    assert_eq!(both.upgrade.profile().unwrap().instructions.as_deref(), Some(r#""i\n""#));
}

#[test]
fn a_server_is_shown_as_it_has_introduced_itself_and_without_tasks() {
    let mut both = Both::open("{}");
    let request = frame(r#"{"jsonrpc":"2.0","id":5,"method":"server/discover","params":{}}"#);
    let out = both.does(|upgrade, now, out| upgrade.client_says(request, now, out));
    let expected = format!(
        r#"{{"resultType":"complete","ttlMs":0,"cacheScope":"private","supportedVersions":["2026-07-28"],"capabilities":{},"instructions":"i\n","_meta":{{"io.modelcontextprotocol/serverInfo":{INFO}}}}}"#,
        CAPABLE.replace(r#""tasks":{"a":1},"#, "").replace('\n', " ")
    );
    assert_eq!(out.to_client[0].frame.payload(), expected);
    assert!(out.to_backend.is_empty());
}

#[test]
fn who_is_known_from_before_is_shown_at_once() {
    let profile = Profile { capabilities: "{}".into(), info: None, instructions: None };
    let (mut both, _) = Both::begin(Sides { profile: Some(profile), ..sides("{}") });
    assert_eq!(both.asks(1, "tools/list", "{}"), Said::default());
    let shown = both.asks(2, "server/discover", "{}");
    let info = &shown.to_client[0]["result"]["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert_eq!(*info, json!({ "name": "named", "version": "0" }));
    // What it says itself counts from then on.
    both.answers(r#""lockgate-1""#, &agreement());
    let shown = both.asks(3, "server/discover", "{}");
    assert_eq!(shown.to_client[0]["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "s");
}

#[test]
fn a_server_of_the_other_era_gets_what_was_said_as_it_was_said() {
    let (mut both, _) = Both::begin(sides("{}"));
    let asked = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#;
    both.asks(1, "tools/list", asked);
    let shown = r#"{"code":-32022,"message":"m","data":{"supported":["2026-07-28"]}}"#;
    assert_eq!(both.fails(r#""lockgate-1""#, shown), Said::default());
    let held = both.upgrade.take_for_other_era().unwrap();
    assert_eq!(held.iter().map(Frame::payload).collect::<Vec<_>>(), [asked]);
}

#[test]
fn clients_of_a_server_that_will_not_begin_are_told_what_it_says() {
    let (mut both, _) = Both::begin(sides(EVERYTHING));
    both.asks(1, "tools/list", "{}");
    assert_eq!(both.wonders("9", "roots/list"), Said::default());
    let error = json!({ "code": -32000, "message": format!("no key{}", "y".repeat(999)) }).to_string();
    let refused = both.fails(r#""lockgate-1""#, &error);
    assert!(both.upgrade.refusal().is_some());
    let text = refused.to_client[0]["error"]["message"].as_str().unwrap();
    assert!(text.contains("refused to be initialized (no key") && text.len() < 400, "{text}");
    assert_eq!((code(&refused.to_client[0]), &refused.to_client[0]["id"]), (-32603, &json!(1)));
    assert_eq!((code(&refused.to_backend[0]), &refused.to_backend[0]["id"]), (-32603, &json!(9)));
    for method in ["tools/call", "server/discover", "subscriptions/listen"] {
        assert_eq!(code(&both.asks(2, method, "{}").to_client[0]), -32603);
    }
    assert_eq!(code(&both.wonders("10", "roots/list").to_backend[0]), -32603);
    assert_eq!(both.upgrade.next_deadline(), None);
}

#[test]
fn what_waits_is_bounded_and_the_rest_is_told() {
    let (mut both, _) = Both::begin(sides("{}"));
    let params = format!(r#"{{"name":"{}"}}"#, "x".repeat(600_000));
    assert_eq!(both.asks(1, "tools/call", &params), Said::default());
    assert_eq!(code(&both.asks(2, "tools/call", &params).to_client[0]), -32603);
    assert!(both.upgrade.held() < 700_000);
}
