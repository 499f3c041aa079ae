//! A gateway in front of a scripted remote, which is its server `docs`.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::events::{Endpoint, Events};
use crate::gateway::Gateway;
use crate::scripted::Remote;

pub(crate) const NEWEST: &str = "2025-11-25";

/// The table of a server at this URL, which is on loopback.
pub(crate) fn server(name: &str, url: &str, more: &str) -> String {
    format!("[servers.{name}]\nurl = {url:?}\nallow_private = true\n{more}\n")
}

/// Its server `docs` is the remote; `more` are further settings of that server.
pub(crate) fn gateway(remote: &Remote, more: &str) -> Gateway {
    Gateway::start(&server("docs", &remote.url(), more))
}

/// A session of the streamable transport.
pub(crate) async fn open(gateway: &Gateway) -> Endpoint {
    Endpoint::new(gateway, "docs").open(NEWEST).await
}

/// The id of the session that requests of this endpoint name.
pub(crate) fn id_of(session: &Endpoint) -> &str {
    &session.headers.iter().find(|(name, _)| name == "mcp-session-id").unwrap().1
}

pub(crate) fn request(id: u64, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// Calls and reads the answer, in whichever form it comes.
pub(crate) async fn call(session: &Endpoint, id: u64, method: &str, params: Value) -> Value {
    let response = session.post(&request(id, method, params)).await;
    answer(response, id).await.1
}

/// The answer to a request, and what came before it on the same stream.
pub(crate) async fn answer(response: Response, id: u64) -> (Vec<Value>, Value) {
    assert_eq!(response.status(), 200);
    if response.headers()["content-type"] == "application/json" {
        return (Vec::new(), response.json().await.unwrap());
    }
    let mut events = Events::of(response);
    let mut before = Vec::new();
    loop {
        let message = events.message().await.expect("an answer before the end of the stream");
        if message["id"] == id && message.get("method").is_none() {
            return (before, message);
        }
        before.push(message);
    }
}

/// The call failed in a way that its caller understands: it names the server and what happened, of which one
/// of these words tells. Nothing is shown that is not the caller's.
pub(crate) fn is_told(answer: &Value, id: u64, words: &[&str]) {
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(id), &json!(-32603)), "{answer}");
    let text = answer["error"]["message"].as_str().unwrap();
    assert!(text.contains("docs"), "the server is not named: {text}");
    assert!(words.iter().any(|word| text.to_lowercase().contains(word)), "none of {words:?}: {text}");
    shows_nothing(text);
}

/// Neither what belongs to the gateway and the remote alone, nor what only its operator understands.
pub(crate) fn shows_nothing(text: &str) {
    for hidden in ["os error", "remote-session", "/srv/app", "127.0.0.1", "hyper", "reqwest", "sesame"] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
}

/// Both ends of it work.
pub(crate) async fn goes_on(session: &Endpoint, id: u64) {
    let answer = call(session, id, "echo", json!({ "own": id })).await;
    assert_eq!((&answer["id"], &answer["result"]), (&json!(id), &json!({ "own": id })));
}

/// Ends these sessions; nothing is left of them.
pub(crate) async fn end(gateway: &Gateway, sessions: &[&Endpoint]) {
    for session in sessions {
        assert_eq!(session.request(Method::DELETE).send().await.unwrap().status(), 200);
    }
    gateway.until_active(0).await;
}
