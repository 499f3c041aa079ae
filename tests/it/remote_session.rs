//! Sessions whose server is a remote, as seen from both sides (seeds D1.1-D1.5, D1.10).

use reqwest::Method;
use serde_json::{Value, json};

use crate::events::{Endpoint, Events, fault};
use crate::gateway::Gateway;
use crate::remote::{NEWEST, answer, call, end, gateway, goes_on, id_of, open, request, server};
use crate::scripted::reply::Reply;
use crate::scripted::{Remote, handshake, rpc};
use crate::tenants::tenant;

// D1.1
#[tokio::test]
async fn browsers_are_answered_for_a_remote_as_for_a_command_and_it_hears_nothing_of_that() {
    let (remote, _) = handshake::remote();
    let settings = server("docs", &remote.url(), "");
    let gateway = Gateway::start(&format!("[access]\norigins = [\"https://app.example\"]\n{settings}"));
    let mut seen = Vec::new();
    for name in ["docs", "peer"] {
        let endpoint = Endpoint::new(&gateway, name).header("origin", "https://app.example");
        let preflight = endpoint
            .request(Method::OPTIONS)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "mcp-session-id, content-type, accept");
        let granted = preflight.send().await.unwrap();
        let refused = endpoint.request(Method::PUT).send().await.unwrap();
        let text = |response: &reqwest::Response, name: &str| {
            response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(text(&granted, "access-control-allow-origin").as_deref(), Some("https://app.example"));
        seen.push((
            granted.status(),
            text(&granted, "access-control-allow-methods"),
            text(&granted, "access-control-allow-headers"),
            refused.status(),
            text(&refused, "allow"),
            text(&refused, "access-control-allow-origin"),
        ));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(remote.connections(), 0);
    let endpoint = Endpoint::new(&gateway, "docs").header("origin", "https://app.example");
    let opened = endpoint.initialize(NEWEST).await;
    assert_eq!(opened.headers()["access-control-allow-origin"], "https://app.example");
    assert!(opened.headers()["access-control-expose-headers"].to_str().unwrap().contains("Mcp-Session-Id"));
}

// D1.2
#[tokio::test]
async fn what_begins_a_session_reaches_the_remote_as_the_specification_wants_it() {
    let (remote, _) = handshake::remote();
    let gateway = gateway(&remote, "headers = { X-Region = \"eu\" }\nquery = { plan = \"a b\" }");
    let response =
        Endpoint::new(&gateway, "docs").header("x-private", "of the client").initialize(NEWEST).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    let told: Value = response.json().await.unwrap();
    let begun = remote.called("initialize").await;
    assert_eq!(told, rpc::answer(&begun.message(), ""), "the answer is the remote's own");
    assert_eq!(begun.message()["params"]["clientInfo"]["name"], "test");
    let accept = begun.header("accept").unwrap();
    assert!(accept.contains("application/json") && accept.contains("text/event-stream"), "{accept}");
    assert_eq!(begun.header("content-type"), Some("application/json"));
    assert_eq!(begun.header("x-region"), Some("eu"));
    assert!(["/mcp?plan=a+b", "/mcp?plan=a%20b"].contains(&&*begun.path), "{}", begun.path);
    assert_eq!(begun.header("host"), Some(&*remote.address.to_string()));
    for private in ["x-private", "mcp-session-id", "authorization", "origin", "x-forwarded-for", "cookie"] {
        assert_eq!(begun.header(private), None, "{private}");
    }
}

// D1.3, D1.4, D3.3
#[tokio::test]
async fn each_session_has_an_id_there_that_is_never_shown_here() {
    let (remote, _) = handshake::remote();
    let gateway = gateway(&remote, "");
    let sessions = [open(&gateway).await, open(&gateway).await];
    assert_ne!(id_of(&sessions[0]), id_of(&sessions[1]));
    for (session, own) in sessions.iter().zip(["remote-session-1", "remote-session-2"]) {
        let response = session.post(&request(1, "echo", json!({ "of": own }))).await;
        assert!(!format!("{:?}", response.headers()).contains("remote-session"));
        assert!(
            !response.headers().contains_key("mcp-session-id")
                || response.headers()["mcp-session-id"] == id_of(session)
        );
        let sent = remote.of("echo").pop().unwrap();
        assert_eq!(
            (sent.header("mcp-session-id"), &sent.message()["params"]["of"]),
            (Some(own), &json!(own))
        );
        assert_eq!(sent.header("mcp-protocol-version"), Some(NEWEST));
    }
    let echoes = remote.of("echo").len();
    for id in ["remote-session-1", &"A".repeat(43)] {
        let stranger = Endpoint::new(&gateway, "docs").in_session(id);
        let (status, code, _) = fault(stranger.post(&request(2, "echo", json!({}))).await).await;
        assert_eq!((status, code), (404, -32001));
    }
    assert_eq!(remote.of("echo").len(), echoes, "the remote was asked about a session that nobody has");
    assert!(!gateway.log().contains("remote-session"));
}

// D1.3
#[tokio::test]
async fn a_remote_without_sessions_is_sent_no_id() {
    let remote = Remote::start(|request| match &*request.method {
        "POST" if request.message()["id"].is_null() => Reply::status(202),
        "POST" => Reply::json(&rpc::answer(&request.message(), "none")),
        _ => Reply::status(405),
    });
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    goes_on(&session, 1).await;
    assert!(remote.requests().iter().all(|request| request.header("mcp-session-id").is_none()));
    end(&gateway, &[&session]).await;
    assert!(remote.by("DELETE").is_empty(), "there is nothing to end");
}

// D1.5
#[tokio::test]
async fn what_the_remote_says_unasked_comes_on_the_listening_stream_at_once() {
    let (remote, server) = handshake::remote();
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    let deaf =
        Endpoint::new(&gateway, "docs").in_session(id_of(&session)).header("accept", "application/json");
    assert_eq!(deaf.get().await.status(), 406);
    let mut listening = Events::of(session.get().await);
    remote
        .until("the gateway listens", |_| {
            server.say(&rpc::notification("notifications/n", json!({ "n": 0 }))) == 1
        })
        .await;
    for n in 0..3 {
        // The next is said when the one before it has come.
        assert_eq!(listening.message().await.unwrap()["params"]["n"], n);
        server.say(&rpc::notification("notifications/n", json!({ "n": n + 1 })));
    }
    assert!(
        remote
            .by("GET")
            .iter()
            .all(|get| get.path == "/mcp" && get.header("accept") == Some("text/event-stream"))
    );
}

#[tokio::test]
async fn a_question_of_the_remote_is_asked_and_answered() {
    let (remote, _) = handshake::remote();
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    let mut asked = Events::of(session.post(&request(1, "ask", json!({}))).await);
    let question = asked.message().await.unwrap();
    assert_eq!(question["method"], "roots/list");
    let reply = json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "roots": ["r"] } });
    assert_eq!(session.post(&reply).await.status(), 202);
    assert_eq!(asked.message().await.unwrap()["result"], json!({ "roots": ["r"] }));
    let sent = remote.requests().into_iter().find(|sent| sent.message()["result"]["roots"] == json!(["r"]));
    assert_eq!(sent.unwrap().message()["id"], 0, "the id is the remote's own");
}

