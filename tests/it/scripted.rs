//! A remote server that does what a script says, down to the bytes, and records what reaches it.
//!
//! It has a thread of its own, so it goes on where a test waits for a process.

pub(crate) mod faults;
pub(crate) mod handshake;
pub(crate) mod legacy;
pub(crate) mod reply;
mod request;
pub(crate) mod rpc;
pub(crate) mod stateless;
mod tests;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

pub(crate) use reply::Reply;
pub(crate) use request::Request;

/// Longer than anything here takes; a test that would hang fails instead.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A listening socket and what has reached it. Dropping it ends every connection.
pub(crate) struct Remote {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    runtime: Option<Runtime>,
}

/// What has happened so far. A change is announced, so nobody needs to look again and again.
struct Seen {
    requests: Mutex<Vec<Arc<Request>>>,
    /// How many connections were made, and how many of them have ended.
    connections: Mutex<(u64, u64)>,
    changes: watch::Sender<u64>,
}

impl Seen {
    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

impl Remote {
    /// Answers each request as the script says.
    pub(crate) fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let seen = Arc::new(Seen {
            requests: Mutex::default(),
            connections: Mutex::default(),
            changes: watch::Sender::new(0),
        });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(accept(listener, seen.clone(), Arc::new(script)));
        Self { address, seen, runtime: Some(runtime) }
    }

    /// The endpoint as the settings name it.
    pub(crate) fn url(&self) -> String {
        self.at("/mcp")
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All requests so far, in the order in which they came.
    pub(crate) fn requests(&self) -> Vec<Arc<Request>> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// Those that carry this JSON-RPC method.
    pub(crate) fn of(&self, rpc: &str) -> Vec<Arc<Request>> {
        self.requests().into_iter().filter(|request| request.rpc() == rpc).collect()
    }

    /// Those of this HTTP method.
    pub(crate) fn by(&self, method: &str) -> Vec<Arc<Request>> {
        self.requests().into_iter().filter(|request| request.method == method).collect()
    }

    /// Connections that were ever made.
    pub(crate) fn connections(&self) -> u64 {
        self.seen.connections.lock().unwrap().0
    }

    /// Those that are open.
    pub(crate) fn open_connections(&self) -> u64 {
        let (made, ended) = *self.seen.connections.lock().unwrap();
        made - ended
    }

    /// Waits until this holds of what has happened.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let mut changes = self.seen.changes.subscribe();
        let waiting = async {
            loop {
                changes.mark_unchanged();
                if holds(self) {
                    return;
                }
                changes.changed().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "never came about: {what}; but {:#?}", self.requests());
    }

    /// Waits for the first request with this JSON-RPC method.
    pub(crate) async fn called(&self, rpc: &str) -> Arc<Request> {
        self.until(&format!("`{rpc}` is called"), |remote| !remote.of(rpc).is_empty()).await;
        self.of(rpc).remove(0)
    }

    /// Waits until whoever sent this request has closed its connection before the end of the answer.
    pub(crate) async fn left(&self, request: &Request) {
        self.until("who asked has left", |_| request.has_left()).await;
    }

    /// Ends the listener and every connection at once, as a process that is killed.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.kill();
    }
}

type Script = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

async fn accept(listener: std::net::TcpListener, seen: Arc<Seen>, script: Script) {
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let number = {
            let mut connections = seen.connections.lock().unwrap();
            connections.0 += 1;
            connections.0
        };
        seen.changed();
        tokio::spawn(serve(stream, number, seen.clone(), script.clone()));
    }
}

/// Answers the requests of one connection until either side ends it.
async fn serve(mut stream: TcpStream, connection: u64, seen: Arc<Seen>, script: Script) {
    let mut unread = Vec::new();
    while let Some(request) = Request::read(&mut stream, &mut unread, connection).await {
        let request = Arc::new(request);
        let reply = script(&request);
        // Not before: who waits for a request must not get in between it and what the script makes of it. What the
        // script sends elsewhere goes out on this thread, so after this.
        seen.requests.lock().unwrap().push(request.clone());
        seen.changed();
        let end = reply.play(&mut stream, &mut unread).await;
        if end == reply::End::Left {
            request.leave();
        }
        if end != reply::End::Whole {
            break;
        }
    }
    drop(stream);
    seen.connections.lock().unwrap().1 += 1;
    seen.changed();
}
