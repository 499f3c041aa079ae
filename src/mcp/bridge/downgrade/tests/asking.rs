//! What the backend wants to know before it answers.

use super::*;

fn all() -> Value {
    json!({ "elicitation": { "form": {}, "url": {} }, "sampling": {}, "roots": {} })
}

fn form() -> Value {
    json!({ "method": "elicitation/create", "params": { "message": "m", "requestedSchema": {} } })
}

fn url() -> Value {
    let params = json!({ "mode": "url", "message": "m", "url": "https://x" });
    json!({ "method": "elicitation/create", "params": params })
}

fn wants(number: &Value, asks: Value) -> Value {
    result(number, json!({ "resultType": "input_required", "inputRequests": asks, "requestState": "st\"a" }))
}

impl World {
    /// A call about which the backend asks this, and what comes of it.
    fn asked(&mut self, asks: Value) -> Out {
        let number = self.call();
        self.backend(wants(&number, asks))
    }
}

#[test]
fn questions_are_requests_and_the_answers_go_with_the_same_request() {
    let mut world = World::quiet(all());
    let sent = world.client(request("c", "tools/call", json!({ "name": "t", "requestState": "own" })));
    let mut params = sent.backend()["params"].clone();
    assert!(params.get("requestState").is_none(), "nobody has given it to the client");
    let asks = json!({ "q/1": form(), "r": { "method": "roots/list" } });
    let out = world.backend(wants(&sent.backend()["id"], asks));
    assert_eq!(out.to_client[0], request(1, "elicitation/create", form()["params"].clone()));
    assert_eq!(out.to_client[1], request(2, "roots/list", json!({})));
    assert_eq!(out.about, [json!("c"), json!("c")]);
    assert!(out.to_backend.is_empty());

    assert!(world.client(result(&json!(2), json!({ "roots": [] }))).is_nothing());
    assert!(world.client(result(&json!(2), json!({ "roots": [7] }))).is_nothing());
    let out = world.client(result(&json!(1), json!({ "action": "decline" })));
    params["inputResponses"] = json!({ "q/1": { "action": "decline" }, "r": { "roots": [] } });
    params["requestState"] = json!("st\"a");
    assert_eq!(*out.backend(), request(3, "tools/call", params));

    // The first leg is over; to call the request off means the second.
    assert!(world.backend(result(&json!(2), json!({}))).is_nothing());
    let done = world.backend(result(&json!(3), json!({ "resultType": "complete", "content": [] })));
    assert_eq!(*done.client(), result(&json!("c"), json!({ "content": [] })));
    assert_eq!(world.machine.held(), 0);
}

#[test]
fn questions_and_answers_pass_byte_for_byte() {
    let mut world = World::quiet(all());
    let number = world.call();
    let params = r#"{ "messages" : [1e400, "\ud800"],"maxTokens":12345678901234567890123 }"#;
    let asks = format!(r#"{{"k":{{"method":"sampling\/createMessage","params":{params}}}}}"#);
    let text = r#"{"jsonrpc":"2.0","id":N,"result":{"resultType":"input_required","inputRequests":A,"requestState":"\u0061"}}"#;
    let text = text.replace('N', &number.to_string()).replacen('A', &asks, 1);
    let mut passed = Passed::default();
    world.machine.backend_says(Frame::parse(text.into()).unwrap(), world.now, &mut passed);
    assert_eq!(passed.to_client[0].frame.payload(), params);
    let mut passed = Passed::default();
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{ "content" : 0.1000000000000000055 }}"#;
    world.machine.client_says(Frame::parse(answer.into()).unwrap(), world.now, &mut passed);
    let again = passed.to_backend[0].payload();
    assert!(
        again.contains(
            r#""inputResponses":{"k":{ "content" : 0.1000000000000000055 }},"requestState":"\u0061""#
        )
    );
}

#[test]
fn a_state_alone_is_brought_back_a_second_later_unless_nobody_waits() {
    let mut world = World::quiet(json!({}));
    let number = world.call();
    let silent =
        |number: &Value| result(number, json!({ "resultType": "input_required", "requestState": "s" }));
    assert!(world.backend(silent(&number)).is_nothing());
    assert_eq!(world.machine.next_deadline(), Some(Duration::from_secs(1)));
    let out = world.wait();
    assert_eq!(out.backend()["params"]["requestState"], "s");
    assert!(out.backend()["params"].get("inputResponses").is_none());
    world.backend(silent(&out.backend()["id"]));
    assert!(world.client(cancel("c")).is_nothing(), "the backend works on nothing");
    assert_eq!((world.machine.next_deadline(), world.machine.held()), (None, 0));
}

#[test]
fn it_may_not_ask_without_an_end() {
    let mut world = World::quiet(json!({ "roots": {} }));
    let mut number = world.call();
    for round in 1..=10 {
        let out = world.backend(wants(&number, json!({ "r": { "method": "roots/list" } })));
        let question = out.client()["id"].clone();
        assert_eq!(question, round);
        number = world.client(result(&question, json!({}))).backend()["id"].clone();
    }
    let out = world.backend(wants(&number, json!({ "r": { "method": "roots/list" } })));
    assert_eq!(out.client()["result"]["isError"], true);
    assert_eq!(world.machine.held(), 0);
}

