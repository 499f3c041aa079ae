//! How a conversation begins.

use super::*;

fn capable() -> Value {
    json!({
        "elicitation": {}, "sampling": {}, "tasks": { "list": {} }, "roots": { "listChanged": true },
        "experimental": { "x": 1 },
    })
}

#[test]
fn initialize_becomes_a_discovery_and_its_answer_that_of_initialize() {
    let mut world = World::fresh();
    let out = world.client(initialize("2025-06-18", capable()));
    let discover = out.backend();
    assert_eq!((&discover["id"], &discover["method"]), (&json!(1), &json!("server/discover")));
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "client", "version": "3" },
        CAN: { "elicitation": {}, "sampling": {}, "roots": {}, "experimental": { "x": 1 } },
    });
    assert_eq!(discover["params"], json!({ "_meta": meta }));
    let can =
        json!({ "tools": { "listChanged": true }, "extensions": { "e": {} }, "tasks": {}, "logging": {} });
    let answer = world.backend(discovered(can));
    let says = json!({
        "protocolVersion": "2025-06-18", "capabilities": { "tools": { "listChanged": true }, "logging": {} },
        "serverInfo": { "name": "own", "version": "7" }, "instructions": "read me",
    });
    assert_eq!(*answer.client(), result(&json!("i"), says));
}

#[test]
fn revisions_of_this_era_are_agreed_to_and_others_never() {
    for (asked, agreed) in [
        (json!("2024-10-07"), "2024-10-07"),
        (json!("2024-11-05"), "2024-11-05"),
        (json!("2025-11-25"), "2025-11-25"),
        (json!("2026-07-28"), "2025-11-25"),
        (json!("2099-01-01"), "2025-11-25"),
        (json!(7), "2025-11-25"),
        (Value::Null, "2025-11-25"),
    ] {
        let mut world = World::fresh();
        let mut message = initialize("", json!({}));
        message["params"]["protocolVersion"] = asked;
        world.client(message);
        assert_eq!(world.backend(discovered(json!({}))).client()["result"]["protocolVersion"], agreed);
    }
}

#[test]
fn a_server_that_does_not_say_who_it_is_has_the_name_it_has_here() {
    let mut world = World::fresh();
    world.client(initialize("2025-11-25", json!({})));
    let answer = json!({ "supportedVersions": ["2026-07-28"], "capabilities": {} });
    let out = world.backend(result(&json!(1), answer));
    assert_eq!(out.client()["result"]["serverInfo"], json!({ "name": "demo", "version": "0" }));
    assert!(out.client()["result"].get("instructions").is_none());
}

#[test]
fn a_failed_discovery_is_the_answer_to_initialize_and_the_client_may_try_again() {
    let mut world = World::fresh();
    world.client(initialize("2025-11-25", json!({})));
    let out = world.backend(error(&json!(1), -32022, "not with me"));
    assert_eq!(*out.client(), error(&json!("i"), -32603, "not with me"));
    assert_eq!(world.client(initialize("2025-11-25", json!({}))).backend()["id"], 2);
    let mut answer = discovered(json!({}));
    answer["id"] = json!(2);
    answer["result"]["supportedVersions"] = json!(["2027-01-01"]);
    assert_eq!(world.backend(answer.clone()).client()["error"]["code"], -32603);
    world.client(initialize("2025-11-25", json!({})));
    answer["id"] = json!(3);
    answer["result"]["supportedVersions"] = json!(["2026-07-28"]);
    assert!(world.backend(answer).client()["result"].is_object());
}

#[test]
fn after_a_refusal_that_is_what_the_client_hears() {
    let mut world = World::fresh();
    let mut passed = Passed::default();
    let frame = |message: Value| Frame::parse(message.to_string().into()).unwrap();
    let refusal = frame(error(&json!("i"), -32601, "what is that?"));
    world.machine.after_refusal(frame(initialize("2025-11-25", json!({}))), refusal, world.now, &mut passed);
    let number = Out::of(&passed).backend()["id"].clone();
    assert!(number.as_u64().unwrap() > u64::from(u32::MAX), "apart from ids that the backend has seen");
    // What was said beside it has the client's own id.
    let ping = error(&json!(7), -32601, "no ping");
    assert_eq!(*world.backend(ping.clone()).client(), ping);
    // Some clients take the time for an id.
    let late = error(&json!(1_795_000_000_000_u64), -1, "late");
    assert_eq!(*world.backend(late.clone()).client(), late);
    let out = world.backend(error(&number, -32602, "what is this?"));
    assert_eq!(*out.client(), error(&json!("i"), -32601, "what is that?"));
    assert!(world.backend(error(&number, -32602, "late")).is_nothing(), "it is ours");
}

