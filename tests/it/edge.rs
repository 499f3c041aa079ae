//! What the gateway bears from the network: many connections, slow ones, large bodies (security.md T10-T12,
//! T25, T27, T35, T37, T38).

use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};

use crate::events::Endpoint;
use crate::gateway::{Gateway, SECRET, until, until_told, with_peers};
use crate::raw::{Raw, exchange, head};
use crate::stateless::{enveloped, mirrored};
use crate::tenants::tenant;

#[tokio::test]
async fn an_address_has_so_many_connections_and_however_one_ends_there_is_room() {
    let gateway = Gateway::start("[limits]\nconnections_per_address = 3");
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut raw = Raw::connect(&gateway).await;
        assert!(raw.is_served().await);
        open.push(raw);
    }
    type End = fn(Raw);
    let ends: [(&str, End); 4] = [
        ("FIN", drop),
        ("RST", |raw| raw.0.set_zero_linger().unwrap()),
        ("FIN in a head", |raw| drop(raw.0.try_write(b"GET / HT"))),
        ("FIN behind a request", |raw| {
            drop(raw.0.try_write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        }),
    ];
    for (how, end) in ends {
        let refused = Raw::connect(&gateway).await.response().await;
        assert!(refused.starts_with("HTTP/1.1 429"), "{how}: {refused}");
        assert!(
            refused.contains("\r\nRetry-After: ") && refused.contains("\r\nConnection: close"),
            "{refused}"
        );
        assert!(refused.contains("too many connections from this address"), "{refused}");
        end(open.remove(0));
        let mut next = None;
        until_told(how, async || {
            let mut raw = Raw::connect(&gateway).await;
            let served = raw.is_served().await;
            next = served.then_some(raw);
            served
        })
        .await;
        open.extend(next);
    }
    // The gateway's own end of it makes room, too.
    let asked = format!("GET /health HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", gateway.address);
    let mut last = open.remove(0);
    last.send(asked).await;
    assert!(last.rest().await.starts_with("HTTP/1.1 200"));
    until_told("room again", async || Raw::connect(&gateway).await.is_served().await).await;
    assert_eq!(gateway.log().matches("connections are refused").count().min(1), 1);
}

#[tokio::test]
async fn a_proxy_has_as_many_connections_as_there_are() {
    let gateway = Gateway::start(
        "[limits]\nconnections = 5\nconnections_per_address = 1\n[access]\ntrusted_proxies = [\"127.0.0.1\"]",
    );
    let mut open = Vec::new();
    for _ in 0..5 {
        let mut raw = Raw::connect(&gateway).await;
        assert!(raw.is_served().await);
        open.push(raw);
    }
    let refused = Raw::connect(&gateway).await.response().await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("\r\nRetry-After: "), "{refused}");
    drop(open);
    until_told("room again", async || Raw::connect(&gateway).await.is_served().await).await;
}

/// An address of this machine by which others reach it, if it has one.
fn own_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("203.0.113.1:9").ok()?;
    Some(socket.local_addr().unwrap().ip())
}

#[tokio::test]
async fn a_process_of_this_machine_is_no_proxy_by_whichever_address_it_calls() {
    let Some(own) = own_address() else { return eprintln!("skipped: this machine has no address") };
    let limits = "[limits]\nconnections_per_address = 3\n[rate]\nfailures_per_minute = 2";
    for access in [
        "client_address = \"fly\"".to_owned(),
        format!("client_address = \"forwarded\"\ntrusted_proxies = [\"{own}/8\"]"),
    ] {
        let settings = with_peers(&format!("{limits}\n[access]\n{access}"));
        let gateway = Gateway::start_bare(&settings, &[("LOCKGATE_SECRET", SECRET), ("HOST", "0.0.0.0")]);
        let port = gateway.address.rsplit(':').next().unwrap();
        let connect = async |to: std::net::IpAddr| {
            Raw(tokio::net::TcpStream::connect(format!("{to}:{port}")).await.unwrap())
        };
        let mut open = Vec::new();
        for to in [own, own, "127.0.0.1".parse().unwrap()] {
            let mut raw = connect(to).await;
            assert!(raw.is_served().await);
            open.push(raw);
        }
        let refused = connect(own).await.response().await;
        assert!(refused.starts_with("HTTP/1.1 429"), "{access}: {refused}");
        let mut statuses = Vec::new();
        for claimed in ["203.0.113.1", "203.0.113.2", "203.0.113.3"] {
            let claim = format!("Fly-Client-IP: {claimed}\r\nX-Forwarded-For: {claimed}\r\n\r\n");
            open[0].send(head(&gateway, "GET /peer/sse").replace(SECRET, "wrong") + &claim).await;
            statuses.push(open[0].response().await[9..12].to_owned());
        }
        assert_eq!(statuses, ["401", "401", "429"], "{access}");
    }
}

