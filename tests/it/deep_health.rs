//! `/health/deep`: a server is tried for the operator, and nothing of the trial is left, however it goes.

use std::net::TcpListener;

use reqwest::Response;
use serde_json::{Value, json};

use crate::admin::{ADMIN_SECRET, Admin, bearer};
use crate::gateway::{Gateway, peer, until};
use crate::remote::server;
use crate::scripted::stateless;
use crate::traces::{is_root, uids};

/// The server `peer` by this name, with these arguments.
fn peers(servers: &[(&str, &str)]) -> String {
    let server = |(name, flags): &(&str, &str)| format!("[servers.{name}]\nrun = \"{} {flags}\"\n", peer());
    servers.iter().map(server).collect()
}

impl Admin {
    async fn deep(&self, query: &str) -> Response {
        self.get(&format!("/health/deep{query}"), &[("authorization", &bearer(ADMIN_SECRET))]).await
    }

    /// The status and what was found.
    async fn tried(&self, server: &str) -> (u16, Value) {
        let response = self.deep(&format!("?server={server}")).await;
        assert_eq!(response.headers()["cache-control"], "no-store", "{server}");
        (response.status().as_u16(), response.json().await.unwrap())
    }

    fn is_bare(&self) -> bool {
        self.gateway.descendants().is_empty() && self.gateway.homes().is_empty()
    }

    /// Tries a server, with nobody there who waits for long.
    async fn leave(&self, server: &str, meanwhile: impl Future<Output = ()>) {
        tokio::select! {
            (status, found) = self.tried(server) => panic!("it was answered: {status} {found}"),
            () = meanwhile => {}
        }
    }
}

#[tokio::test]
async fn a_server_that_works_is_told_with_its_tools_and_has_ended_by_then() {
    let demo = "[servers.demo]\nrun = \"lockgate demo\"\nera = \"stateless\"\n";
    let admin =
        Admin::with(&(peers(&[("good", ""), ("stocked", "--stocked"), ("bare", "--stateless")]) + demo));
    for (name, calls_itself, era, tools) in [
        ("good", json!("peer"), "handshake", json!(1)),
        ("stocked", json!("peer"), "handshake", json!(5)),
        ("bare", Value::Null, "stateless", Value::Null),
        ("demo", json!("lockgate-demo"), "stateless", json!(3)),
    ] {
        let (status, found) = admin.tried(name).await;
        assert!(admin.is_bare(), "{name} is still there");
        assert_eq!((status, &found["status"]), (200, &json!("ok")), "{found}");
        assert_eq!((&found["server"], &found["name"]), (&json!(name), &calls_itself), "{found}");
        assert_eq!((&found["era"], &found["tools"]), (&json!(era), &tools), "{found}");
        assert!(found["seconds"].as_f64().unwrap() > 0.0, "{found}");
        for key in ["step", "reason", "last_line"] {
            assert_eq!(found.get(key), Some(&Value::Null), "{key}: {found}");
        }
    }
    let health = crate::client::get(admin.gateway.url("/health")).await.unwrap();
    assert_eq!(health.json::<Value>().await.unwrap()["sessions"]["total"], 0, "a trial is no session");
}

