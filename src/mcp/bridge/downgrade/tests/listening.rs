//! What the client is told unasked.

use super::*;

fn ready(backend: Value) -> (World, Out) {
    let mut world = World::open(json!({}), backend);
    let out = world.client(notification("notifications/initialized", json!({})));
    (world, out)
}

fn ack(number: &Value, honoured: Value) -> Value {
    let meta = json!({ SUBSCRIPTION: number });
    let params = json!({ "notifications": honoured, "_meta": meta });
    notification("notifications/subscriptions/acknowledged", params)
}

fn told(number: &Value, method: &str) -> Value {
    notification(method, json!({ "_meta": { SUBSCRIPTION: number, "x": 1 }, "uri": "u" }))
}

fn subscribe(id: &str, uri: &str) -> Value {
    request(id, "resources/subscribe", json!({ "uri": uri }))
}

fn unsubscribe(id: &str, uri: &str) -> Value {
    request(id, "resources/unsubscribe", json!({ "uri": uri }))
}

const UPDATED: &str = "notifications/resources/updated";
const CHANGED: &str = "notifications/tools/list_changed";

#[test]
fn a_client_that_is_ready_is_told_which_lists_change() {
    let can = json!({
        "tools": { "listChanged": true }, "prompts": { "listChanged": false }, "resources": { "listChanged": true },
    });
    let (mut world, out) = ready(can);
    let listen = out.backend();
    assert_eq!((&listen["id"], &listen["method"]), (&json!(2), &json!("subscriptions/listen")));
    let wanted = json!({ "toolsListChanged": true, "resourcesListChanged": true });
    assert_eq!(listen["params"]["notifications"], wanted);
    assert_eq!(listen["params"]["_meta"][CAN], json!({}));
    assert!(world.backend(ack(&json!(2), wanted)).is_nothing());
    let plain = notification(CHANGED, json!({ "_meta": { "x": 1 }, "uri": "u" }));
    assert_eq!(*world.backend(told(&json!(2), CHANGED)).client(), plain);
    assert!(world.backend(told(&json!(3), CHANGED)).is_nothing(), "there is no such subscription");
    let again = world.client(notification("notifications/initialized", json!({})));
    assert!(again.is_nothing());
    let (_, out) = ready(json!({ "tools": {} }));
    assert!(out.is_nothing(), "there is nothing to tell");
}

#[test]
fn another_resource_means_another_subscription_and_the_old_one_goes_when_that_is_there() {
    let (mut world, _) = ready(json!({ "tools": { "listChanged": true } }));
    world.backend(ack(&json!(2), json!({ "toolsListChanged": true })));
    let out = world.client(subscribe("s", "file:///a"));
    let wanted = json!({ "toolsListChanged": true, "resourceSubscriptions": ["file:///a"] });
    assert_eq!((&out.backend()["id"], &out.backend()["params"]["notifications"]), (&json!(3), &wanted));
    // Until it is acknowledged the old one counts, and from then on the new one.
    assert!(!world.backend(told(&json!(2), CHANGED)).is_nothing());
    assert!(world.backend(told(&json!(3), CHANGED)).is_nothing());
    let out = world.backend(ack(&json!(3), wanted));
    assert_eq!(out.to_client, [result(&json!("s"), json!({}))]);
    assert_eq!(out.to_backend[0]["params"]["requestId"], 2);
    assert!(world.backend(told(&json!(2), CHANGED)).is_nothing());
    assert!(world.backend(result(&json!(2), json!({}))).is_nothing());
    assert_eq!(world.backend(told(&json!(3), UPDATED)).client()["method"], UPDATED);
    // What is so already changes nothing.
    assert_eq!(world.client(subscribe("s", "file:///a")).client()["result"], json!({}));
    assert_eq!(world.client(unsubscribe("s", "file:///b")).client()["result"], json!({}));
    let out = world.client(unsubscribe("u", "file:///a"));
    assert_eq!(out.backend()["params"]["notifications"], json!({ "toolsListChanged": true }));
    let out = world.backend(ack(&json!(4), json!({ "toolsListChanged": true })));
    assert_eq!(out.to_client, [result(&json!("u"), json!({}))]);
}

