//! Who shares a warm server: clients of one tenant with the same variables and capabilities, nobody else.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::events::{Endpoint, Events};
use crate::gateway::{Gateway, SECRET};
use crate::stateless::{enveloped, mirrored};
use crate::tenants::tenant;

async fn answer(endpoint: Endpoint, body: &Value) -> Value {
    // On a busy machine it may take long, and then comes as an event.
    crate::remote::answer(endpoint.post(body).await, body["id"].as_u64().unwrap()).await.1
}

#[tokio::test]
async fn a_thousand_calls_of_twenty_clients_meet_one_server_and_their_own_answers() {
    let gateway = Gateway::start(&["a", "b"].map(|name| tenant(name, &[name], "")).concat());
    let gateway = std::sync::Arc::new(gateway);
    let client = |secret: &'static str, number: u64| {
        let gateway = gateway.clone();
        async move {
            let mut pids = BTreeSet::new();
            for call in 0..50u64 {
                // Every client counts from 0, as SDKs do.
                let mine = format!("{secret}-{number}-{call}");
                let echo = enveloped(call, "echo", json!({ "mine": mine }));
                let echoed = answer(mirrored(&gateway, "stateless", &echo).of_tenant(secret), &echo).await;
                assert_eq!((&echoed["id"], &echoed["result"]["mine"]), (&json!(call), &json!(mine)));
                if call % 10 == 0 {
                    let pid = enveloped(call, "pid", json!({}));
                    pids.insert(
                        answer(mirrored(&gateway, "stateless", &pid).of_tenant(secret), &pid).await["result"]
                            .as_u64(),
                    );
                }
            }
            pids
        }
    };
    let mut tasks = Vec::new();
    for number in 0..20 {
        tasks.push((SECRET, tokio::spawn(client(SECRET, number))));
    }
    for number in 0..5 {
        tasks.push(("a", tokio::spawn(client("a", number))));
    }
    let mut pids: [BTreeSet<_>; 2] = Default::default();
    for (secret, task) in tasks {
        pids[usize::from(secret == "a")].extend(task.await.unwrap());
    }
    assert_eq!((pids[0].len(), pids[1].len()), (1, 1), "{pids:?}");
    assert!(pids[0].is_disjoint(&pids[1]));
    assert_eq!(gateway.descendants().len(), 2);
}

#[tokio::test]
async fn progress_of_many_with_the_same_token_goes_to_each_its_own() {
    let gateway = std::sync::Arc::new(Gateway::start(""));
    let mut tasks = Vec::new();
    for number in 0..20 {
        let gateway = gateway.clone();
        tasks.push(tokio::spawn(async move {
            let params = json!({ "count": 10, "pad": number, "_meta": { "progressToken": 0 } });
            let body = enveloped(0, "steps", params);
            let mut events = Events::of(mirrored(&gateway, "stateless", &body).post(&body).await);
            for n in 1..=10 {
                let note = events.message().await.unwrap();
                assert_eq!(note["params"], json!({ "progressToken": 0, "progress": n, "pad": number }));
            }
            assert_eq!(
                events.message().await.unwrap(),
                json!({ "jsonrpc": "2.0", "id": 0, "result": "done" })
            );
            assert_eq!(events.next().await, None);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(gateway.descendants().len(), 1);
}

#[tokio::test]
async fn tenant_variables_and_capabilities_each_tell_servers_apart() {
    let gateway = Gateway::start(&["a", "b"].map(|name| tenant(name, &[name], "")).concat());
    let pid = async |secret: &str, variable: Option<&str>, capabilities: Value| {
        let mut body = enveloped(1, "pid", json!({}));
        body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities;
        let mut endpoint = mirrored(&gateway, "stateless", &body).of_tenant(secret);
        if let Some(value) = variable {
            endpoint = endpoint.header("ENV_WHO", value);
        }
        answer(endpoint, &body).await["result"].as_u64().unwrap()
    };
    let roots = json!({ "roots": {}, "sampling": { "tools": {}, "context": {} } });
    let same_roots = json!({ "sampling": { "context": {}, "tools": {} }, "roots": {} });
    let base = pid("a", None, json!({})).await;
    assert_eq!(pid("a", None, json!({})).await, base);
    let others = [
        pid("b", None, json!({})).await,
        pid("a", Some("x"), json!({})).await,
        pid("a", Some("y"), json!({})).await,
        pid("a", None, roots.clone()).await,
    ];
    assert_eq!(pid("a", Some("x"), json!({})).await, others[1]);
    assert_eq!(pid("a", None, same_roots).await, others[3], "the order of members made a difference");
    let all: BTreeSet<_> = others.into_iter().chain([base]).collect();
    assert_eq!(all.len(), 5);
    assert_eq!(gateway.descendants().len(), 5);
}

#[tokio::test]
async fn shared_servers_count_as_sessions_and_as_openings() {
    let gateway = Gateway::start("[limits]\nsessions_per_tenant = 2");
    let ask = async |value: &str| {
        let body = enveloped(1, "pid", json!({}));
        mirrored(&gateway, "stateless", &body).header("ENV_WHO", value).post(&body).await
    };
    assert_eq!(ask("1").await.status(), 200);
    assert_eq!(ask("2").await.status(), 200);
    let full = ask("3").await;
    assert_eq!((full.status().as_u16(), full.headers().contains_key("retry-after")), (429, true));
    assert_eq!(full.json::<Value>().await.unwrap()["id"], 1);
    assert_eq!(ask("2").await.status(), 200);
    let gateway = Gateway::start("[rate]\nper_minute = 0\nopens_per_minute = 1");
    let ask = async |value: &str| {
        let body = enveloped(1, "pid", json!({}));
        mirrored(&gateway, "stateless", &body).header("ENV_WHO", value).post(&body).await.status()
    };
    assert_eq!(
        (ask("1").await, ask("1").await, ask("2").await.as_u16()),
        (200.try_into().unwrap(), 200.try_into().unwrap(), 429)
    );
}

#[tokio::test]
async fn one_client_that_does_not_read_does_not_hold_up_the_others() {
    let gateway = Gateway::start("");
    let params = json!({ "count": 40_000, "pad": "x".repeat(1000), "_meta": { "progressToken": 1 } });
    let flood = enveloped(1, "steps", params);
    let endpoint = mirrored(&gateway, "stateless", &flood);
    let unread = crate::events::post_and_do_not_read(&gateway, &endpoint, &flood.to_string()).await;
    let echo = enveloped(2, "echo", json!({ "x": 2 }));
    assert_eq!(answer(mirrored(&gateway, "stateless", &echo), &echo).await["result"]["x"], 2);
    drop(unread);
}