#[tokio::test]
async fn each_step_that_fails_is_told_without_what_the_server_was_given() {
    let place = tempfile::tempdir().unwrap();
    let script = place.path().join("server");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    use std::os::unix::fs::PermissionsExt;
    for path in [place.path(), &script] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let settings = format!(
        "[timeouts]\nstart = \"2s\"\n[servers.broken]\nrun = {script:?}\n\
         [servers.keyed]\nrun = \"sh -c 'echo no access with $TOKEN >&2; exit 3'\"\nenv = {{ TOKEN = \"sesame-open\" }}\n{}",
        peers(&[
            ("exits", "--exit 3"),
            ("mute", "--silent"),
            ("secretive", "--secretive"),
            ("unlisted", "--unlisted")
        ])
    );
    let admin = Admin::with(&settings);
    for (name, step, reason, last_line) in [
        ("broken", "start", "No such file", None),
        ("exits", "answer", "it exited with status 3 before it answered", Some("peer: refusing to run")),
        ("keyed", "answer", "it exited with status 3 before it answered", Some("no access with (masked)")),
        ("mute", "answer", "it said nothing within the 2s of timeouts.start", None),
        ("secretive", "tools", "it did not tell its tools within the 2s of timeouts.start", None),
        ("unlisted", "tools", "it answered `tools/list` with error -32603 (no)", None),
    ] {
        let (status, found) = admin.tried(name).await;
        // What has never run leaves a directory, which is removed beside.
        match step {
            "start" => until("it is gone", || admin.is_bare()).await,
            _ => assert!(admin.is_bare(), "{name} is still there"),
        }
        assert_eq!(
            (status, &found["status"], &found["step"]),
            (503, &json!("failed"), &json!(step)),
            "{found}"
        );
        assert!(found["reason"].as_str().unwrap().contains(reason), "{found}");
        assert_eq!(found["last_line"], json!(last_line), "{found}");
        assert_eq!(found["tools"], Value::Null, "{found}");
    }
    assert!(!admin.gateway.log().contains("sesame"), "{}", admin.gateway.log());
}

#[tokio::test]
async fn a_remote_server_is_reached_or_told_why_not() {
    let (up, _) = stateless::remote();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}/", nobody.local_addr().unwrap());
    drop(nobody);
    let own = "auth = { scheme = \"bearer\", passthrough = \"X-Login\" }";
    let settings = [
        server("up", &up.url(), ""),
        server("down", &closed, ""),
        server("login", &closed, own),
        server("keyed", &closed, "headers = { X-Key = \"${OWN_KEY}\" }"),
    ];
    let admin = Admin::with(&settings.concat());
    let (status, found) = admin.tried("up").await;
    assert_eq!(
        (status, &found["status"], &found["era"]),
        (200, &json!("ok"), &json!("stateless")),
        "{found}"
    );
    let (status, found) = admin.tried("down").await;
    assert_eq!(
        (status, &found["status"], &found["step"]),
        (503, &json!("failed"), &json!("answer")),
        "{found}"
    );
    assert!(found["reason"].as_str().unwrap().starts_with("it cannot be reached: "), "{found}");
    for (name, needs) in [("login", "in the header x-login"), ("keyed", "has to bring OWN_KEY")] {
        let (status, found) = admin.tried(name).await;
        assert_eq!((status, &found["status"]), (503, &json!("not_tried")), "{found}");
        assert!(found["reason"].as_str().unwrap().contains(needs), "{found}");
    }
}