#[test]
fn the_last_one_to_go_needs_no_other() {
    let mut world = World::quiet(json!({}));
    assert_eq!(world.client(subscribe("s", "a")).backend()["id"], 2);
    assert_eq!(world.backend(told(&json!(2), UPDATED)).client()["method"], UPDATED, "it is the only one");
    world.backend(ack(&json!(2), json!({ "resourceSubscriptions": ["a"] })));
    let out = world.client(unsubscribe("u", "a"));
    assert_eq!(out.to_backend[0]["params"]["requestId"], 2);
    assert_eq!(out.to_client, [result(&json!("u"), json!({}))]);
    assert!(world.backend(told(&json!(2), UPDATED)).is_nothing());
}

#[test]
fn several_at_once_take_their_turns() {
    let mut world = World::quiet(json!({}));
    world.client(subscribe("a", "a"));
    assert!(world.client(subscribe("b", "b")).is_nothing());
    assert!(world.client(subscribe("a2", "a")).is_nothing());
    assert!(world.client(unsubscribe("c", "a")).is_nothing());
    let out = world.backend(ack(&json!(2), json!({ "resourceSubscriptions": ["a"] })));
    assert_eq!(out.to_client, [result(&json!("a"), json!({}))]);
    assert_eq!(out.to_backend[0]["params"]["notifications"]["resourceSubscriptions"], json!(["b"]));
    let out = world.backend(ack(&json!(3), json!({ "resourceSubscriptions": ["b"] })));
    let ids: Vec<_> = out.to_client.iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!(ids, ["b", "a2", "c"]);
    assert_eq!((out.to_backend.len(), &out.to_backend[0]["params"]["requestId"]), (1, &json!(2)));
}

#[test]
fn what_the_backend_does_not_take_is_refused_and_the_rest_goes_on() {
    let (mut world, _) = ready(json!({ "tools": { "listChanged": true } }));
    world.backend(ack(&json!(2), json!({})));
    world.client(subscribe("s", "a"));
    let out = world.backend(ack(&json!(3), json!({ "resourceSubscriptions": [7, "b"] })));
    assert_eq!(out.to_client[0]["error"]["code"], -32602);
    let out = world.client(subscribe("t", "b"));
    assert_eq!(out.backend()["params"]["notifications"]["resourceSubscriptions"], json!(["b"]));
    let out = world.backend(error(&json!(4), -32603, "too many"));
    assert_eq!(*out.client(), error(&json!("t"), -32602, "too many"));
    assert_eq!(world.machine.next_deadline(), None, "the one before is still there");
    assert!(!world.backend(told(&json!(3), CHANGED)).is_nothing());
    for params in [json!({}), json!({ "uri": 7 }), json!([])] {
        let out = world.client(request("x", "resources/subscribe", params));
        assert_eq!(out.client()["error"]["code"], -32602);
    }
}

#[test]
fn one_that_the_backend_ends_is_asked_for_again_but_not_for_ever() {
    let (mut world, _) = ready(json!({ "tools": { "listChanged": true } }));
    let mut number = json!(2);
    for n in 0..5 {
        world.backend(ack(&number, json!({ "toolsListChanged": true })));
        let end =
            [result(&number, json!({})), error(&number, -1, "no"), cancel(number.clone())][n % 3].clone();
        assert!(world.backend(end).is_nothing());
        assert_eq!(world.machine.next_deadline(), Some(world.now + Duration::from_secs(n as u64 + 1)));
        number = world.wait().backend()["id"].clone();
    }
    assert!(world.backend(error(&number, -1, "no")).is_nothing());
    assert_eq!(world.machine.next_deadline(), None);
    // A client that wants something else is another matter; and so is a subscription that has lasted.
    let number = world.client(subscribe("s", "a")).backend()["id"].clone();
    world.backend(ack(&number, json!({ "resourceSubscriptions": ["a"] })));
    world.now += Duration::from_secs(61);
    world.backend(cancel(number));
    let out = world.wait();
    assert_eq!(out.backend()["params"]["notifications"]["resourceSubscriptions"], json!(["a"]));
    world.backend(ack(&out.backend()["id"], json!({ "resourceSubscriptions": ["a"] })));
    world.backend(cancel(out.backend()["id"].clone()));
    // Who subscribes while nobody listens is told when somebody does.
    assert_eq!(world.client(subscribe("again", "a")).backend()["method"], "subscriptions/listen");
}

