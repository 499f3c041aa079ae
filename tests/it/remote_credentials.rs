//! Which credentials a remote gets: those that are meant for it, from whom they are meant to come, and nothing
//! of anybody else's (seeds D1.11, D3.7-D3.10).

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use crate::events::{Endpoint, fault};
use crate::gateway::{Gateway, SECRET, with_peers};
use crate::remote::{NEWEST, call, goes_on, is_told, open, server};
use crate::scripted::reply::Reply;
use crate::scripted::{Remote, Request, faults, handshake};
use crate::tenants::tenant;

/// What the gateway finds in its own environment.
const VARIABLES: &[(&str, &str)] = &[
    ("LOCKGATE_SECRET", SECRET),
    ("DOCS_TOKEN", "sesame-server"),
    ("DOCS_ADMIN", "sesame-admin"),
    ("ACME_DOCS", "sesame-acme"),
    ("DOCS_PAIR", "user:sesame-pair"),
];

/// A gateway whose server `docs` is the remote; `more` is for that server, `tables` are others.
pub(crate) fn gateway(remote: &Remote, more: &str, tables: &str) -> Gateway {
    Gateway::start_bare(&with_peers(&format!("{}{tables}", server("docs", &remote.url(), more))), VARIABLES)
}

/// What the remote sees of the call `echo` of this client.
async fn seen(remote: &Remote, client: Endpoint) -> Arc<Request> {
    let before = remote.of("echo").len();
    goes_on(&client.open(NEWEST).await, 1).await;
    let request = remote.of("echo").remove(before);
    // It is the same one on every request, and the client's own way in is on none.
    for other in remote.requests() {
        let text = format!("{:?} {}", other.headers, other.path);
        assert!(!text.contains(SECRET), "the gateway's secret went out: {text}");
    }
    request
}

/// No secret is in the log, whoever put it there.
pub(crate) fn keeps_quiet(gateway: &Gateway) {
    assert!(!gateway.log().contains("sesame"), "{}", gateway.log());
}

// D3.7
#[tokio::test]
async fn every_scheme_is_written_as_it_is_to_be() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("token");
    std::fs::write(&file, "sesame-file\n").unwrap();
    let from_file = format!("{{ scheme = \"bearer\", file = {file:?} }}");
    let basic = |text: &str| format!("Basic {}", BASE64_STANDARD.encode(text));
    for (auth, header, value, path) in [
        (
            "{ scheme = \"bearer\", env = \"DOCS_TOKEN\" }",
            "authorization",
            "Bearer sesame-server".to_owned(),
            "/mcp",
        ),
        (&*from_file, "authorization", "Bearer sesame-file".into(), "/mcp"),
        (
            "{ scheme = \"basic\", user = \"me\", env = \"DOCS_TOKEN\" }",
            "authorization",
            basic("me:sesame-server"),
            "/mcp",
        ),
        ("{ scheme = \"basic\", env = \"DOCS_PAIR\" }", "authorization", basic("user:sesame-pair"), "/mcp"),
        (
            "{ scheme = \"apiKey\", header = \"X-Api-Key\", env = \"DOCS_TOKEN\" }",
            "x-api-key",
            "sesame-server".into(),
            "/mcp",
        ),
        (
            "{ scheme = \"apiKey\", query = \"key\", env = \"DOCS_TOKEN\" }",
            "none",
            String::new(),
            "/mcp?key=sesame-server",
        ),
    ] {
        let (remote, _) = handshake::remote();
        let gateway = gateway(&remote, &format!("auth = {auth}"), "");
        let request = seen(&remote, Endpoint::new(&gateway, "docs")).await;
        assert_eq!((request.header(header).unwrap_or_default(), &*request.path), (&*value, path), "{auth}");
        if header != "authorization" {
            assert_eq!(request.header("authorization"), None);
        }
        keeps_quiet(&gateway);
    }
}