#[tokio::test]
async fn nothing_is_started_for_who_may_not_or_says_not_what() {
    let admin = Admin::with(&peers(&[("good", ""), ("other", "--linger")]));
    for headers in [vec![], vec![("authorization", "Bearer wrong")]] {
        for query in ["?server=good", "?server=nobody", ""] {
            let response = admin.get(&format!("/health/deep{query}"), &headers).await;
            assert_eq!(response.status(), 401, "{query}");
        }
    }
    let command = urlencoding::encode(&peer()).into_owned();
    for (query, status) in [
        ("".to_owned(), 400),
        ("?server=".into(), 400),
        ("?all".into(), 400),
        ("?server=good&server=other".into(), 400),
        ("?server=nobody".into(), 404),
        ("?server=good/../other".into(), 404),
        (format!("?server={command}"), 404),
    ] {
        let response = admin.deep(&query).await;
        assert_eq!(response.status(), status, "{query}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
    let http = crate::client::http().build().unwrap();
    let post = http.post(format!("http://{}/health/deep?server=good", admin.address));
    assert_eq!(post.bearer_auth(ADMIN_SECRET).send().await.unwrap().status(), 405);
    let outside = http.get(admin.gateway.url("/health/deep?server=good")).bearer_auth(ADMIN_SECRET);
    assert_eq!(outside.send().await.unwrap().status(), 404);
    assert!(!admin.gateway.log().contains("a server was tried"), "{}", admin.gateway.log());
}

#[tokio::test]
async fn a_server_is_tried_once_at_a_time_and_ends_when_nobody_waits_for_it() {
    let admin = Admin::with(&peers(&[("mute", "--silent --ignore-term"), ("good", "")]));
    let runs = || !admin.gateway.descendants().is_empty();
    admin
        .leave("mute", async {
            until("it runs", runs).await;
            let second = admin.deep("?server=mute").await;
            assert_eq!(second.status(), 429);
            assert!(second.headers().contains_key("retry-after"));
            assert!(second.text().await.unwrap().contains("is being tried already"));
            assert_eq!(admin.tried("good").await.0, 200, "another is not held up");
        })
        .await;
    // It would have 24 seconds otherwise, and more to end in.
    until("it is gone with its caller", || admin.is_bare()).await;
    admin.leave("mute", until("it can be tried again", runs)).await;
    until("it is gone again", || admin.is_bare()).await;
}

#[tokio::test]
async fn trials_are_so_many_in_a_minute() {
    let admin = Admin::with(&peers(&[("exits", "--exit 3")]));
    for _ in 0..12 {
        assert_eq!(admin.tried("exits").await.0, 503);
    }
    let refused = admin.deep("?server=exits").await;
    assert_eq!(refused.status(), 429);
    let header = |name: &str| refused.headers()[name].to_str().unwrap().to_owned();
    assert!((1..=60).contains(&header("retry-after").parse::<u64>().unwrap()));
    assert_eq!(header("ratelimit-policy"), "\"requests\";q=12;w=60");
    assert!(header("ratelimit").starts_with("\"requests\";r=0;t="));
    let problem: Value = refused.json().await.unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("12 times in a minute"), "{problem}");
}

#[tokio::test]
async fn a_gateway_that_drains_begins_no_trial_and_ends_the_one_that_runs() {
    let mut admin = Admin::with(&peers(&[("peer", ""), ("mute", "--silent --ignore-term")]));
    let mut session = admin.gateway.client().connect("peer").await;
    let id = session.request("ask", json!({ "id": "q" })).await;
    assert_eq!(session.message().await.unwrap()["method"], "roots/list");
    let before = admin.gateway.descendants();
    let draining = async {
        until("it runs", || admin.gateway.descendants().len() > before.len()).await;
        admin.gateway.signal("TERM");
    };
    let (cut, ()) = tokio::join!(admin.deep("?server=mute"), draining);
    for refused in [cut, admin.deep("?server=peer").await] {
        assert_eq!(refused.status(), 503);
        assert!(refused.headers().contains_key("retry-after"));
        assert!(refused.text().await.unwrap().contains("is shutting down"));
    }
    until("the session alone goes on", || admin.gateway.descendants() == before).await;
    session.send(&json!({ "jsonrpc": "2.0", "id": "q", "result": {} })).await;
    session.answer(id).await;
    assert_eq!(admin.gateway.wait().code(), Some(0));
}

#[tokio::test]
async fn what_is_tried_is_in_the_sandbox() {
    if !is_root() {
        return;
    }
    let admin = Admin::with(&peers(&[("mute", "--silent")]));
    let own = |gateway: &Gateway| gateway.descendants().into_iter().flat_map(uids).find(|user| *user != 0);
    admin
        .leave("mute", async {
            until("it has a user of its own", || own(&admin.gateway).is_some()).await;
            let user = own(&admin.gateway).unwrap();
            assert!((20_000..30_000).contains(&user), "{user}");
        })
        .await;
    until("it is gone", || admin.is_bare()).await;
}