// D1.10
#[tokio::test]
async fn a_session_belongs_to_its_tenant() {
    let (remote, _) = handshake::remote();
    let tenants = tenant("a", &["a"], "") + &tenant("b", &["b"], "");
    let gateway = Gateway::start(&(server("docs", &remote.url(), "") + &tenants));
    let session = Endpoint::new(&gateway, "docs").of_tenant("a").open(NEWEST).await;
    let stranger = Endpoint::new(&gateway, "docs").of_tenant("b").in_session(id_of(&session));
    assert_eq!(fault(stranger.post(&request(1, "echo", json!({}))).await).await.0, 404);
    assert_eq!(stranger.request(Method::DELETE).send().await.unwrap().status(), 404);
    assert!(remote.of("echo").is_empty() && remote.by("DELETE").is_empty());
    goes_on(&session, 2).await;
}

#[tokio::test]
async fn progress_comes_with_the_call_it_belongs_to() {
    let (remote, _) = handshake::remote();
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    let params = json!({ "count": 3, "_meta": { "progressToken": "t" } });
    let (before, last) = answer(session.post(&request(5, "steps", params)).await, 5).await;
    let steps: Vec<_> = before.iter().map(|note| &note["params"]).cloned().collect();
    let step = |n: u64| json!({ "progressToken": "t", "progress": n });
    assert_eq!((steps, &last["result"]["said"]), (vec![step(1), step(2), step(3)], &json!("done")));
    assert!(
        call(&session, 6, "nonsense", json!({})).await["error"]["message"]
            .as_str()
            .unwrap()
            .contains("knows no such")
    );
}