// D3.7, D3.9, D1.11
#[tokio::test]
async fn the_clients_own_comes_first_then_the_tenants_then_the_servers() {
    let (remote, _) = handshake::remote();
    let auth = "auth = { scheme = \"bearer\", env = \"DOCS_TOKEN\", passthrough = \"X-Docs-Token\" }";
    let own =
        "auth = { docs = { scheme = \"bearer\", env = \"ACME_DOCS\", passthrough = \"X-Docs-Token\" } }";
    let tenants = tenant("acme", &["acme"], own) + &tenant("other", &["other"], "");
    let gateway = gateway(&remote, auth, &tenants);
    let client = |secret: &str| Endpoint::new(&gateway, "docs").of_tenant(secret);
    for (client, token) in [
        (client("other"), "Bearer sesame-server"),
        (client("acme"), "Bearer sesame-acme"),
        (client("acme").header("x-docs-token", "sesame-client"), "Bearer sesame-client"),
        (client("other").header("x-docs-token", "sesame-client"), "Bearer sesame-client"),
        (client("acme"), "Bearer sesame-acme"),
    ] {
        let request = seen(&remote, client).await;
        assert_eq!(request.header("authorization"), Some(token));
        assert_eq!(request.header("x-docs-token"), None, "it is taken out of the request");
    }
    keeps_quiet(&gateway);
}

// D3.4, D3.9
#[tokio::test]
async fn what_a_client_sends_is_not_passed_on_unasked() {
    let (remote, _) = handshake::remote();
    let gateway = gateway(&remote, "", "");
    let private = [
        ("x-docs-token", "sesame-client"),
        ("cookie", "a=sesame"),
        ("x-lockgate-allow-tools", "sesame_*"),
        ("x-envoy-allow-mcp-tools", "sesame_*, other"),
    ];
    let client = Endpoint::new(&gateway, "docs");
    let client = private.iter().fold(client, |client, (name, value)| client.header(name, value));
    seen(&remote, client).await;
    for request in remote.requests() {
        assert_eq!(request.header("authorization"), None);
        for (name, _) in private {
            assert_eq!(request.header(name), None, "{name}");
        }
        assert!(!format!("{:?}{request:?}", request.headers).contains("sesame"), "{request:?}");
    }
}

// D3.10
#[tokio::test]
async fn a_tools_own_credential_is_for_calls_of_that_tool_alone() {
    let (remote, _) = handshake::remote();
    let auth = "auth = { scheme = \"bearer\", env = \"DOCS_TOKEN\" }\n\
                tool_auth = { \"delete_*\" = { scheme = \"bearer\", env = \"DOCS_ADMIN\" } }";
    let gateway = gateway(&remote, auth, "");
    let session = open(&gateway).await;
    call(&session, 1, "tools/list", json!({})).await;
    for (id, name, token) in [
        (2, "delete_page", "Bearer sesame-admin"),
        (3, "read_page", "Bearer sesame-server"),
        (4, "undelete_page", "Bearer sesame-server"),
        (5, "delete_", "Bearer sesame-admin"),
    ] {
        let answer = call(&session, id, "tools/call", json!({ "name": name, "arguments": {} })).await;
        assert_eq!(answer["result"]["content"][0]["text"], name);
        assert_eq!(remote.of("tools/call").pop().unwrap().header("authorization"), Some(token), "{name}");
    }
    // Another tool's name in another place changes nothing.
    call(&session, 6, "echo", json!({ "name": "delete_page" })).await;
    for rpc in ["initialize", "notifications/initialized", "tools/list", "echo"] {
        assert_eq!(remote.of(rpc)[0].header("authorization"), Some("Bearer sesame-server"), "{rpc}");
    }
    keeps_quiet(&gateway);
}

