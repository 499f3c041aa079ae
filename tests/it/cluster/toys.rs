//! The front ends by themselves, in front of toys: nodes that tell what they were asked, and ask for a replay where the
//! client wishes it. What is to prove the gateway must be right itself.

use std::thread::JoinHandle;

use reqwest::Response;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::front::{Front, Way};
use super::nodes::{Cluster, Node, Plan};
use super::proxy::{Kind, Proxy};
use super::talk::SOON;
use super::wire::{Body, Head, Line, read_whole};

/// A node that is none.
struct Toy {
    thread: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Toy {
    /// On the machine of this node, whose place it takes.
    fn start(node: &Node) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (listens, listening) = std::sync::mpsc::channel();
        let name = node.name.clone();
        let address = node.address();
        std::thread::scope(|scope| {
            let starting = scope.spawn(move || {
                node.machine.enter();
                // It stays where the thread is that has started it.
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(async {
                        let listener = TcpListener::bind(address).await.unwrap();
                        listens.send(()).unwrap();
                        tokio::select! {
                            () = listen(listener, name) => {}
                            _ = stopped => {}
                        }
                    });
                })
            });
            let thread = starting.join().unwrap();
            listening.recv().unwrap();
            Self { thread: Some(thread), stop: Some(stop) }
        })
    }

    fn all(cluster: &Cluster) -> Vec<Self> {
        cluster.nodes.iter().map(Self::start).collect()
    }
}

impl Drop for Toy {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().unwrap().join();
    }
}

async fn listen(listener: TcpListener, name: String) {
    while let Ok((stream, _)) = listener.accept().await {
        let (mut line, name) = (Line::new(stream), name.clone());
        tokio::spawn(async move { while let Ok(true) = answer(&mut line, &name).await {} });
    }
}

/// Answers a request with its own head, or with the wish for a replay; whether there was one.
async fn answer(line: &mut Line, name: &str) -> std::io::Result<bool> {
    let Some(head) = Head::read(line).await? else { return Ok(false) };
    let length = match head.body_of_request() {
        Body::Length(length) => read_whole(line, length).await?.len(),
        _ => 0,
    };
    let is_new = head.header("fly-replay-src").is_none() && head.header("fly-replay-failed").is_none();
    let wish = head.header("x-wish").filter(|_| is_new || head.header("x-insists").is_some());
    let text = if wish.is_some() { Vec::new() } else { head.bytes() };
    let mut answer = Head::answer("200 OK", text.len());
    answer.set("x-node", name);
    answer.set("x-length", &length.to_string());
    if let Some(wish) = wish {
        answer.set("fly-replay", wish);
    }
    line.write_all(&answer.bytes()).await?;
    line.write_all(&text).await?;
    Ok(true)
}