#[tokio::test]
async fn a_stream_counts_until_it_ends() {
    let gateway = Gateway::start("[limits]\nconnections_per_address = 1");
    let mut stream = Raw::connect(&gateway).await;
    stream.send(head(&gateway, "GET /peer/sse") + "\r\n").await;
    assert!(stream.response().await.contains("text/event-stream"));
    assert!(!Raw::connect(&gateway).await.is_served().await);
    drop(stream);
    until_told("room again", async || Raw::connect(&gateway).await.is_served().await).await;
}

#[tokio::test]
async fn without_descriptors_nothing_is_accepted_and_with_them_everything_is_well_again() {
    let gateway = Gateway::start("");
    gateway.until_active(0).await;
    let pid = Pid::from_raw(gateway.pid().cast_signed());
    let before = getrlimit(Resource::Nofile);
    let few = Rlimit { current: Some(gateway.descriptors() as u64 + 6), maximum: before.maximum };
    let usual = prlimit(pid, Resource::Nofile, few).unwrap();
    let mut crowd = Vec::new();
    for _ in 0..30 {
        let mut raw = Raw::connect(&gateway).await;
        raw.send(format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", gateway.address)).await;
        crowd.push(raw);
    }
    until("it has run out", || gateway.log().contains("Too many open files")).await;
    drop(crowd);
    // Still few descriptors, but nobody holds them.
    until_told("health", async || Raw::connect(&gateway).await.is_served().await).await;
    prlimit(pid, Resource::Nofile, usual).unwrap();
    gateway.client().connect("peer").await;
}

#[tokio::test]
async fn connections_are_fewer_where_descriptors_are() {
    let gateway = Gateway::start("[limits]\nconnections = 1000000000");
    assert!(gateway.log().contains("fewer connections than limits.connections"), "{}", gateway.log());
}

/// Bytes that come one by one, for as long as the gateway takes them.
async fn trickle(raw: &mut Raw, text: &[u8]) -> String {
    let mut got = Vec::new();
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    // 30 s; what would go on for ever fails instead.
    for (count, byte) in text.iter().cycle().enumerate() {
        assert!(count < 300, "it goes on: {:?}", String::from_utf8_lossy(&got));
        pace.tick().await;
        match raw.0.try_read_buf(&mut got) {
            Ok(1..) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => break,
        }
        let _ = raw.0.try_write(&[*byte]);
    }
    String::from_utf8(got).unwrap()
}

/// One test, because each of these takes the five seconds that a head may take.
#[tokio::test]
async fn heads_and_leftovers_that_do_not_come_are_cut_off() {
    let gateway = Gateway::start("");
    let get = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", gateway.address);
    let first_head = async {
        let mut raw = Raw::connect(&gateway).await;
        raw.send("GET /health HTTP/1.1\r\nx: ").await;
        let answer = trickle(&mut raw, b"y").await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    };
    let silent = async {
        let answer = Raw::connect(&gateway).await.rest().await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    };
    let later_head = async {
        let mut raw = Raw::connect(&gateway).await;
        assert!(raw.is_served().await);
        raw.send("GET /health HTTP/1.1\r\nx: ").await;
        assert_eq!(trickle(&mut raw, b"y").await, "");
    };
    let later_head_begun_behind_a_request = async {
        let mut raw = Raw::connect(&gateway).await;
        raw.send(get.clone() + "GET /health HTTP/1.1\r\nx: ").await;
        assert!(raw.response().await.starts_with("HTTP/1.1 200"));
        assert_eq!(trickle(&mut raw, b"y").await, "");
    };
    let rest_of_a_refused_body = async {
        let mut raw = Raw::connect(&gateway).await;
        raw.send(head(&gateway, "POST /nobody/mcp") + "Transfer-Encoding: chunked\r\n\r\n").await;
        assert!(raw.response().await.starts_with("HTTP/1.1 403"));
        assert_eq!(trickle(&mut raw, b"1\r\nx\r\n").await, "");
    };
    let idle = async {
        let mut raw = Raw::connect(&gateway).await;
        assert!(raw.is_served().await);
        raw
    };
    let stream = async { gateway.client().connect("peer").await };
    let (mut idle, mut session) = tokio::join!(idle, stream);
    tokio::join!(first_head, silent, later_head, later_head_begun_behind_a_request, rest_of_a_refused_body);
    assert!(idle.is_served().await, "a connection between requests may rest");
    session.call("pid", json!({})).await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_refused_and_its_connection_closed() {
    let gateway = Gateway::start("[timeouts]\nbody = \"300ms\"");
    for framing in ["Content-Length: 100\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"] {
        let mut raw = Raw::connect(&gateway).await;
        raw.send(head(&gateway, "POST /peer/mcp") + framing).await;
        let answer = raw.rest().await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{framing}: {answer}");
        assert!(answer.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
        assert!(answer.contains("timeouts.body") && answer.contains("\"jsonrpc\":\"2.0\""), "{answer}");
    }
    // Bytes that keep coming do not help, if they are few.
    let mut raw = Raw::connect(&gateway).await;
    raw.send(head(&gateway, "POST /peer/mcp") + "Content-Length: 100000\r\n\r\n").await;
    assert!(trickle(&mut raw, b"x").await.starts_with("HTTP/1.1 408"));
    assert!(gateway.descendants().is_empty());
}

#[tokio::test]
async fn a_body_in_pieces_has_the_time_that_its_size_is_worth() {
    // Half a second would not do for what follows, were it not for what has come already.
    let gateway = Gateway::start("[timeouts]\nbody = \"500ms\"");
    let pad = "x".repeat(512 << 10);
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"2025-06-18","pad":"{pad}"}}}}"#
    );
    let (most, last) = body.split_at(body.len() - 2);
    let mut raw = Raw::connect(&gateway).await;
    raw.send(head(&gateway, "POST /peer/mcp") + &format!("Content-Length: {}\r\n\r\n{most}", body.len()))
        .await;
    let waited = tokio::time::timeout(Duration::from_secs(1), raw.0.readable()).await;
    assert!(waited.is_err(), "it was answered before it was whole");
    raw.send(last).await;
    assert!(raw.response().await.starts_with("HTTP/1.1 200"));
}