#[test]
fn a_change_that_nobody_waits_for_is_undone() {
    let mut world = World::quiet(json!({}));
    world.client(subscribe("a", "a"));
    world.client(subscribe("b", "b"));
    assert!(world.client(cancel("a")).is_nothing());
    let out = world.backend(ack(&json!(2), json!({ "resourceSubscriptions": ["a"] })));
    assert_eq!(out.backend()["params"]["notifications"]["resourceSubscriptions"], json!(["b"]));
    let out = world.backend(ack(&json!(3), json!({ "resourceSubscriptions": ["b"] })));
    assert_eq!(out.to_client, [result(&json!("b"), json!({}))]);
}

#[test]
fn what_is_subscribed_to_is_bounded() {
    let mut world = World::quiet(json!({}));
    world.client(subscribe("x", &"x".repeat(60 << 10)));
    world.backend(ack(&json!(2), json!({ "resourceSubscriptions": ["x".repeat(60 << 10)] })));
    assert_eq!(world.client(subscribe("y", &"y".repeat(6 << 10))).client()["error"]["code"], -32602);
    for n in 0..1023 {
        world.client(subscribe(&format!("{n}"), &format!("{n}")));
    }
    assert_eq!(world.client(subscribe("y", "y")).client()["error"]["code"], -32602);
}

#[test]
fn one_that_is_never_acknowledged_is_called_off_and_makes_room() {
    let mut world = World::quiet(json!({}));
    let number = world.client(subscribe("a", "a")).backend()["id"].clone();
    assert!(world.client(subscribe("b", "b")).is_nothing());
    assert_eq!(world.machine.next_deadline(), Some(world.now + Duration::from_secs(10)));
    let out = world.wait();
    assert_eq!((&out.to_client[0]["id"], &out.to_client[0]["error"]["code"]), (&json!("a"), &json!(-32602)));
    assert!(out.to_client[0]["error"]["message"].as_str().unwrap().contains("try again"));
    assert_eq!(out.to_backend[0]["params"]["requestId"], number);
    let next = &out.to_backend[1];
    assert_eq!(next["params"]["notifications"]["resourceSubscriptions"], json!(["b"]));
    assert!(world.backend(ack(&number, json!({ "resourceSubscriptions": ["a"] }))).is_nothing(), "too late");
    let out = world.backend(ack(&next["id"], json!({ "resourceSubscriptions": ["b"] })));
    assert_eq!(*out.client(), result(&json!("b"), json!({})));
    assert_eq!(world.machine.next_deadline(), None);
}

#[test]
fn lists_are_asked_for_again_if_nobody_acknowledges_that_but_not_for_ever() {
    let (mut world, out) = ready(json!({ "tools": { "listChanged": true } }));
    let mut last = out.backend()["id"].clone();
    for _ in 0..5 {
        assert_eq!(world.wait().backend()["params"]["requestId"], last);
        last = world.wait().backend()["id"].clone();
    }
    assert_eq!(world.wait().backend()["params"]["requestId"], last);
    assert_eq!(world.machine.next_deadline(), None);
}

#[test]
fn a_resource_that_is_asked_for_twice_is_refused_twice() {
    let mut world = World::quiet(json!({}));
    world.client(subscribe("a", "a"));
    world.client(subscribe("b", "a"));
    let out = world.backend(error(&json!(2), -32603, "no"));
    assert_eq!(out.to_client, [error(&json!("a"), -32602, "no")]);
    assert_eq!(out.to_backend[0]["params"]["notifications"]["resourceSubscriptions"], json!(["a"]));
    let out = world.backend(ack(&json!(3), json!({})));
    assert_eq!((&out.client()["id"], &out.client()["error"]["code"]), (&json!("b"), &json!(-32602)));
}
