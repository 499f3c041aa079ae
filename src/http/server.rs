//! The listener and its workers.

use std::any::Any;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Extensions, Server};
use actix_web::rt::net::TcpStream;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer};

use super::admin::{self, Admin};
use super::{Front, routes};

/// A bound socket that nobody serves yet.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    /// The address, with the port that was free if none was asked for.
    pub address: SocketAddr,
}

/// Request heads that take longer are cut off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle connections between requests.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// What the kernel holds of a stream that is not read. Left to itself it grows to megabytes.
const SEND_BUFFER: usize = 256 * 1024;
/// How long responses may take once every session has ended.
const LAST_RESPONSES: u64 = 2;

/// Takes the address, before anything else is started.
///
/// # Errors
/// If the address cannot be had.
pub fn bind(address: SocketAddr) -> io::Result<Listening> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    Ok(Listening { listener, address })
}

/// Serves until the returned server is stopped by its handle. `stalled` is how long data may stay
/// unacknowledged before a connection counts as lost.
///
/// # Errors
/// If the listener cannot be used.
pub fn serve(listening: Listening, front: &Arc<Front>, stalled: Duration) -> io::Result<Server> {
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    run(listening, routes(front), workers, stalled)
}

/// As [`serve`], for the operator, whom one worker is enough for.
///
/// # Errors
/// If the listener cannot be used.
pub fn serve_admin(listening: Listening, admin: &Arc<Admin>, stalled: Duration) -> io::Result<Server> {
    run(listening, admin::routes(admin), 1, stalled)
}

fn run(
    listening: Listening,
    routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    workers: usize,
    stalled: Duration,
) -> io::Result<Server> {
    let server = HttpServer::new(move || App::new().configure(routes.clone()))
        .workers(workers)
        .disable_signals()
        // A client that closes its end of a stream is gone; else it would go unnoticed until the next write.
        .h1_allow_half_closed(false)
        // Small messages must not wait for the acknowledgement of the one before.
        .tcp_nodelay(true)
        .client_request_timeout(HEAD_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(LAST_RESPONSES)
        .on_connect(move |connection, _: &mut Extensions| prepare(connection, stalled))
        .listen(listening.listener)?;
    Ok(server.run())
}

/// A peer that vanished without a word is noticed by what it does not acknowledge; heartbeats see to it
/// that there is something.
fn prepare(connection: &dyn Any, stalled: Duration) {
    if let Some(stream) = connection.downcast_ref::<TcpStream>() {
        let socket = socket2::SockRef::from(stream);
        let _ = socket.set_tcp_user_timeout(Some(stalled));
        let _ = socket.set_send_buffer_size(SEND_BUFFER);
    }
}
