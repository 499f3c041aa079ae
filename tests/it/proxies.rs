//! Lockgate behind the reverse proxies of docs/proxies.md, which run by the files of that page.

mod network;
mod page;
mod proxy;

use std::process::Stdio;

use serde_json::{Value, json};

use self::network::Network;
use self::proxy::{Kind, Proxy, Setup};
use crate::client::Client;
use crate::clients::{everything, installed, node_at, passes, python_at};
use crate::events::{Endpoint, Events, fault};
use crate::gateway::{Gateway, SECRET, lockgate, peer, with_peers};
use crate::page_files::{Page, edited};
use crate::traces::is_root;

/// The settings of the page, for clients that call it by this name.
fn settings(host: &str) -> String {
    edited(&Page::open("proxies.md").file("lockgate.toml"), &[("gate.example.com", host)])
}

/// With these settings beside the page's.
fn gateway(more: &str) -> Gateway {
    Gateway::start(&format!("{}{more}", settings("127.0.0.1")))
}

/// With servers that the official clients use.
fn gateway_of_everything() -> Gateway {
    let servers =
        format!("[servers.everything]\nrun = {:?}\n{}", installed("server-everything", ""), everything());
    crate::clients::gateway(&format!("{}{servers}", settings("127.0.0.1")))
}

fn client(proxy: &Proxy) -> Client {
    Client::new(&proxy.base, SECRET)
}

/// The scripted server, through the proxy.
fn endpoint(gateway: &Gateway, proxy: &Proxy, server: &str) -> Endpoint {
    let mut endpoint = Endpoint::new(gateway, server);
    endpoint.url = proxy.url(&format!("/{server}/mcp"));
    endpoint
}

/// Variables, progress, what the server asks, 3 MB each way.
#[tokio::test]
async fn the_official_clients_use_sse() {
    for kind in Kind::all() {
        let gateway = gateway_of_everything();
        let proxy = Proxy::start(kind, &gateway).await;
        passes(node_at(&proxy.base, "everything.mjs", &["everything"]));
        passes(python_at(&proxy.base, "session.py", &["everything", "everything"]));
    }
}

/// Streams that go on and on, cancelled calls, sessions that are ended, 3 MB each way.
#[tokio::test]
async fn the_official_clients_use_sessions() {
    for kind in Kind::all() {
        let gateway = gateway_of_everything();
        let proxy = Proxy::start(kind, &gateway).await;
        passes(node_at(&proxy.base, "streamable_v1.mjs", &["handshake"]));
        passes(node_at(&proxy.base, "streamable_v2.mjs", &["handshake", "legacy", "legacy"]));
        passes(python_at(&proxy.base, "streamable.py", &["handshake", "legacy", "legacy"]));
    }
}

/// The same, where a call is cancelled by closing its connection: the proxy's to Lockgate must close, too.
#[tokio::test]
async fn the_official_clients_use_the_stateless_era() {
    for kind in Kind::all() {
        let gateway = gateway_of_everything();
        let proxy = Proxy::start(kind, &gateway).await;
        passes(node_at(&proxy.base, "streamable_v2.mjs", &["stateless", "pinned", "modern"]));
        passes(python_at(&proxy.base, "streamable.py", &["stateless", "auto", "modern"]));
    }
}

#[tokio::test]
async fn who_goes_away_from_the_proxy_is_gone() {
    for kind in Kind::all() {
        // Else a heartbeat that cannot be sent would tell.
        let gateway = gateway("[timeouts]\nheartbeat = \"1h\"\n");
        let proxy = Proxy::start(kind, &gateway).await;
        let mut session = client(&proxy).connect("peer").await;
        // In the middle of a call, too.
        session.request("never", json!({})).await;
        gateway.until_active(1).await;
        drop(session);
        gateway.until_active(0).await;
    }
}

#[tokio::test]
async fn large_messages_pass_and_those_too_large_get_our_answer() {
    for kind in Kind::all() {
        let gateway = gateway("");
        let proxy = Proxy::start(kind, &gateway).await;
        let mut session = client(&proxy).connect("peer").await;
        let large = "x".repeat(3 << 20);
        assert!(session.call("echo", json!({ "text": large })).await["text"] == large, "{kind:?}");
        let endpoint = endpoint(&gateway, &proxy, "peer").open("2025-11-25").await;
        assert!(endpoint.call_slowly(1, "echo", json!({ "text": large })).await["result"]["text"] == large);
        let body = json!({ "jsonrpc": "2.0", "id": 2, "method": "echo", "params": "x".repeat(4 << 20) });
        let (status, _, body) = fault(endpoint.post(&body).await).await;
        assert_eq!(status, 413, "{kind:?}: {body}");
        // Its session and the proxy's other connections are well.
        assert!(session.call("echo", json!({ "n": 1 })).await["n"] == 1);
    }
}

#[tokio::test]
async fn heartbeats_keep_an_idle_stream_that_nginx_would_cut() {
    let edits = [("proxy_read_timeout 60s;", "proxy_read_timeout 1s;")];
    if Kind::Nginx.program().is_none() {
        return;
    }
    let setup = Setup { edits: &edits, ..Setup::default() };
    let silent = gateway("[timeouts]\nheartbeat = \"1h\"\n");
    let proxy = Proxy::start_with(Kind::Nginx, &silent, setup).await;
    let mut session = client(&proxy).connect("peer").await;
    assert_eq!(session.event().await, None, "then nothing is shown here");
    silent.until_active(0).await;

    let gateway = gateway("[timeouts]\nheartbeat = \"100ms\"\n");
    let proxy = Proxy::start_with(Kind::Nginx, &gateway, setup).await;
    let mut session = client(&proxy).connect("peer").await;
    let endpoint = endpoint(&gateway, &proxy, "peer").open("2025-11-25").await;
    let mut stream = Events::of(endpoint.get().await);
    // Twice what nginx waits for.
    for count in 0..20 {
        assert_eq!(session.event().await.as_deref(), Some(": keepalive"), "after {count}");
        assert!(stream.next().await.is_some(), "after {count}");
    }
    assert_eq!(session.call("echo", json!({ "n": 1 })).await["n"], 1);
}

