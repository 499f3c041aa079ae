//! Every row of the status table that is not somewhere else.

use serde_json::Value;

use crate::gateway::{Gateway, SECRET, until};

async fn fault(response: reqwest::Response) -> (u16, i64, String) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/json");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["jsonrpc"], "2.0");
    (status, body["error"]["code"].as_i64().unwrap(), body["error"]["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn origin_and_host_come_before_the_secret() {
    let gateway = Gateway::start("[access]\norigins = [\"https://app.example\"]");
    let http = crate::client::http().build().unwrap();
    let with = |name: &'static str, value: &'static str| {
        http.get(gateway.url("/peer/sse")).header(name, value).send()
    };
    let refused = with("origin", "https://evil.example").await.unwrap();
    assert!(!refused.headers().contains_key("access-control-allow-origin"));
    let (status, _, message) = fault(refused).await;
    assert_eq!(status, 403);
    assert!(message.contains("access.origins"));
    let (status, _, message) = fault(with("host", "evil.example").await.unwrap()).await;
    assert_eq!(status, 403);
    assert!(message.contains("access.hosts"));
    let allowed = with("origin", "https://app.example").await.unwrap();
    assert_eq!(allowed.status(), 401);
    assert_eq!(allowed.headers()["access-control-allow-origin"], "https://app.example");
    assert!(
        allowed.headers()["access-control-expose-headers"].to_str().unwrap().contains("WWW-Authenticate")
    );
    assert!(gateway.descendants().is_empty());
}

#[tokio::test]
async fn a_preflight_grants_what_a_client_needs_and_starts_nothing() {
    let gateway = Gateway::start("[access]\norigins = [\"https://app.example\"]");
    let http = crate::client::http().build().unwrap();
    let ask = |origin: &'static str| {
        http.request(reqwest::Method::OPTIONS, gateway.url("/peer/sse"))
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .header(
                "access-control-request-headers",
                "authorization, ENV_FOO, x-evil, mcp-param-x, x-env-a b",
            )
            .send()
    };
    let granted = ask("https://app.example").await.unwrap();
    assert_eq!(granted.status(), 204);
    assert_eq!(granted.headers()["access-control-allow-headers"], "authorization, env_foo, mcp-param-x");
    assert_eq!(granted.headers()["access-control-allow-methods"], "GET, OPTIONS");
    assert!(!granted.headers().contains_key("access-control-allow-credentials"));
    assert_eq!(ask("https://evil.example").await.unwrap().status(), 403);
    assert!(gateway.descendants().is_empty());
}

#[tokio::test]
async fn methods_and_media_types_are_checked() {
    let gateway = Gateway::start("");
    let session = gateway.client().connect("peer").await;
    let http = crate::client::http().build().unwrap();
    for (method, path, allow) in
        [("POST", "/peer/sse", "GET, OPTIONS"), ("GET", session.endpoint.as_str(), "POST, OPTIONS")]
    {
        let request = http.request(method.parse().unwrap(), gateway.url(path)).bearer_auth(SECRET);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 405, "{method} {path}");
        assert_eq!(response.headers()["allow"], allow);
    }
    for (accept, status) in [
        ("text/event-stream", 200),
        ("text/*;q=0.5", 200),
        ("application/json, */*", 200),
        ("application/json", 406),
        ("text/event-stream;q=0", 406),
    ] {
        let response = gateway.client().get("/peer/sse").header("accept", accept).send().await.unwrap();
        assert_eq!(response.status(), status, "{accept}");
    }
    let ping = r#"{"jsonrpc":"2.0","method":"notifications/x"}"#;
    for (content_type, status) in [
        ("application/json; charset=utf-8", 202),
        ("Application/JSON;charset=\"UTF-8\"", 202),
        ("text/plain", 415),
        ("application/json; charset=latin1", 415),
        ("application/jsonx", 415),
    ] {
        let request = http.post(gateway.url(&session.endpoint)).bearer_auth(SECRET);
        let response = request.header("content-type", content_type).body(ping).send().await.unwrap();
        assert_eq!(response.status(), status, "{content_type}");
    }
    let compressed = session.post_raw(ping).header("content-encoding", "gzip").send().await.unwrap();
    assert_eq!(compressed.status(), 415);
}

#[tokio::test]
async fn what_is_no_message_is_refused_with_the_right_code() {
    let gateway = Gateway::start("");
    let session = gateway.client().connect("peer").await;
    for (body, code) in [
        ("", -32700),
        ("hello", -32700),
        ("{\"jsonrpc\":\"2.0\"", -32700),
        ("[]", -32600),
        ("[{\"jsonrpc\":\"2.0\",\"method\":\"x\"}]", -32600),
        ("7", -32600),
        ("{}", -32600),
        ("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"x\"}", -32600),
        ("{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"x\"}", -32600),
    ] {
        let (status, found, message) = fault(session.post_raw(body).send().await.unwrap()).await;
        assert_eq!((status, found), (400, code), "{body}: {message}");
    }
    let invalid =
        session.post_raw(b"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}".to_vec()).send().await.unwrap();
    assert_eq!(fault(invalid).await.1, -32700);
}

#[tokio::test]
async fn other_paths_are_404_without_a_secret() {
    let gateway = Gateway::start("");
    let http = crate::client::http().build().unwrap();
    for path in [
        "/",
        "/.well-known/oauth-protected-resource",
        "/.well-known/openid-configuration",
        "/peer",
        "//peer/sse",
    ] {
        let response = http.get(gateway.url(path)).send().await.unwrap();
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
    assert_eq!(http.post(gateway.url("/register")).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn too_many_headers_are_431() {
    let gateway = Gateway::start("");
    let mut request = gateway.client().get("/peer/sse");
    for n in 0..100 {
        request = request.header(format!("h{n}"), "x");
    }
    assert_eq!(request.send().await.unwrap().status(), 431);
}

#[tokio::test]
async fn a_command_that_does_not_start_is_502_and_says_which_step() {
    let place = tempfile::tempdir().unwrap();
    let script = place.path().join("server");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let gateway = Gateway::start(&format!("[servers.broken]\nrun = {:?}", script.to_str().unwrap()));
    let (status, code, message) = fault(gateway.client().get("/broken/sse").send().await.unwrap()).await;
    assert_eq!((status, code), (502, -32603));
    assert!(message.contains("its program could not be executed"), "{message}");
    assert!(!message.contains('/') && !message.contains("os error"), "{message}");
    until("the log says why", || gateway.log().contains("No such file")).await;
    until("nothing is left", || gateway.descendants().is_empty() && gateway.homes().is_empty()).await;
    gateway.until_active(0).await;
}
