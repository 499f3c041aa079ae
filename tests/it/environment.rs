//! What a child gets, and what it never does (seeds D0.4).

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::gateway::{Gateway, SECRET, until};

#[tokio::test]
async fn headers_become_variables_and_nothing_else_does() {
    let gateway = Gateway::start("[servers.fixed]\nrun = \"cat\"");
    let client =
        gateway.client().header("ENV_FOO", "bar").header("X-Env-Api-Token-Two", "a b=c").header("Other", "x");
    let mut session = client.connect("peer").await;
    let environment = session.call("environment", json!({})).await;
    assert_eq!(environment["FOO"], "bar");
    assert_eq!(environment["API_TOKEN_TWO"], "a b=c");
    let names: Vec<&String> = environment.as_object().unwrap().keys().collect();
    assert_eq!(names, ["API_TOKEN_TWO", "FOO", "HOME", "LANG", "LOCKGATE_SESSION_DIR", "PATH", "TMPDIR"]);
    let everything = environment.to_string();
    assert!(!everything.contains(SECRET) && !everything.contains("Bearer"));
}

#[tokio::test]
async fn the_secret_is_in_no_place_that_a_child_can_read() {
    let gateway = Gateway::start("");
    let mut session = gateway.client().connect("peer").await;
    let pid = gateway.pid();
    for file in ["environ", "cmdline"] {
        let path = format!("/proc/{pid}/{file}");
        let text = session.call("read", json!({ "path": path })).await;
        assert!(!text.as_str().unwrap().contains(SECRET), "{path}");
        assert!(!text.as_str().unwrap().contains("MAXIM_SECRET"), "{path}");
    }
    assert!(!gateway.log().contains(SECRET));
}

#[tokio::test]
async fn blocked_malformed_and_conflicting_names_are_told_by_name() {
    let gateway = Gateway::start("");
    for (name, value, said) in [
        ("ENV_LD_PRELOAD", "/x.so", "LD_PRELOAD"),
        ("env_path", "/x", "PATH"),
        ("X-Env-Node-Options", "--require x", "NODE_OPTIONS"),
        ("ENV_", "x", "a name must match"),
        ("ENV_1A", "x", "1A"),
        ("ENV_A-B", "x", "A-B"),
    ] {
        let response = gateway.client().header(name, value).get("/peer/sse").send().await.unwrap();
        assert_eq!(response.status(), 400, "{name}");
        let body: Value = response.json().await.unwrap();
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(said), "{name}: {message}");
    }
    let twice =
        gateway.client().header("ENV_A", "1").header("X-Env-A", "2").get("/peer/sse").send().await.unwrap();
    assert_eq!(twice.status(), 400);
    assert!(gateway.descendants().is_empty());
}

#[tokio::test]
async fn a_child_is_prepared_as_promised() {
    let gateway = Gateway::start("");
    let mut session = gateway.client().connect("peer").await;
    let status = session.call("status", json!({})).await;
    let field = |name: &str| {
        let line = status.as_str().unwrap().lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let pid = session.call("pid", json!({})).await.to_string();
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_eq!(field("NSsid:"), pid, "a session of its own");
    assert_eq!(field("NSpgid:"), pid, "a group of its own");
    assert_eq!(field("Umask:"), "0077");
    // Bit 12 is SIGPIPE, which the scripted server's own runtime ignores; the gateway's signals are not.
    let ignored = u64::from_str_radix(&field("SigIgn:"), 16).unwrap() & 0x7fff_ffff & !(1 << 12);
    assert_eq!(ignored, 0);
    assert_eq!(field("SigBlk:"), "0000000000000000");
    let limits = session.call("limits", json!({})).await;
    assert!(
        limits.as_str().unwrap().lines().any(|l| l.starts_with("Max core file size") && l.contains(" 0 "))
    );
    // The scripted server has opened one for the listing itself.
    assert_eq!(session.call("descriptors", json!({})).await, 3);
}

#[tokio::test]
async fn the_private_directory_is_private_and_goes_with_the_session() {
    let gateway = Gateway::start("");
    let mut session = gateway.client().connect("peer").await;
    let home = session.call("write", json!({ "path": "file" })).await;
    let environment = session.call("environment", json!({})).await;
    assert_eq!((&environment["HOME"], &environment["TMPDIR"]), (&home, &home));
    let mode = std::fs::metadata(home.as_str().unwrap()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(gateway.homes().len(), 1);
    drop(session);
    until("the directory is gone", || gateway.homes().is_empty()).await;
}

#[tokio::test]
async fn descriptors_that_the_gateway_inherited_do_not_reach_a_child() {
    // A shell opens descriptor 9 and leaves it to the gateway, as careless supervisors do.
    let place = tempfile::tempdir().unwrap();
    let inherited = place.path().join("inherited");
    std::fs::write(&inherited, "x").unwrap();
    let file = std::fs::File::open(&inherited).unwrap();
    rustix_dup_without_cloexec(&file);
    let gateway = Gateway::start("");
    let mut session = gateway.client().connect("peer").await;
    assert_eq!(session.call("descriptors", json!({})).await, 3);
}

/// Leaves a descriptor in this process that every program it starts inherits.
fn rustix_dup_without_cloexec(file: &std::fs::File) {
    let copy = rustix::io::dup(file).unwrap();
    std::mem::forget(copy);
}