// D1.11
#[tokio::test]
async fn parameters_come_from_the_server_the_tenant_or_the_client_and_a_missing_one_is_named() {
    let (remote, _) = handshake::remote();
    let more = "headers = { X-Api-Key = \"key ${DOCS_KEY}\", X-Region = \"${REGION}\" }\n\
                query = { key = \"${DOCS_KEY}\" }\nenv = { REGION = \"eu\" }\nenv_allow = [\"DOCS_KEY\"]";
    let tenants =
        tenant("acme", &["acme"], "env = { DOCS_KEY = \"sesame-acme\" }") + &tenant("other", &["other"], "");
    let gateway = gateway(&remote, more, &tenants);
    let client = |secret: &str| Endpoint::new(&gateway, "docs").of_tenant(secret);
    for (client, key) in [
        (client("acme"), "sesame-acme"),
        (client("acme").header("env_docs_key", "sesame-own"), "sesame-own"),
        (client("other").header("x-env-docs-key", "sesame-own"), "sesame-own"),
    ] {
        let request = seen(&remote, client).await;
        assert_eq!(request.header("x-api-key"), Some(&*format!("key {key}")));
        assert_eq!((request.header("x-region"), &*request.path), (Some("eu"), &*format!("/mcp?key={key}")));
    }
    let before = remote.connections();
    let (status, _, body) = fault(client("other").initialize(NEWEST).await).await;
    let text = body["error"]["message"].as_str().unwrap();
    assert!(status == 400 && text.contains("DOCS_KEY") && text.contains("ENV_DOCS_KEY"), "{status}: {text}");
    // A name that the server does not let clients set is refused, as it is for a command.
    let (status, _, body) = fault(client("acme").header("env_region", "us").initialize(NEWEST).await).await;
    assert!(
        status == 400 && body["error"]["message"].as_str().unwrap().contains("REGION"),
        "{status}: {body}"
    );
    assert_eq!(remote.connections(), before);
    keeps_quiet(&gateway);
}

// What the settings say of a caller, no caller can say otherwise.
#[tokio::test]
async fn a_client_cannot_pass_for_somebody_else_than_the_operator_says() {
    let (remote, _) = handshake::remote();
    let more = "headers = { X-User = \"${USER_ID}\", X-Plan = \"${PLAN}\", X-Lang = \"${LOCALE}\" }\n\
                env = { PLAN = \"free\" }";
    let tenants =
        tenant("acme", &["acme"], "env = { USER_ID = \"acme\" }") + &tenant("other", &["other"], "");
    let gateway = gateway(&remote, more, &tenants);
    let client = |secret: &str, name: &str, value: &str| {
        Endpoint::new(&gateway, "docs").of_tenant(secret).header("env_locale", "de").header(name, value)
    };
    for (secret, header, value, name) in [
        ("acme", "env_user_id", "other", "USER_ID"),
        ("acme", "x-env-user-id", "acme", "USER_ID"),
        ("acme", "env_plan", "gold", "PLAN"),
        ("other", "env_plan", "gold", "PLAN"),
    ] {
        let (status, _, body) = fault(client(secret, header, value).initialize(NEWEST).await).await;
        let text = body["error"]["message"].as_str().unwrap();
        assert!(status == 400 && text.contains(name) && text.contains("set by the operator"), "{text}");
    }
    let legacy = gateway.client().header("env_plan", "gold").get("/docs/sse").send().await.unwrap();
    assert_eq!((legacy.status().as_u16(), remote.connections()), (400, 0));
    for (client, user) in [
        (client("acme", "env_locale", "en"), "acme"),
        // What nobody has set is the client's to say.
        (client("other", "env_user_id", "me"), "me"),
    ] {
        let request = seen(&remote, client).await;
        assert_eq!((request.header("x-user"), request.header("x-plan")), (Some(user), Some("free")));
    }
}

// A value cannot bring a header or a parameter of its own along.
#[tokio::test]
async fn what_a_client_sets_stays_in_its_place() {
    let (remote, _) = handshake::remote();
    let gateway = gateway(&remote, "query = { key = \"${DOCS_KEY}\" }\nenv_allow = [\"DOCS_KEY\"]", "");
    let client = Endpoint::new(&gateway, "docs").header("env_docs_key", "a&admin=1#x/../ %41");
    let request = seen(&remote, client).await;
    let url = reqwest::Url::parse(&remote.at(&request.path)).unwrap();
    let pairs: Vec<_> = url.query_pairs().collect();
    assert_eq!((url.path(), pairs.len(), &*pairs[0].1), ("/mcp", 1, "a&admin=1#x/../ %41"));
}

