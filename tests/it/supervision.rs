//! Children and their ends (seeds D0.9, D0.10; promises 1, 2, 6 and 9).

use std::time::Duration;

use serde_json::json;

use crate::gateway::{Gateway, peer, send_signal, until};
use crate::raw::request;
use crate::traces::{homes, is_alive};

#[tokio::test]
async fn every_pending_request_hears_of_a_killed_child() {
    let gateway = Gateway::start("");
    let mut session = gateway.client().connect("peer").await;
    let pid = session.pid().await;
    let mut bystander = gateway.client().connect("peer").await;
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(session.request("never", json!({})).await);
    }
    send_signal(pid, "KILL");
    let mut told = Vec::new();
    while let Some(message) = session.message().await {
        let text = message["error"]["message"].as_str().unwrap();
        assert!(text.contains("was killed by signal 9"), "{text}");
        told.push(message["id"].as_u64().unwrap());
    }
    told.sort_unstable();
    assert_eq!(told, waiting, "each one once, then the end of the stream");
    let late = session.post_raw(r#"{"jsonrpc":"2.0","id":99,"method":"ping"}"#).send().await.unwrap();
    assert_eq!(late.status(), 404);
    assert_eq!(bystander.call("echo", json!([1])).await, json!([1]));
}

#[tokio::test]
async fn an_exit_is_told_with_its_status_and_last_words() {
    let gateway = Gateway::start("");
    let mut session = gateway.client().connect("peer").await;
    let params = json!({ "status": 7, "stderr": "starting\nError: no licence\u{1b}[0m\n\n" });
    let id = session.request("exit", params).await;
    let text = session.answer(id).await["error"]["message"].as_str().unwrap().to_owned();
    assert!(text.contains("exited with status 7"), "{text}");
    assert!(text.contains("Error: no licence\u{fffd}[0m"), "{text}");
    assert!(session.message().await.is_none());
}

#[tokio::test]
async fn a_child_that_exits_at_once_is_told_to_whoever_asks_it() {
    let gateway = Gateway::start(&format!("[servers.gone]\nrun = \"{} --exit 3\"", peer()));
    let response = gateway.client().get("/gone/sse").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut session = gateway.client().attach(response).await;
    until("it is gone", || gateway.descendants().iter().all(|pid| !is_alive(*pid))).await;
    let id = session.request("initialize", json!({})).await;
    let text = session.answer(id).await["error"]["message"].as_str().unwrap().to_owned();
    assert!(text.contains("exited with status 3") && text.contains("peer: refusing to run"), "{text}");
    assert!(session.message().await.is_none());
}