#[test]
fn a_client_hears_the_first_refusal_of_a_backend_that_ends_over_the_question() {
    let ends = |world: &mut World| {
        let mut passed = Passed::default();
        world.machine.ends(&mut passed);
        Out::of(&passed)
    };
    let mut world = World::fresh();
    let frame = |message: Value| Frame::parse(message.to_string().into()).unwrap();
    let refusal = error(&json!("i"), -32602, "no such version");
    let initialize = initialize("2025-11-25", json!({}));
    world.machine.after_refusal(
        frame(initialize.clone()),
        frame(refusal.clone()),
        world.now,
        &mut Passed::default(),
    );
    assert_eq!(*ends(&mut world).client(), refusal);
    assert!(ends(&mut world).is_nothing(), "it has been told");
    let mut world = World::fresh();
    world.client(initialize);
    assert!(ends(&mut world).is_nothing(), "nothing was refused");
}

#[test]
fn what_comes_too_early_is_held_and_what_comes_without_is_refused() {
    let mut world = World::fresh();
    let list = || request("l", "tools/list", json!({}));
    assert_eq!(world.client(request("p", "ping", json!({}))).client()["result"], json!({}));
    assert_eq!(world.client(list()).client()["error"]["code"], -32600);
    assert!(world.client(notification("notifications/initialized", json!({}))).is_nothing());
    world.client(initialize("2025-11-25", json!({})));
    assert_eq!(world.client(request("p", "ping", json!({}))).client()["result"], json!({}));
    assert!(world.client(list()).is_nothing());
    assert!(world.client(request("m", "tools/list", json!({}))).is_nothing());
    assert!(world.client(notification("notifications/initialized", json!({}))).is_nothing());
    assert!(world.client(cancel("m")).is_nothing());
    assert!(world.machine.held() > 0);
    let out = world.backend(discovered(json!({ "prompts": { "listChanged": true } })));
    let methods: Vec<_> = out.to_backend.iter().map(|message| message["method"].clone()).collect();
    assert_eq!(methods, ["tools/list", "subscriptions/listen"]);
    assert_eq!((out.to_client[0]["id"].as_str(), out.to_client.len()), (Some("i"), 1));
    assert_eq!(world.machine.held(), 0);
    let again = world.client(initialize("2025-11-25", json!({})));
    assert_eq!(again.client()["error"]["code"], -32600);
}

#[test]
fn an_initialize_that_takes_too_long_is_called_off_and_what_waited_for_it_is_told() {
    let mut world = World::fresh();
    world.client(initialize("2025-11-25", json!({})));
    world.client(request("l", "tools/list", json!({})));
    let out = world.client(cancel("i"));
    assert_eq!(out.to_backend, [cancel(1)]);
    assert_eq!((&out.to_client[0]["id"], out.to_client.len()), (&json!("l"), 1));
    assert!(world.backend(discovered(json!({}))).is_nothing());
    assert_eq!(world.client(initialize("2025-11-25", json!({}))).backend()["id"], 2);
}

#[test]
fn who_says_too_much_of_itself_or_nothing_is_refused() {
    for capabilities in [json!([]), json!({ "x": "x".repeat(64 << 10) })] {
        let mut world = World::fresh();
        let out = world.client(initialize("2025-11-25", capabilities));
        assert_eq!(out.client()["error"]["code"], -32602);
        assert_eq!(world.client(initialize("2025-11-25", json!({}))).backend()["method"], "server/discover");
    }
}

#[test]
fn what_is_held_is_bounded() {
    let mut world = World::fresh();
    world.client(initialize("2025-11-25", json!({})));
    let large = |id: i32| request(id, "tools/call", json!({ "name": "x".repeat(800 << 10) }));
    assert!(world.client(large(1)).is_nothing());
    assert_eq!(world.client(large(2)).client()["error"]["code"], -32600);
    assert!(world.machine.held() < 1 << 20);
}