#[test]
fn who_cannot_be_asked_is_not() {
    let with_tools = json!({ "method": "sampling/createMessage", "params": { "messages": [], "tools": [] } });
    for (client, ask) in [
        (json!({}), form()),
        (json!({ "elicitation": {} }), url()),
        (json!({ "elicitation": { "url": {} } }), form()),
        (json!({ "elicitation": {}, "sampling": {} }), json!({ "method": "roots/list" })),
        (json!({ "sampling": {} }), with_tools.clone()),
    ] {
        let mut world = World::quiet(client);
        let out = world.asked(json!({ "q": ask }));
        assert_eq!((&out.client()["id"], &out.client()["result"]["isError"]), (&json!("c"), &json!(true)));
        let said = out.client()["result"]["content"][0]["text"].as_str().unwrap();
        assert!(said.contains(ask["method"].as_str().unwrap()), "{said}");
        assert_eq!(world.machine.held(), 0);
    }
    let out = World::quiet(json!({ "sampling": { "tools": {} } })).asked(json!({ "q": with_tools }));
    assert_eq!(out.client()["method"], "sampling/createMessage");
}

#[test]
fn a_url_has_an_id_for_clients_that_can_be_sent_to_one() {
    let mut world = World::quiet(all());
    let out = world.asked(json!({ "q": url() }));
    assert_eq!(out.client()["params"]["elicitationId"], "lockgate-1");
    world.client(cancel("c"));
    let mut own = url();
    own["params"]["elicitationId"] = json!("own");
    assert_eq!(world.asked(json!({ "q": own })).client()["params"]["elicitationId"], "own");

    let mut older = World::fresh();
    let discover = older.client(initialize("2025-06-18", all()));
    let can = &discover.backend()["params"]["_meta"][CAN]["elicitation"];
    assert_eq!(*can, json!({ "form": {} }), "nor is the backend told that it can");
    older.backend(discovered(json!({})));
    assert_eq!(older.asked(json!({ "q": url() })).client()["result"]["isError"], true);
    let mut only = World::fresh();
    let discover = only.client(initialize("2025-06-18", json!({ "elicitation": { "url": {} } })));
    assert_eq!(discover.backend()["params"]["_meta"][CAN], json!({}), "an empty one means forms");
}

#[test]
fn what_cannot_be_read_ends_the_request() {
    let many: serde_json::Map<_, _> = (0..33).map(|n| (n.to_string(), form())).collect();
    for asks in [
        json!([]),
        json!({}),
        json!({ "q": 7 }),
        json!({ "q": { "method": "ping" } }),
        json!({ "q": { "method": "elicitation/create" } }),
        json!({ "q": { "method": "roots/list", "params": [] } }),
        json!({ "a": form(), "q": {} }),
        Value::Object(many),
    ] {
        let mut world = World::quiet(all());
        let number = world.call();
        let by = json!({ "resultType": "input_required", "inputRequests": asks });
        let out = world.backend(result(&number, by));
        assert_eq!(out.client()["result"]["isError"], true, "{asks}");
    }
    let twice = r#""inputRequests":{"k":{"method":"roots/list"},"\u006b":{"method":"roots/list"}}"#;
    for rest in [r#""requestState":7"#, r#""requestState":"a","requestState":"b""#, r#""x":1"#, twice] {
        let mut world = World::quiet(all());
        let number = world.call();
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":{number},"result":{{"resultType":"input_required",{rest}}}}}"#);
        assert_eq!(world.backend_text(&text).client()["result"]["isError"], true, "{rest}");
    }
}

#[test]
fn an_answer_that_is_an_error_ends_the_request_and_calls_the_other_questions_off() {
    let mut world = World::quiet(all());
    world.asked(json!({ "a": form(), "b": form() }));
    let out = world.client(error(&json!(1), -1, "the user is away"));
    assert_eq!(out.to_client[0]["method"], "notifications/cancelled");
    assert_eq!((&out.to_client[0]["params"]["requestId"], &out.about[0]), (&json!(2), &json!("c")));
    let text = out.to_client[1]["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("the user is away") && out.to_backend.is_empty(), "{text}");
    assert!(world.client(result(&json!(2), json!({}))).is_nothing());

    // In prompts and resources there is no such result.
    let number = world.client(request("p", "prompts/get", json!({}))).backend()["id"].clone();
    let question = world.backend(wants(&number, json!({ "a": form() }))).client()["id"].clone();
    let out = world.client(result(&question, json!([])));
    assert_eq!((&out.client()["id"], &out.client()["error"]["code"]), (&json!("p"), &json!(-32603)));
    assert_eq!(world.machine.held(), 0);
}

#[test]
fn questions_of_what_is_called_off_are_called_off() {
    let mut world = World::quiet(all());
    world.asked(json!({ "a": form(), "b": form() }));
    world.client(result(&json!(1), json!({})));
    let out = world.client(cancel("c"));
    assert_eq!(out.client()["params"]["requestId"], 2);
    assert_eq!(out.about, [json!("c")]);
    assert!(world.client(result(&json!(2), json!({}))).is_nothing());
    // After another round, the backend is told the number that it has now.
    world.asked(json!({ "a": form() }));
    let number = world.client(result(&json!(3), json!({}))).backend()["id"].clone();
    assert_eq!(*world.client(cancel("c")).backend(), cancel(number));
}

#[test]
fn answers_that_take_too_much_room_end_the_request() {
    let mut world = World::quiet(all());
    world.asked(json!({ "a": form(), "b": form(), "c": form() }));
    let large = || json!({ "action": "accept", "content": { "x": "x".repeat(3 << 20) } });
    assert!(world.client(result(&json!(1), large())).is_nothing());
    assert!(world.machine.requests.kept() > 3 << 20);
    let out = world.client(result(&json!(2), large()));
    assert_eq!(out.to_client[1]["result"]["isError"], true);
    assert_eq!(world.machine.requests.kept(), 0);
    // So does a state.
    let number = world.call();
    let by = json!({ "resultType": "input_required", "requestState": "x".repeat(5 << 20) });
    assert_eq!(world.backend(result(&number, by)).client()["result"]["isError"], true);
}