#[tokio::test]
async fn a_child_that_closes_its_output_ends_the_session() {
    let gateway = Gateway::start("");
    let mut session = gateway.client().connect("peer").await;
    let id = session.request("close", json!({})).await;
    let text = session.answer(id).await["error"]["message"].as_str().unwrap().to_owned();
    assert!(text.contains("closed its output"), "{text}");
    assert!(session.message().await.is_none());
    until("nothing is left", || gateway.descendants().is_empty()).await;
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_on() {
    let gateway = Gateway::start(&format!(
        "[servers.silent]\nrun = \"{} --silent\"\n[timeouts]\nstart = \"300ms\"",
        peer()
    ));
    let mut session = gateway.client().open("silent").await;
    let id = session.request("initialize", json!({})).await;
    let text = session.answer(id).await["error"]["message"].as_str().unwrap().to_owned();
    assert!(text.contains("gave no answer within 300ms"), "{text}");
    assert!(session.message().await.is_none());
}

#[tokio::test]
async fn idle_and_old_sessions_end() {
    for (settings, reason) in [
        ("[timeouts]\nidle = \"300ms\"", "the session was idle for 300ms"),
        ("[timeouts]\nidle = \"400ms\"\nlifetime = \"400ms\"", "the session"),
    ] {
        let gateway = Gateway::start(settings);
        let mut session = gateway.client().connect("peer").await;
        let id = session.request("never", json!({})).await;
        let text = session.answer(id).await["error"]["message"].as_str().unwrap().to_owned();
        assert!(text.contains(reason), "{text}");
        assert!(session.message().await.is_none());
        until("nothing is left", || gateway.descendants().is_empty() && gateway.homes().is_empty()).await;
    }
}

#[tokio::test]
async fn whatever_a_child_does_about_its_end_it_is_gone_when_the_client_is() {
    let gateway = Gateway::start("[timeouts]\neof = \"200ms\"\nterm = \"200ms\"");
    for server in ["peer", "other", "stubborn"] {
        let mut session = gateway.client().connect(server).await;
        let orphan = session.call("orphan", json!({})).await.as_u64().unwrap();
        let pids = [session.pid().await, u32::try_from(orphan).unwrap()];
        assert!(pids.iter().all(|pid| is_alive(*pid)), "{server}");
        if server == "other" {
            send_signal(pids[0], "STOP");
        }
        drop(session);
        until(&format!("{server} and its grandchild are gone"), || {
            gateway.descendants().is_empty() && pids.iter().all(|pid| !is_alive(*pid))
        })
        .await;
        until("its directory is gone", || gateway.homes().is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_sessions_leave_nothing_behind() {
    let gateway = Gateway::start("");
    // The first session of each worker makes what stays: a thread, an event queue.
    for _ in 0..8 {
        gateway.client().connect("peer").await;
    }
    until("quiet", || gateway.descendants().is_empty() && gateway.homes().is_empty()).await;
    until("no connections", || connections(&gateway) == 0).await;
    let before = gateway.descriptors();
    let mut waiting = Vec::new();
    for n in 0..100 {
        let client = gateway.client();
        waiting.push(tokio::spawn(async move {
            let mut session = client.connect("peer").await;
            session.call("echo", json!({ "n": n })).await;
            // One in four leaves in the middle of a call, one in four has a child that dies first.
            match n % 4 {
                0 => drop(session.request("never", json!({})).await),
                1 => drop(session.request("exit", json!({})).await),
                _ => {}
            }
        }));
    }
    for one in waiting {
        one.await.unwrap();
    }
    until("no process and no zombie", || gateway.descendants().is_empty()).await;
    until("no directory", || gateway.homes().is_empty()).await;
    until("descriptors are back", || gateway.descriptors() <= before).await;
    gateway.until_active(0).await;
    // Idle means idle: under 1 % of a core over two seconds.
    let ticks = gateway.cpu_ticks();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(gateway.cpu_ticks() - ticks <= 2, "{} ticks in 2 s", gateway.cpu_ticks() - ticks);
}

/// Established connections of the gateway.
fn connections(gateway: &Gateway) -> usize {
    let port = gateway.address.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table
        .lines()
        .filter(|line| line.contains(&format!("0100007F:{port:04X} ")) && line.contains(" 01 "))
        .count()
}

#[tokio::test]
async fn children_do_not_survive_a_killed_gateway_and_the_next_one_tidies_up() {
    let mut gateway = Gateway::start("");
    let mut pids = Vec::new();
    let mut sessions = Vec::new();
    for server in ["peer", "other", "stubborn"] {
        let mut session = gateway.client().connect(server).await;
        pids.push(session.pid().await);
        sessions.push(session);
    }
    gateway.signal("KILL");
    gateway.wait();
    until("every child is gone", || pids.iter().all(|pid| !is_alive(*pid))).await;
    let place = gateway.take_place();
    assert_eq!(homes(place.path()).len(), 3, "a kill leaves directories");
    let next = Gateway::start_in(place, "", &[("LOCKGATE_SECRET", crate::gateway::SECRET)]);
    assert_eq!(next.homes(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_client_that_vanishes_while_its_server_starts_leaves_nothing() {
    let gateway = Gateway::start("");
    for _ in 0..50 {
        let request = gateway.client().get("/peer/sse").send();
        // Cancelled at some point between connect and the first event.
        let _ = tokio::time::timeout(Duration::from_micros(rand_micros()), request).await;
    }
    until("nothing is left", || gateway.descendants().is_empty() && gateway.homes().is_empty()).await;
    gateway.until_active(0).await;
}

fn rand_micros() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0) % 8000
}

#[tokio::test]
async fn a_connection_that_is_reset_or_half_closed_ends_its_session() {
    use tokio::io::AsyncWriteExt;
    let gateway = Gateway::start("");
    let get = request(&gateway.address, "GET", "/peer/sse", "");
    for reset in [true, false] {
        let mut stream = tokio::net::TcpStream::connect(&gateway.address).await.unwrap();
        stream.write_all(get.as_bytes()).await.unwrap();
        until("the child runs", || gateway.log().matches("server_started").count() == 2 - usize::from(reset))
            .await;
        if reset {
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            drop(stream);
        } else {
            stream.shutdown().await.unwrap();
        }
        until("nothing is left", || gateway.descendants().is_empty() && gateway.homes().is_empty()).await;
    }
}