/// Asks with these headers and this body.
async fn ask(base: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
    let client = crate::client::http().pool_max_idle_per_host(0).build().unwrap();
    let mut request = client.post(format!("{base}{path}")).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

fn node(response: &Response) -> &str {
    response.headers()["x-node"].to_str().unwrap()
}

fn on_machines(test: impl AsyncFnOnce(&mut Cluster) + Send) {
    Cluster::run_machines(&Plan::of("none"), test);
}

#[test]
fn a_replay_reaches_the_instance_with_its_body_and_its_state() {
    on_machines(async |cluster| {
        let _toys = Toy::all(cluster);
        let front = Front::start(Way::Fly, cluster).await;
        let body = "x".repeat(900_000);
        let wish = [("x-wish", "instance=n3;state=abc;timeout=800ms;fallback=force_self")];
        let response = ask(&front.base, "/", &wish, &body).await;
        assert_eq!((node(&response), response.headers()["x-length"].to_str().unwrap()), ("n3", "900000"));
        let head = response.text().await.unwrap();
        assert!(head.contains("fly-replay-src: instance=n1;region=test;t="), "{head}");
        assert!(head.contains(";state=abc\r\n") && head.contains("fly-client-ip: 10.77.0.1\r\n"), "{head}");
        assert_eq!(front.replays(), 1);
        front.is_content();
    });
}

#[test]
fn an_instance_that_cannot_be_reached_falls_back_on_the_issuer_which_is_told_why() {
    on_machines(async |cluster| {
        let toys: Vec<_> = cluster.nodes[..2].iter().map(Toy::start).collect();
        let front = Front::start(Way::Fly, cluster).await;
        cluster.part_from_front(1);
        for (instance, reason) in [("n9", "no_candidate"), ("n3", "retries_exhausted"), ("n2", "timeout")] {
            let wish = format!("instance={instance};timeout=300ms;fallback=force_self");
            let response = timeout(SOON * 3, ask(&front.base, "/", &[("x-wish", &wish)], "")).await.unwrap();
            assert_eq!(node(&response), "n1", "the only one that can be reached");
            let head = response.text().await.unwrap();
            let wanted = format!("fly-replay-failed: instance={instance};");
            assert!(head.contains(&wanted) && head.contains(&format!(";reason={reason};")), "{head}");
        }
        front.is_content();
        drop(toys);
    });
}

#[test]
fn what_flys_proxy_does_not_do_is_a_fault() {
    on_machines(async |cluster| {
        let _toys = Toy::all(cluster);
        let wish = "instance=n3;fallback=force_self";
        let large = "x".repeat(1_000_000);
        for (way, headers, body, reason) in [
            (Way::Fly, vec![("x-wish", wish)], large.as_str(), "more than 1000000 bytes"),
            (Way::Fly, vec![("x-wish", wish), ("x-insists", "yes")], "", "second replay"),
            (
                Way::Fly,
                vec![("x-wish", "instance=n9;fallback=force_self"), ("x-insists", "yes")],
                "",
                "second",
            ),
            (Way::Fly, vec![("x-wish", "machine=n3")], "", "machine=n3"),
            (Way::Turns, vec![("x-wish", wish)], "", "no Fly.io"),
        ] {
            let front = Front::start(way, cluster).await;
            let response = ask(&front.base, "/", &headers, body).await;
            assert_eq!(response.status(), 502, "{reason}");
            assert!(response.text().await.unwrap().contains(reason), "{reason}");
            let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| front.is_content()));
            assert!(judged.is_err(), "{reason}");
        }
    });
}

#[test]
fn each_request_goes_to_the_next_node_that_can_be_reached() {
    on_machines(async |cluster| {
        let mut toys = Toy::all(cluster);
        let front = Front::start(Way::Turns, cluster).await;
        for wanted in ["n1", "n2", "n3", "n1"] {
            assert_eq!(node(&ask(&front.base, "/", &[], "").await), wanted);
        }
        toys.remove(1);
        for wanted in ["n3", "n3", "n1", "n3"] {
            assert_eq!(node(&ask(&front.base, "/", &[], "").await), wanted);
        }
    });
}

/// docs/haproxy.cfg and docs/nginx.conf.
#[test]
fn proxies_find_the_node_that_an_id_names_and_spread_the_rest() {
    for kind in [Kind::HaProxy, Kind::Nginx] {
        on_machines(async |cluster| {
            let mut toys = Toy::all(cluster);
            let Some(proxy) = Proxy::start(kind, cluster).await else { return };
            for name in ["n2", "n3", "n1", "n2"] {
                let id = format!("{name}.abc");
                let by_header = ask(&proxy.base, "/peer/mcp", &[("mcp-session-id", &id)], "{}").await;
                assert_eq!(node(&by_header), name, "{kind:?}");
                for parameter in ["sessionId", "session_id"] {
                    let path = format!("/peer/message?{parameter}={id}");
                    assert_eq!(node(&ask(&proxy.base, &path, &[], "{}").await), name, "{kind:?} {path}");
                }
            }
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..6 {
                seen.insert(node(&ask(&proxy.base, "/peer/mcp", &[], "{}").await).to_owned());
            }
            assert_eq!(seen.len(), 3, "{kind:?}");
            // Of nodes that nobody knows or that are gone, another knows no such session.
            toys.remove(1);
            for id in ["n9.abc", "n2.abc", "abc"] {
                let response = ask(&proxy.base, "/peer/mcp", &[("mcp-session-id", id)], "{}").await;
                assert_eq!(response.status(), 200, "{kind:?} {id}");
                assert_ne!(node(&response), "n2", "{kind:?} {id}");
            }
        });
    }
}