/// Begins a body; when this returns, the gateway waits for the rest of it.
async fn announce(gateway: &Gateway, secret: &str, bytes: usize) -> Raw {
    let mut raw = Raw::connect(gateway).await;
    let head = head(gateway, "POST /peer/mcp").replace(SECRET, secret);
    raw.send(head + &format!("Expect: 100-continue\r\nContent-Length: {bytes}\r\n\r\n")).await;
    assert!(raw.response().await.starts_with("HTTP/1.1 100"));
    raw
}

/// A whole body that is no message; the answer.
async fn post(gateway: &Gateway, secret: &str, bytes: usize, chunked: bool) -> String {
    let body = " ".repeat(bytes);
    let framed = match chunked {
        true => format!("Transfer-Encoding: chunked\r\n\r\n{bytes:x}\r\n{body}\r\n0\r\n\r\n"),
        false => format!("Content-Length: {bytes}\r\n\r\n{body}"),
    };
    let head = head(gateway, "POST /peer/mcp").replace(SECRET, secret);
    exchange(gateway, head + "Connection: close\r\n" + &framed).await
}

#[tokio::test]
async fn bodies_on_their_way_have_bounds_for_each_tenant_and_for_all() {
    const KIB: usize = 1024;
    let tenants = ["acme", "other"].map(|name| tenant(name, &[name], "")).concat();
    let gateway =
        Gateway::start(&format!("[limits]\nmessage = \"64KiB\"\nin_flight = \"100KiB\"\n{tenants}"));
    let is_taken = |answer: String| answer.starts_with("HTTP/1.1 400") && answer.contains("-32700");
    let is_refused = |answer: String, why: &str| {
        let later = answer.starts_with("HTTP/1.1 503") && answer.contains("\r\nretry-after: ");
        assert!(later && answer.contains(why), "{answer}");
    };
    let own = announce(&gateway, SECRET, 60 * KIB).await;
    is_refused(post(&gateway, SECRET, 16 * KIB, false).await, "this tenant");
    is_refused(post(&gateway, SECRET, 16 * KIB, true).await, "this tenant");
    assert!(is_taken(post(&gateway, "acme", 16 * KIB, false).await), "another tenant has its own part");
    let _acmes = announce(&gateway, "acme", 30 * KIB).await;
    is_refused(post(&gateway, "other", 16 * KIB, false).await, "the gateway");
    is_refused(post(&gateway, "other", 16 * KIB, true).await, "the gateway");
    drop(own);
    until_told("room again", async || is_taken(post(&gateway, SECRET, 60 * KIB, false).await)).await;
    assert!(is_taken(post(&gateway, SECRET, 60 * KIB, true).await));
    assert!(is_taken(post(&gateway, "other", 60 * KIB, true).await));
}