/// What the page says about buffering. nginx keeps the header to itself.
#[tokio::test]
async fn streams_ask_not_to_be_buffered() {
    let gateway = gateway("");
    let stream = gateway.client().get("/peer/sse").send().await.unwrap();
    assert_eq!(stream.headers()["x-accel-buffering"], "no");
}

#[tokio::test]
async fn what_becomes_of_underscores_is_as_the_page_says() {
    let variables = async |proxy: &Proxy| {
        let client = client(proxy).header("ENV_FIRST", "1").header("X-Env-Second-One", "2");
        let environment = client.connect("peer").await.call("environment", json!({})).await;
        [environment["FIRST"].clone(), environment["SECOND_ONE"].clone()]
    };
    for kind in Kind::all() {
        let gateway = gateway("");
        let proxy = Proxy::start(kind, &gateway).await;
        assert_eq!(variables(&proxy).await, ["1", "2"], "{kind:?}");
        if kind == Kind::Nginx {
            let setup = Setup { edits: &[("underscores_in_headers on;", "")], ..Setup::default() };
            let proxy = Proxy::start_with(kind, &gateway, setup).await;
            assert_eq!(variables(&proxy).await, [Value::Null, "2".into()]);
        }
    }
}

#[tokio::test]
async fn a_command_in_the_path_stays_as_it_was_written() {
    for kind in Kind::all() {
        let gateway = gateway("");
        let proxy = Proxy::start(kind, &gateway).await;
        let command = urlencoding::encode(&format!("{} --linger", peer())).into_owned();
        assert!(command.contains("%2F") && command.contains("%20"));
        let mut session = client(&proxy).connect(&command).await;
        assert_eq!(session.call("echo", json!({ "n": 1 })).await["n"], 1, "{kind:?}");
    }
}

#[tokio::test]
async fn below_a_path_everything_is_found() {
    let page = Page::open("proxies.md");
    page.says("`location /gate/` in nginx, `reverse_proxy /gate/* 127.0.0.1:8000` in Caddy");
    let settings = edited(&settings("127.0.0.1"), &[("[listen]", "[listen]\nbase_path = \"/gate\"")]);
    for kind in Kind::all() {
        let gateway = Gateway::start(&settings);
        let edits = match kind {
            Kind::Nginx => [("location / {", "location /gate/ {")],
            Kind::Caddy => [("reverse_proxy ", "reverse_proxy /gate/* ")],
        };
        let proxy = Proxy::start_with(kind, &gateway, Setup { edits: &edits, ..Setup::default() }).await;
        let mut session = client(&proxy).connect("gate/peer").await;
        assert!(session.endpoint.starts_with("/gate/peer/message?"), "{}", session.endpoint);
        assert_eq!(session.call("echo", json!({ "n": 1 })).await["n"], 1, "{kind:?}");
    }
}

#[tokio::test]
async fn the_host_that_clients_name_is_checked() {
    for kind in Kind::all() {
        // Called by a name that the settings do not have.
        let other = Gateway::start(&settings("gate.example.com"));
        let proxy = Proxy::start(kind, &other).await;
        assert_eq!(fault(client(&proxy).get("/peer/sse").send().await.unwrap()).await.0, 403, "{kind:?}");
        // What watches over the gateway knows no name.
        assert_eq!(crate::client::get(proxy.url("/health/ready")).await.unwrap().status(), 200);
    }
}

/// The status of a request from this address of the neighbour's.
fn status_of(network: &Network, proxy: &Proxy, from: &str, secret: &str, claim: &str) -> String {
    let mut curl = network.neighbour();
    curl.args([
        "curl",
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "--max-time",
        "20",
        "--interface",
        from,
    ]);
    curl.args(["-H", &format!("Authorization: Bearer {secret}"), "-H", &format!("X-Forwarded-For: {claim}")]);
    let output = curl.arg(proxy.url("/peer/sse")).stdin(Stdio::null()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn limits_by_address_are_for_the_client_and_not_for_the_proxy() {
    if !is_root() {
        return;
    }
    let [one, another] = Network::NEIGHBOURS;
    for kind in Kind::all() {
        let network = Network::new();
        let mut command = network.host();
        command.arg(lockgate().get_program()).env_clear().env("PATH", std::env::var("PATH").unwrap());
        let settings = format!(
            "{}[rate]\nper_minute = 0\nopens_per_minute = 0\nfailures_per_minute = 2\n",
            with_peers(&format!("{}[rate]", settings(Network::HOST))).replace("[rate]", "")
        );
        let variables = [("LOCKGATE_SECRET", SECRET)];
        let gateway = Gateway::start_by(command, tempfile::tempdir().unwrap(), &settings, &variables);
        let setup = Setup { network: Some(&network), ..Setup::default() };
        let proxy = Proxy::start_with(kind, &gateway, setup).await;
        let status = |from: &str, claim: &str| status_of(&network, &proxy, from, "wrong", claim);
        // A client cannot make itself another by what it writes, or have another refused.
        let own = ["203.0.113.1", another, "203.0.113.2"].map(|claim| status(one, claim));
        assert_eq!(own, ["401", "401", "429"], "{kind:?}");
        let others = ["203.0.113.1", one, "203.0.113.2"].map(|claim| status(another, claim));
        assert_eq!(others, ["401", "401", "429"], "{kind:?}");
    }
}