// D1.11; a header that is set in two ways is a contradiction, which stops the start.
#[tokio::test]
async fn a_server_that_is_not_a_tenants_is_refused_before_anything_is_sent() {
    let (remote, _) = handshake::remote();
    let auth = "auth = { scheme = \"bearer\", env = \"DOCS_TOKEN\" }";
    let gateway = gateway(&remote, auth, &tenant("none", &["none"], "servers = [\"peer\"]"));
    let refused = Endpoint::new(&gateway, "docs").of_tenant("none").initialize(NEWEST).await;
    assert_eq!((fault(refused).await.0, remote.connections()), (403, 0));
}

/// The remote is its own token endpoint.
fn with_tokens(token: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Remote {
    let server = handshake::Handshake::default();
    Remote::start(move |request| match &*request.path {
        "/token" => token(request),
        _ => server.answer(request),
    })
}

const OAUTH: &str =
    "scheme = \"oauth\", client_id = \"lockgate\", env = \"DOCS_TOKEN\", scope = \"read write\"";

fn oauth(remote: &Remote) -> Gateway {
    gateway(remote, &format!("auth = {{ {OAUTH}, token_url = {:?} }}", remote.at("/token")), "")
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_used_by_all_sessions() {
    let token = json!({ "access_token": "sesame-token", "token_type": "Bearer", "expires_in": 3600 });
    let remote = with_tokens(move |_| Reply::json(&token));
    let gateway = oauth(&remote);
    let (one, two, three) = tokio::join!(open(&gateway), open(&gateway), open(&gateway));
    for (session, id) in [one, two, three].iter().zip(1..) {
        goes_on(session, id).await;
    }
    for request in remote.requests().iter().filter(|request| request.path == "/mcp") {
        assert_eq!(request.header("authorization"), Some("Bearer sesame-token"), "{request:?}");
    }
    let asked: Vec<_> = remote.requests().into_iter().filter(|request| request.path == "/token").collect();
    assert_eq!(asked.len(), 1);
    let form = url_pairs(&asked[0].body);
    assert!(form.contains(&("grant_type".into(), "client_credentials".into())), "{form:?}");
    assert!(form.contains(&("scope".into(), "read write".into())), "{form:?}");
    let basic = format!("Basic {}", BASE64_STANDARD.encode("lockgate:sesame-server"));
    let in_form = form.contains(&("client_secret".into(), "sesame-server".into()));
    assert!(in_form || asked[0].header("authorization") == Some(&*basic));
    keeps_quiet(&gateway);
}

fn url_pairs(body: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8(body.to_vec()).unwrap();
    let url = reqwest::Url::parse(&format!("http://x/?{text}")).unwrap();
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_the_caller_is_told() {
    let short: fn(&Request) -> Reply = |_| Reply::json(&json!({ "token_type": "Bearer" }));
    for token in [faults::answers_401, faults::answers_html, faults::closes_before_headers, short] {
        let remote = with_tokens(token);
        let gateway = oauth(&remote);
        let response = Endpoint::new(&gateway, "docs").initialize(NEWEST).await;
        let answer: Value = response.json().await.unwrap();
        is_told(&answer, 0, &["token", "credential"]);
        assert!(remote.requests().iter().all(|request| request.path == "/token"));
        keeps_quiet(&gateway);
        gateway.until_active(0).await;
    }
}

// A refusal shows nothing of what was refused.
#[tokio::test]
async fn a_credential_that_the_remote_refuses_is_not_shown() {
    for refusal in [faults::answers_401, faults::answers_403] {
        let (remote, _) = handshake::remote_but("initialize", refusal);
        let gateway = gateway(&remote, "auth = { scheme = \"bearer\", env = \"DOCS_TOKEN\" }", "");
        let response = Endpoint::new(&gateway, "docs").initialize(NEWEST).await;
        // 401 would tell the client that its own secret is wrong.
        assert!(![401, 403].contains(&response.status().as_u16()));
        assert!(!response.headers().contains_key("www-authenticate"));
        is_told(&response.json().await.unwrap(), 0, &["credential"]);
        keeps_quiet(&gateway);
    }
}