#[tokio::test]
async fn bodies_on_their_way_count_across_a_reload() {
    const KIB: usize = 1024;
    let settings = "[limits]\nmessage = \"64KiB\"\nin_flight = \"64KiB\"";
    let gateway = Gateway::start(settings);
    let held = announce(&gateway, SECRET, 60 * KIB).await;
    gateway.reload(settings).await;
    assert!(post(&gateway, SECRET, 16 * KIB, false).await.starts_with("HTTP/1.1 503"));
    drop(held);
    let is_taken = async || post(&gateway, SECRET, 16 * KIB, false).await.starts_with("HTTP/1.1 400");
    until_told("room again", is_taken).await;
}

#[tokio::test]
async fn a_client_sees_which_of_its_variables_came_through_and_no_value() {
    let gateway = Gateway::start("[access]\nblocked_env = \"ignore\"");
    let stream = gateway
        .client()
        .header("ENV_B", "hush")
        .header("X-Env-A-C", "hush")
        .header("ENV_LD_PRELOAD", "hush")
        .get("/peer/sse")
        .send()
        .await
        .unwrap();
    assert_eq!(stream.headers()["lockgate-env"], "A_C, B");
    assert!(!format!("{:?}", stream.headers()).contains("hush"));
    let none = gateway.client().get("/peer/sse").send().await.unwrap();
    assert!(!none.headers().contains_key("lockgate-env"));

    let opened = Endpoint::new(&gateway, "peer").header("ENV_REGION", "hush").initialize("2025-06-18").await;
    assert_eq!(opened.headers()["lockgate-env"], "REGION");
    let call = enveloped(0, "tools/call", json!({ "name": "pid", "arguments": {} }));
    let answer = mirrored(&gateway, "stateless", &call).header("ENV_REGION", "hush").post(&call).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["lockgate-env"]),
        (200, &"REGION".parse().unwrap())
    );
}

#[tokio::test]
async fn deep_json_costs_neither_stack_nor_memory() {
    let gateway = Gateway::start("");
    let mut session = gateway.client().connect("peer").await;
    let endpoint = Endpoint::new(&gateway, "peer");
    let before = gateway.resident();
    let arrays = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    let objects = "{\"a\":".repeat(250_000) + "1" + &"}".repeat(250_000);
    let open = "[".repeat(2_000_000);
    for bomb in [&arrays, &objects, &open] {
        for body in [
            bomb.clone(),
            format!(r#"{{"jsonrpc":"2.0","id":{bomb},"method":"ping"}}"#),
            format!(r#"[{{"jsonrpc":"2.0","id":1,"method":{bomb}}}]"#),
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{bomb},"params":1}}"#),
        ] {
            assert_eq!(session.post_raw(body.clone()).send().await.unwrap().status(), 400, "{body:.80}");
            assert_eq!(endpoint.post_raw(body).await.status(), 400);
        }
    }
    // The stateless era looks into the parameters.
    let endpoint = endpoint.header("mcp-protocol-version", "2026-07-28");
    for bomb in [&arrays, &objects] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"_meta":{bomb},"name":{bomb}}}}}"#
        );
        assert_eq!(endpoint.post_raw(body).await.status(), 400);
    }
    assert_eq!(session.call("echo", json!({ "a": 1 })).await, json!({ "a": 1 }));
    let grown = gateway.resident().saturating_sub(before);
    assert!(grown < 48 << 10, "{grown} KiB");
}

