//! What of a server is offered: the operator's choice for a server and for a tenant, narrowed by requests
//! (seeds D3.4, D3.5 and D3.10).

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::events::{Endpoint, Events, fault};
use crate::gateway::{Gateway, SECRET, peer};
use crate::stateless::{enveloped, mirrored};
use crate::tenants::{client, tenant};

const HEADER: &str = "x-lockgate-allow-tools";
const ALIAS: &str = "x-envoy-allow-mcp-tools";
const NEWEST: &str = "2025-11-25";

/// A server with tools, resources and prompts, of which this is offered.
fn stocked(offer: &str) -> String {
    format!("[servers.stocked]\nrun = \"{} --stocked --dual\"\n{offer}\n", peer())
}

/// Some of each, by every form of a name.
const SOME: &str = "tools = { allow = [\"echo\", \"p*\", \"heard\"], deny = [\"*aw\"] }\n\
                    resources = { allow = [\"docs://*\"], deny = [\"*b\"] }\nprompts = { deny = [\"scold\"] }";

#[tokio::test]
async fn lists_have_what_is_offered_and_are_otherwise_as_they_were() {
    let gateway = Gateway::start(&stocked(SOME));
    for mut caller in Caller::all(&gateway, SECRET, &[]).await {
        let first = caller.ask("tools/list", json!({})).await;
        let left = r#""result":{ "tools" : [ {"name":"echo","x":12345678901234567890123} , {"name":"p\u0069d"} ], "nextCursor" : "\u0032" }"#;
        assert!(first.contains(left), "{first}");
        assert_eq!(caller.tools(json!({ "cursor": "2" })).await, ["heard"]);
        for (method, left) in [
            ("resources/list", r#""result":{"resources":[{"uri":"docs://a"}],"nextCursor":"none"}"#),
            ("resources/templates/list", r#""result":{"resourceTemplates":[{"uriTemplate":"docs://{x}"}]}"#),
            ("prompts/list", r#""result":{"prompts":[{"name":"greet"}]}"#),
        ] {
            let list = caller.ask(method, json!({})).await;
            assert!(list.contains(left), "{list}");
        }
        let unclear = caller.refusal("tools/list", json!({ "cursor": "doubled" })).await;
        assert!(unclear.0 == -32603 && unclear.1.contains("read in one way only"), "{unclear:?}");
    }
}

#[tokio::test]
async fn where_nothing_is_restricted_lists_pass_as_they_are() {
    let gateway = Gateway::start(&stocked(""));
    for mut caller in Caller::all(&gateway, SECRET, &[(HEADER, " , ")]).await {
        let first = caller.ask("tools/list", json!({})).await;
        assert!(first.contains(r#"{ "tools" : [ {"name":"echo","x":12345678901234567890123} , {"name":"p\u0069d"},{"name":"raw"} ], "nextCursor" : "\u0032" }"#));
        let unclear = caller.ask("tools/list", json!({ "cursor": "doubled" })).await;
        assert!(unclear.contains(r#""Tools":[{"name":"raw"}]"#), "{unclear}");
    }
}

#[tokio::test]
async fn what_is_not_offered_is_refused_before_the_server_hears_of_it() {
    let gateway = Gateway::start(&stocked(SOME));
    for mut caller in Caller::all(&gateway, SECRET, &[]).await {
        let echo = caller.answer("tools/call", json!({ "name": "echo", "arguments": { "x": 7 } })).await;
        assert_eq!(echo["result"]["x"], 7);
        let read = caller.answer("resources/read", json!({ "uri": "docs://a" })).await;
        assert_eq!(read["result"]["uri"], "docs://a");
        let refused = caller.refusal("tools/call", json!({ "name": "raw", "arguments": {} })).await;
        let text = r#"tool "raw" is not offered by this server; tools/list shows what is"#;
        assert_eq!(refused, (-32602, text.to_owned()));
        let reference = |kind: &str, key: &str, name: &str| json!({ "ref": { "type": kind, key: name } });
        for (method, params, what) in [
            ("tools/call", json!({ "name": "environment" }), "tools/list"),
            ("prompts/get", json!({ "name": "scold" }), "prompts/list"),
            ("resources/read", json!({ "uri": "keys://a" }), "resources/list"),
            ("resources/read", json!({ "uri": "docs://b" }), "resources/list"),
            ("resources/read", json!({ "uri": "docs://../keys" }), "resources/list"),
            ("completion/complete", reference("ref/prompt", "name", "scold"), "prompts/list"),
            (
                "completion/complete",
                reference("ref/resource", "uri", "keys://{x}"),
                "resources/templates/list",
            ),
        ] {
            let (code, message) = caller.refusal(method, params).await;
            assert!(code == -32602 && message.contains(&format!("{what} shows what is")), "{message}");
        }
        if !matches!(caller, Caller::Stateless(..)) {
            for method in ["resources/subscribe", "resources/unsubscribe"] {
                assert_eq!(caller.refusal(method, json!({ "uri": "keys://b" })).await.0, -32602);
            }
        }
        let heard = caller.heard().await;
        assert!(heard.contains("docs://a"));
        for unheard in ["raw", "environment", "scold", "keys://", "docs://b", ".."] {
            assert!(!heard.contains(unheard), "{unheard} in {heard}");
        }
    }
}

#[tokio::test]
async fn a_call_without_a_tool_or_with_arguments_that_are_none_goes_nowhere() {
    let gateway = Gateway::start(&stocked(""));
    for mut caller in Caller::all(&gateway, SECRET, &[]).await {
        let mark = "never-heard";
        for params in [
            json!({ "arguments": { "x": mark } }),
            json!({ "name": 7, "arguments": { "x": mark } }),
            json!({ "name": "echo", "arguments": mark }),
            json!({ "name": "echo", "arguments": [mark] }),
        ] {
            let (code, message) = caller.refusal("tools/call", params).await;
            assert!(code == -32602 && message.contains("`params."), "{code} {message}");
        }
        let bare = caller.answer("tools/call", json!({ "name": "echo" })).await;
        assert!(bare["result"].is_object(), "{bare}");
        assert!(!caller.heard().await.contains(mark));
    }
}

#[tokio::test]
async fn a_call_that_expects_no_answer_is_refused_as_well() {
    let gateway = Gateway::start(&stocked(SOME));
    let session = Endpoint::new(&gateway, "stocked").open(NEWEST).await;
    let silent = |name: &str| json!({ "jsonrpc": "2.0", "method": "tools/call", "params": { "name": name, "arguments": {} } });
    for name in ["raw", "echo"] {
        assert_eq!(session.post(&silent(name)).await.status(), StatusCode::ACCEPTED);
    }
    // What Go's `encoding/json` takes for a call of `raw`.
    let disguised =
        r#"{"jsonrpc":"2.0","id":5,"method":"ping","Method":"tools/call","params":{"name":"raw"}}"#;
    let answer: Value = session.post_raw(disguised).await.json().await.unwrap();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(5), &json!(-32602)));
    let heard = Caller::Streamable(session).heard().await;
    assert!(heard.contains(r#"\"name\":\"echo\""#) && !heard.contains("raw"), "{heard}");
}

#[tokio::test]
async fn a_batch_is_refused_one_by_one() {
    let gateway = Gateway::start(&stocked(SOME));
    let session = Endpoint::new(&gateway, "stocked").open("2025-03-26").await;
    let call = |id: u64, name: &str| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": name } });
    let answers = session.post(&json!([call(1, "raw"), call(2, "echo"), call(3, "environment")])).await;
    let answers: Vec<Value> = answers.json().await.unwrap();
    let of = |id: u64| answers.iter().find(|answer| answer["id"] == id).unwrap();
    assert_eq!((&of(1)["error"]["code"], &of(3)["error"]["code"]), (&json!(-32602), &json!(-32602)));
    assert!(of(2)["result"].is_object());
}

#[tokio::test]
async fn a_tenant_gets_less_than_the_server_offers_and_nobody_gets_more() {
    let a = tenant(
        "a",
        &["a"],
        "tools = { allow = [\"pid\", \"raw\", \"heard\"] }\nresources = { deny = [\"*\"] }",
    );
    let gateway = Gateway::start(&format!("{}{a}{}", stocked(SOME), tenant("b", &["b"], "")));
    for mut caller in Caller::all(&gateway, "a", &[]).await {
        assert_eq!(caller.tools(json!({})).await, ["pid"]);
        assert_eq!(caller.refusal("tools/call", json!({ "name": "raw" })).await.0, -32602);
        assert_eq!(caller.refusal("tools/call", json!({ "name": "echo" })).await.0, -32602);
        assert_eq!(caller.refusal("resources/read", json!({ "uri": "docs://a" })).await.0, -32602);
        assert!(caller.ask("prompts/list", json!({})).await.contains("greet"));
    }
    for mut caller in Caller::all(&gateway, "b", &[]).await {
        assert_eq!(caller.tools(json!({})).await, ["echo", "pid"]);
    }
}

#[tokio::test]
async fn a_header_confines_the_session_that_it_opens_and_can_only_take_away() {
    let gateway = Gateway::start(&stocked(SOME));
    for (headers, left) in [
        (vec![(HEADER, "p*, raw")], vec!["pid"]),
        (vec![(ALIAS, "echo,raw")], vec!["echo"]),
        (vec![(HEADER, "*"), (ALIAS, "")], vec!["echo", "pid"]),
        (vec![(HEADER, "pid,echo"), (ALIAS, "echo , heard")], vec!["echo"]),
        (vec![(HEADER, "unknown")], vec![]),
    ] {
        for mut caller in Caller::all(&gateway, SECRET, &headers).await {
            assert_eq!(caller.tools(json!({})).await, left, "{headers:?}");
            let denied = caller.refusal("tools/call", json!({ "name": "raw" })).await;
            assert!(denied.0 == -32602 && denied.1.contains("not offered"), "{denied:?}");
            let pid = caller.answer("tools/call", json!({ "name": "pid" })).await;
            assert_eq!(pid["result"].is_u64(), left.contains(&"pid"), "{pid}");
            assert!(caller.ask("prompts/list", json!({})).await.contains("greet"));
        }
    }
}

#[tokio::test]
async fn a_later_request_is_confined_further_for_itself() {
    let gateway = Gateway::start(&stocked(SOME));
    let [sse, streamable, _] = Caller::all(&gateway, SECRET, &[(HEADER, "pid,echo")]).await;
    let (Caller::Sse(mut sse), Caller::Streamable(streamable)) = (sse, streamable) else { panic!() };
    let list = json!({ "jsonrpc": "2.0", "id": "l", "method": "tools/list" });
    let names = |answer: &Value| {
        let tools = answer["result"]["tools"].as_array().unwrap().clone();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (value, left) in [("pid,raw", vec!["pid"]), ("", vec!["echo", "pid"])] {
        let sent = sse.post_raw(list.to_string()).header(HEADER, value).send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::ACCEPTED);
        assert_eq!(names(&sse.message().await.unwrap()), left);
        let request = streamable.request(reqwest::Method::POST).header("content-type", "application/json");
        let answer = request.header(ALIAS, value).body(list.to_string()).send().await.unwrap();
        assert_eq!(names(&answer.json().await.unwrap()), left);
    }
}

#[tokio::test]
async fn a_header_that_cannot_be_read_is_refused() {
    let gateway = Gateway::start(&stocked(""));
    let many = vec!["x"; 257].join(",");
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    let session = Endpoint::new(&gateway, "stocked").open(NEWEST).await;
    let listed = enveloped(1, "tools/list", json!({}));
    for header in [HEADER, ALIAS] {
        for (value, told) in [(many.as_bytes(), "more than 256 tools"), (&b"a,\xe9"[..], "UTF-8")] {
            let with = |request: reqwest::RequestBuilder, body: &Value| {
                let request = request.header("content-type", "application/json").header(header, value);
                request.body(body.to_string()).send()
            };
            let response = client(&gateway, SECRET).get("/stocked/sse").header(header, value);
            let mut refused = vec![response.send().await.unwrap()];
            refused.push(with(session.request(reqwest::Method::POST), &ping).await.unwrap());
            let stateless = mirrored(&gateway, "stocked", &listed).request(reqwest::Method::POST);
            refused.push(with(stateless, &listed).await.unwrap());
            for response in refused {
                let (status, _, body) = fault(response).await;
                let message = body["error"]["message"].as_str().unwrap();
                assert!(status == 400 && message.contains(told) && message.contains(header), "{message}");
            }
        }
    }
    assert_eq!(gateway.descendants().len(), 1, "nothing else was started");
}

#[tokio::test]
async fn callers_that_share_a_server_do_not_share_what_is_offered() {
    let gateway = std::sync::Arc::new(Gateway::start(&stocked(SOME)));
    let mut tasks = Vec::new();
    for n in 0..12 {
        let (gateway, mine, other) = match n % 2 {
            0 => (gateway.clone(), "pid", "echo"),
            _ => (gateway.clone(), "echo", "pid"),
        };
        tasks.push(tokio::spawn(async move {
            let mut caller = Caller::Stateless(&gateway, SECRET, vec![(HEADER, mine)]);
            for _ in 0..5 {
                assert_eq!(caller.tools(json!({})).await, [mine]);
                let answer = caller.answer("tools/call", json!({ "name": mine })).await;
                assert!(answer["error"].is_null(), "{answer}");
                assert_eq!(caller.refusal("tools/call", json!({ "name": other })).await.0, -32602);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(gateway.descendants().len(), 1);
}

#[tokio::test]
async fn a_call_that_is_not_offered_starts_no_server() {
    let gateway = Gateway::start(&stocked(SOME));
    let mut caller = Caller::Stateless(&gateway, SECRET, Vec::new());
    assert_eq!(caller.refusal("tools/call", json!({ "name": "raw" })).await.0, -32602);
    assert!(gateway.descendants().is_empty() && gateway.audit("server_started").is_empty());
}

#[tokio::test]
async fn the_gateway_itself_knows_of_tools_that_are_not_offered() {
    // Its own question which headers they want is nobody's list: `echo` wants one, whoever else sees it.
    let own =
        format!("[servers.own]\nrun = \"{} --stateless own\"\ntools = {{ deny = [\"other\"] }}\n", peer());
    let gateway = Gateway::start(&own);
    let call = enveloped(1, "tools/call", json!({ "name": "echo", "arguments": { "region": "eu" } }));
    let confined = |allowed| mirrored(&gateway, "own", &call).header(HEADER, allowed);
    let list = enveloped(2, "tools/list", json!({}));
    let listed = mirrored(&gateway, "own", &list).header(HEADER, "pid").post(&list).await;
    assert_eq!(listed.json::<Value>().await.unwrap()["result"]["tools"], json!([]));
    let (status, code, _) = fault(confined("echo").post(&call).await).await;
    assert_eq!((status, code), (400, -32020), "the header Mcp-Param-Region is missing");
    let repeated = confined("echo").header("mcp-param-region", "eu").post(&call).await;
    assert_eq!(repeated.json::<Value>().await.unwrap()["result"]["region"], "eu");
}

#[tokio::test]
async fn changes_of_resources_that_are_not_offered_are_not_told() {
    let gateway = Gateway::start(&stocked("resources = { allow = [\"docs://*\"] }"));
    let updated = |uri: &str| json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated", "params": { "uri": uri } });
    let mut session = gateway.client().connect("stocked").await;
    for uri in ["keys://a", "docs://a"] {
        session.call("say", json!({ "text": updated(uri).to_string() })).await;
    }
    session.call("say", json!({ "text": updated("").to_string().replace("uri", "URI") })).await;
    assert_eq!(session.aside, [updated("docs://a")]);
    // The stateless era asks for them by URI, and by nothing else.
    let listen = |uri: &str| {
        enveloped("l", "subscriptions/listen", json!({ "notifications": { "resourceSubscriptions": [uri] } }))
    };
    let refused = listen("keys://a");
    let answer = mirrored(&gateway, "stocked", &refused).post(&refused).await;
    assert_eq!(answer.json::<Value>().await.unwrap()["error"]["code"], -32602);
    let listened = listen("docs://a");
    let mut events = Events::of(mirrored(&gateway, "stocked", &listened).post(&listened).await);
    assert_eq!(events.message().await.unwrap()["method"], "notifications/subscriptions/acknowledged");
    let mut caller = Caller::Stateless(&gateway, SECRET, Vec::new());
    for uri in ["keys://a", "docs://a"] {
        let touch = json!({ "note": "notifications/resources/updated", "uri": uri });
        assert_eq!(caller.answer("touch", touch).await["result"], "done");
    }
    assert_eq!(events.message().await.unwrap()["params"]["uri"], "docs://a");
}

#[tokio::test]
async fn a_reload_changes_what_sessions_opened_later_are_offered() {
    let gateway = Gateway::start(&stocked(SOME));
    let [mut sse, mut streamable, mut stateless] = Caller::all(&gateway, SECRET, &[]).await;
    assert_eq!(stateless.tools(json!({})).await, ["echo", "pid"]);
    gateway.reload(&stocked("tools = { allow = [\"raw\"] }")).await;
    for session in [&mut sse, &mut streamable] {
        assert_eq!(session.tools(json!({})).await, ["echo", "pid"]);
        assert_eq!(session.refusal("tools/call", json!({ "name": "raw" })).await.0, -32602);
    }
    // In the stateless era each request stands for itself, whenever its server was started.
    assert_eq!(stateless.tools(json!({})).await, ["raw"]);
    for mut later in Caller::all(&gateway, SECRET, &[]).await {
        assert_eq!(later.tools(json!({})).await, ["raw"]);
        assert_eq!(later.refusal("tools/call", json!({ "name": "pid" })).await.0, -32602);
    }
    assert_eq!(gateway.audit("server_started").len(), 5, "the shared one goes on");
}
