//! What the backend answers.

use super::*;

/// The answer to this method that the client gets for this result.
fn answered(method: &str, by: Value) -> Value {
    let mut world = World::quiet(json!({}));
    let number = world.client(request("r", method, json!({}))).backend()["id"].clone();
    world.backend(result(&number, by)).client().clone()
}

#[test]
fn results_lose_what_the_client_does_not_know() {
    let meta = json!({ "io.modelcontextprotocol/serverInfo": { "name": "n" }, "other": 1 });
    let by = json!({
        "resultType": "complete", "ttlMs": 5, "cacheScope": "public", "_meta": meta, "resources": [], "x": { "ttlMs": 1 },
    });
    let left = json!({ "_meta": { "other": 1 }, "resources": [], "x": { "ttlMs": 1 } });
    assert_eq!(answered("resources/list", by), result(&json!("r"), left));
    assert_eq!(answered("x", json!({ "_meta": 7 })), result(&json!("r"), json!({ "_meta": 7 })));
}

#[test]
fn only_objects_are_structured_content() {
    let by = |structured: Value| json!({ "content": [], "structuredContent": structured });
    for bare in [json!([1]), json!("x"), Value::Null] {
        assert_eq!(answered("tools/call", by(bare.clone()))["result"], json!({ "content": [] }));
        assert_eq!(answered("x", by(bare.clone()))["result"], by(bare));
    }
    let object = by(json!({ "a": 1 }));
    assert_eq!(answered("tools/call", object.clone())["result"], object);
}

#[test]
fn tools_that_return_something_else_than_objects_do_not_say_so() {
    let object =
        json!({ "name": "a", "outputSchema": { "type": "object" }, "inputSchema": { "type": "object" } });
    let tools = json!({ "tools": [
        object, { "name": "b", "outputSchema": { "type": "array" } }, { "outputSchema": {}, "name": "c" },
        { "name": "d", "outputSchema": true }, { "name": "e" }, 7,
    ] });
    let left =
        json!({ "tools": [object, { "name": "b" }, { "name": "c" }, { "name": "d" }, { "name": "e" }, 7] });
    assert_eq!(answered("tools/list", tools.clone())["result"], left);
    assert_eq!(answered("x", tools.clone())["result"], tools);
}

#[test]
fn what_is_no_result_is_an_error() {
    for by in [json!([]), json!({ "resultType": "task" }), json!({ "resultType": 7 })] {
        assert_eq!(answered("tools/call", by)["error"]["code"], -32603);
    }
    assert_eq!(answered("tools/list", json!({ "tools": {} }))["error"]["code"], -32603);
    // Only some requests may be answered so.
    let wants = json!({ "resultType": "input_required", "requestState": "s" });
    assert_eq!(answered("resources/list", wants)["error"]["code"], -32603);
}

#[test]
fn errors_keep_their_words_and_those_of_the_envelope_are_ours() {
    for (code, then) in
        [(-32020, -32603), (-32021, -32603), (-32022, -32603), (-32602, -32602), (-1, -1), (-32002, -32002)]
    {
        let mut world = World::quiet(json!({}));
        let number = world.call();
        let mut answer = error(&number, code, "why");
        answer["error"]["data"] = json!({ "a": [1] });
        let mut given = error(&json!("c"), then, "why");
        given["error"]["data"] = json!({ "a": [1] });
        assert_eq!(*world.backend(answer).client(), given);
    }
}