#[tokio::test]
async fn deep_json_of_a_child_harms_nobody() {
    let gateway = Gateway::start("");
    let mut session = gateway.client().connect("peer").await;
    let arrays = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    // A value passes as it is, and what is no message is dropped.
    let message = format!(r#"{{"jsonrpc":"2.0","method":"note","params":{arrays}}}"#);
    for text in [
        &message,
        &arrays,
        &"{\"a\":".repeat(300_000),
        &format!(r#"{{"jsonrpc":"2.0","id":{arrays},"result":1}}"#),
    ] {
        let id = session.request("say", json!({ "text": text })).await;
        loop {
            let event = session.event().await.expect("the stream goes on");
            if event == message {
                continue;
            }
            assert!(event.len() < 1000, "{:.80}", event);
            if serde_json::from_str::<Value>(&event).is_ok_and(|message| message["id"] == id) {
                break;
            }
        }
    }
    assert_eq!(session.call("echo", json!({ "a": 1 })).await, json!({ "a": 1 }));
}

#[tokio::test]
async fn nothing_that_a_child_writes_ends_an_event_early() {
    let gateway = Gateway::start("");
    let mut session = gateway.client().connect("peer").await;
    let odd = "a\u{85}b\u{2028}c\u{2029}d";
    for text in [
        format!("{{\r\"jsonrpc\"\r:\r\"2.0\",\"method\":\"note\",\"params\":{{\"t\":\"{odd}\"}}}}\r"),
        format!("{{\"jsonrpc\":\"2.0\",\"method\":\"note\",\"params\":{{\"t\":\"{odd}\"\r\r}}}}\r\r"),
        format!("\r \r{{\"jsonrpc\":\"2.0\",\"method\":\"note\",\"params\":{{\"t\":\r\"{odd}\"}}}}"),
    ] {
        let id = session.request("say", json!({ "text": text })).await;
        let event = session.event().await.unwrap();
        assert!(!event.contains(['\r', '\n', '\u{85}', '\u{2028}', '\u{2029}']), "{event:?}");
        assert_eq!(serde_json::from_str::<Value>(&event).unwrap()["params"]["t"], odd);
        session.answer(id).await;
    }
    // Lines that would be fields of an event, were they framed as they are.
    for text in [
        "\rdata: {}\r\revent: endpoint\rdata: /evil",
        "id: 7\r\n\r\nevent: endpoint",
        "\u{feff}data: x\u{2028}",
    ] {
        let id = session.request("say", json!({ "text": text })).await;
        session.answer(id).await;
        assert!(session.aside.is_empty(), "{:?}", session.aside);
    }
}

/// HAProxy looks for health by HTTP/1.0, whose connections end with their answer.
#[tokio::test]
async fn who_speaks_http_1_0_ends_nobody_elses_connection() {
    let gateway = Gateway::start("");
    let mut kept = Vec::new();
    for _ in 0..4 {
        // On every worker, whichever is next.
        for _ in 0..8 {
            let mut old = Raw::connect(&gateway).await;
            old.send("GET /health HTTP/1.0\r\n\r\n").await;
            assert!(old.rest().await.starts_with("HTTP/1.0 200"));
        }
        let mut raw = Raw::connect(&gateway).await;
        assert!(raw.is_served().await);
        kept.push(raw);
    }
    // What ends is ended a second after its answer.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    for raw in &mut kept {
        assert!(raw.is_served().await);
    }
}
