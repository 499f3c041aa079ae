//! What a client asks for, and what is in its way.

use super::*;

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

#[test]
fn a_request_gets_a_number_and_an_envelope_and_every_other_byte_stays() {
    let mut world = World::fresh();
    let mut message = initialize("2025-11-25", json!({ "sampling": {} }));
    message["params"]["clientInfo"] = Value::Null;
    world.client(message);
    world.backend(discovered(json!({})));
    let mut passed = Passed::default();
    let text = r#"{"jsonrpc":"2.0", "id" : "a\/b", "method":"completion\/complete","params":{ "x":[1e400,"\ud800"],
        "_meta":{"io.modelcontextprotocol/protocolVersion":"1","progressToken":7,"trace" : 1.0,
        "io.modelcontextprotocol/clientInfo":{},"io.modelcontextprotocol\/logLevel":"debug"} ,"requestState":"s"}}"#;
    let text = text.replace('\n', " ");
    let frame = Frame::parse(text.clone().into()).unwrap();
    world.machine.client_says(frame, world.now, &mut passed);
    let sent = r#"{"jsonrpc":"2.0", "id" : 2, "method":"completion\/complete","params":{ "x":[1e400,"\ud800"],
        "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"sampling":{}},"progressToken":7,"trace" : 1.0} ,"requestState":"s"}}"#;
    assert_eq!(passed.to_backend[0].bytes(), &sent.replace('\n', " "));
    let mut passed = Passed::default();
    let answer = r#"{"id":2,"result":{ "x" : 1e400 ,"resultType":"complete"},"jsonrpc":"2.0"}"#;
    world.machine.backend_says(Frame::parse(answer.into()).unwrap(), world.now, &mut passed);
    let given = r#"{"id":"a\/b","result":{ "x" : 1e400},"jsonrpc":"2.0"}"#;
    assert_eq!(passed.to_client[0].frame.bytes(), given);
}

#[test]
fn a_request_without_parameters_gets_some_and_one_with_odd_ones_is_refused() {
    let mut world = World::quiet(json!({}));
    let out = world.client(json!({ "jsonrpc": "2.0", "id": 0, "method": "tools/list \"x\\" }));
    assert_eq!(out.backend()["params"]["_meta"][VERSION], "2026-07-28");
    assert_eq!((&out.backend()["id"], &out.backend()["method"]), (&json!(2), &json!("tools/list \"x\\")));
    let out = world.client(request(1, "tools/list", json!({ "cursor": "c" })));
    assert_eq!(out.backend()["params"]["_meta"][VERSION], "2026-07-28");
    assert_eq!(out.backend()["params"]["cursor"], "c");
    for params in [json!([]), json!(7), Value::Null, json!({ "_meta": [] })] {
        let out = world.client(request("x", "tools/list", params));
        assert_eq!((&out.client()["id"], &out.client()["error"]["code"]), (&json!("x"), &json!(-32602)));
    }
    let twice = r#"{"jsonrpc":"2.0","id":"x","method":"m","params":{"_meta":{},"_meta":{}}}"#;
    assert_eq!(world.client_text(twice).client()["error"]["code"], -32602);
}

#[test]
fn what_the_stateless_era_does_not_have_is_answered_here() {
    let mut world = World::quiet(json!({}));
    assert_eq!(*world.client(request(5, "ping", json!({}))).client(), result(&json!(5), json!({})));
    for method in ["tasks/get", "tasks/list", "server/discover", "subscriptions/listen"] {
        let out = world.client(request(5, method, json!({ "taskId": "t" })));
        assert_eq!(out.client()["error"]["code"], -32601, "{method}");
        let says_what_to_do = ["call the tool without", "use what it offered"]
            .map(|advice| out.client()["error"]["message"].as_str().unwrap().contains(advice));
        assert_eq!(
            says_what_to_do,
            [method.starts_with("tasks/"), !method.starts_with("tasks/")],
            "{method}"
        );
    }
    for method in ["notifications/roots/list_changed", "notifications/progress", "notifications/x"] {
        assert!(world.client(notification(method, json!({}))).is_nothing());
    }
    assert!(world.client_text(r#"{"jsonrpc":"2.0","error":{}}"#).is_nothing());
}

#[test]
fn the_level_of_the_log_goes_with_each_request_from_when_it_is_set() {
    let mut world = World::quiet(json!({}));
    let level = |world: &mut World| {
        let out = world.client(request(world.machine.numbers.0, "prompts/list", json!({})));
        out.backend()["params"]["_meta"].get(LEVEL).cloned()
    };
    assert_eq!(level(&mut world), None);
    for (set, then) in [("warning", "warning"), ("loud", "warning"), ("debug", "debug")] {
        let out = world.client(request("s", "logging/setLevel", json!({ "level": set })));
        match set == then {
            true => assert_eq!(*out.client(), result(&json!("s"), json!({}))),
            false => assert_eq!(out.client()["error"]["code"], -32602),
        }
        assert_eq!(level(&mut world), Some(json!(then)));
    }
    let out = world.client(request("s", "logging/setLevel", json!({})));
    assert_eq!(out.client()["error"]["code"], -32602);
}

#[test]
fn progress_and_logs_come_as_they_are_since_the_session_knows_whose_they_are() {
    let mut world = World::quiet(json!({}));
    let call = |id: i32, token: &str| {
        request(id, "tools/call", json!({ "name": "t", "_meta": { "progressToken": token } }))
    };
    for (id, token) in [(1, "a"), (2, "b")] {
        let out = world.client(call(id, token));
        assert_eq!(out.backend()["params"]["_meta"]["progressToken"], token, "the session knows it by that");
    }
    let progress = notification("notifications/progress", json!({ "progressToken": "b" }));
    let log = notification("notifications/message", json!({ "level": "info", "data": "x" }));
    for message in [progress, log] {
        let out = world.backend(message.clone());
        assert_eq!((out.client(), &*out.about), (&message, &[Value::Null][..]));
    }
}

#[test]
fn what_is_called_off_is_called_off_by_its_number_and_its_late_answer_dropped() {
    let mut world = World::quiet(json!({}));
    let number = world.call();
    assert_eq!(*world.client(cancel("c")).backend(), cancel(number.clone()));
    assert!(world.backend(result(&number, json!({}))).is_nothing());
    assert!(world.client(cancel("c")).is_nothing());
    let mut silent = cancel("c");
    silent["params"]["reason"] = Value::Null;
    world.call();
    assert!(world.client(silent).backend()["params"]["reason"].is_string());
    assert_eq!(world.machine.requests.kept(), 0);
}

#[test]
fn a_backend_that_asks_or_answers_what_nobody_did_is_not_passed_on() {
    let mut world = World::quiet(json!({ "sampling": {} }));
    let out = world.backend(request("b", "sampling/createMessage", json!({})));
    assert_eq!((&out.backend()["id"], &out.backend()["error"]["code"]), (&json!("b"), &json!(-32601)));
    let number = world.call();
    assert!(world.backend(result(&json!(99), json!({}))).is_nothing());
    assert!(world.backend(result(&json!("c"), json!({}))).is_nothing());
    assert!(world.backend(cancel(number.clone())).is_nothing());
    assert!(world.backend_text(r#"{"jsonrpc":"2.0","error":{}}"#).is_nothing());
    assert!(world.client(result(&json!(1), json!({}))).is_nothing());
    assert_eq!(*world.backend(result(&number, json!({}))).client(), result(&json!("c"), json!({})));
    assert!(world.backend(result(&number, json!({}))).is_nothing());
}

#[test]
fn what_is_kept_is_bounded_and_does_not_count_as_waiting() {
    let mut world = World::quiet(json!({ "roots": {} }));
    let large = |id: i32| request(id, "tools/call", json!({ "name": "x".repeat(3 << 20) }));
    let kept = |world: &World| world.machine.requests.kept();
    assert_eq!(world.client(large(1)).backend()["id"], 2);
    assert!(kept(&world) > 3 << 20);
    assert_eq!(world.machine.held(), 0, "the backend has it");
    assert_eq!(world.client(large(2)).backend()["id"], 3);
    assert!(kept(&world) < 4 << 20);
    // The one that could not be kept can be answered, but not be asked about.
    let wants = json!({ "resultType": "input_required", "requestState": "s" });
    let out = world.backend(result(&json!(3), wants.clone()));
    assert_eq!((&out.client()["id"], &out.client()["result"]["isError"]), (&json!(2), &json!(true)));
    assert!(world.backend(result(&json!(2), wants)).is_nothing());
    assert_eq!(world.wait().backend()["params"]["requestState"], "s");
    world.client(request("list", "tools/list", json!({ "cursor": "x".repeat(9 << 20) })));
    assert!(kept(&world) < 4 << 20, "what is never sent again is not kept");
}
