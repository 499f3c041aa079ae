//! The listener and its workers.

use std::future::ready;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{ConnectionType, HttpService};
use actix_service::{Service as _, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::App;
use actix_web::dev::{AppConfig, RequestHead, Server, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
use actix_web::rt::net::TcpStream;
use socket2::{Domain, Socket, Type};
use tokio_util::either::Either;

use super::connection::{Answering, Attended, Connection, Course, KEEP_ALIVE, LINGER};
use super::connections::Crowded;
use super::lent::Lent;
use super::traced::{self, Series};
use super::worker::Side;
use super::{Front, error, routes};
use crate::cluster::DRAINING;

/// A bound socket that nobody serves yet.
#[derive(Debug)]
pub struct Listening {
    pub(super) listener: TcpListener,
    /// The same port of the other address family, where nobody is answered. Without it, a session could
    /// listen there and be taken for the gateway.
    pub(super) kept: Option<Socket>,
    /// The address, with the port that was free if none was asked for.
    pub address: SocketAddr,
}

/// What the kernel holds of a stream that is not read. Left to itself it grows to megabytes.
const SEND_BUFFER: usize = 256 * 1024;
/// At the listener of nodes, connections on which no node has been recognised. How many others there are is bounded by
/// those nodes' clients.
const STRANGERS: usize = 256;
/// How long responses may take once every session has ended.
pub(super) const LAST_RESPONSES: u64 = 2;

/// Takes the address, before anything else is started.
///
/// # Errors
/// If the address cannot be had.
pub fn bind(address: SocketAddr) -> io::Result<Listening> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    Ok(Listening { listener, kept: keep_sibling(address).ok(), address })
}

/// Takes the counterpart of an address that the other family has one for, if it is free.
fn keep_sibling(address: SocketAddr) -> io::Result<Socket> {
    let sibling: IpAddr = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv6Addr::UNSPECIFIED.into(),
        IpAddr::V4(Ipv4Addr::LOCALHOST) => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::LOCALHOST) => Ipv4Addr::LOCALHOST.into(),
        // `::` takes both already.
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    let sibling = SocketAddr::new(sibling, address.port());
    let socket = Socket::new(Domain::for_address(sibling), Type::STREAM, None)?;
    if sibling.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&sibling.into())?;
    Ok(socket)
}

/// Serves until the returned server is stopped by its handle. `stalled` is how long data may stay
/// unacknowledged before a connection counts as lost.
///
/// # Errors
/// If the listener cannot be used.
pub fn serve(listening: Listening, front: &Arc<Front>, stalled: Duration) -> io::Result<Server> {
    serve_side(listening, front, stalled, Side::Clients)
}

pub(super) fn serve_side(
    listening: Listening,
    front: &Arc<Front>,
    stalled: Duration,
    side: Side,
) -> io::Result<Server> {
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let builder = Server::build().workers(workers).disable_signals().shutdown_timeout(LAST_RESPONSES);
    let draining = builder.graceful_shutdown_signal();
    let front = front.clone();
    let kept = Arc::new(listening.kept);
    let server = builder.listen("http", listening.listener, move || {
        // For as long as connections are taken.
        let _ = &kept;
        let (door, front) = (front.clone(), front.clone());
        let draining = draining.clone();
        let http = attended(app(&front, side), side.head_timeout(), move || {
            let draining = draining.clone();
            async move { draining.notified().await }
        });
        let lent = Rc::new(Lent::new(STRANGERS));
        let enter = move |socket| {
            ready(match side {
                Side::Clients => enter(&door, socket, stalled),
                Side::Nodes => lent.enter(socket, stalled),
            })
        };
        fn_service(enter).and_then(http).map_err(drop)
    })?;
    Ok(server.run())
}

/// HTTP/1.1 on connections that are attended to, answered by this. `draining` resolves once there is to be no further
/// request.
pub(super) fn attended<T, D>(
    app: App<T>,
    head_timeout: Duration,
    draining: impl Fn() -> D + 'static,
) -> impl ServiceFactory<
    (Connection, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
>
where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<Attended>,
            Error = actix_web::Error,
            InitError = (),
        > + 'static,
    D: Future<Output = ()> + 'static,
{
    HttpService::build()
        .graceful_shutdown_signal(draining)
        // A client that closes its end of a stream is gone; else it would go unnoticed until the next write.
        .h1_allow_half_closed(false)
        .client_request_timeout(head_timeout)
        .client_disconnect_timeout(LINGER)
        .keep_alive(KEEP_ALIVE)
        .on_connect_ext(|connection: &Connection, data| drop(data.insert(connection.course().clone())))
        .h1(map_config(app, |()| AppConfig::default()))
}

/// What answers requests, with what every one of them goes through first.
fn app(
    front: &Arc<Front>,
    side: Side,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<Attended>,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    let series = Rc::new(Series::draw());
    let (front, tells_drain) = (front.clone(), side == Side::Nodes);
    App::new().configure(routes(&front, side)).wrap_fn(move |request, routes| {
        let front = front.clone();
        let cause = series.next(&request);
        let answering = request.conn_data::<Rc<Course>>().map(Course::begin);
        let version = request.version();
        let is_chunked = request.headers().contains_key(TRANSFER_ENCODING);
        let answer = if names_other_host(request.head()) {
            Either::Left(ready(Ok(request.into_response(error::other_host()))))
        } else {
            Either::Right(routes.call(request))
        };
        cause.clone().scope(async move {
            let mut response = answer.await?;
            traced::respond(&cause, response.response_mut());
            let head = response.response_mut().head_mut();
            // Heads are used again, with the version of whoever was answered last: of HTTP/1.0, none would stay open.
            head.version = version;
            // What may be left of the body has no end that could be waited for.
            if is_chunked && !head.status.is_success() {
                head.set_connection_type(ConnectionType::Close);
            }
            if tells_drain && front.policy().sessions.is_draining() {
                head.headers_mut().insert(HeaderName::from_static(DRAINING), HeaderValue::from_static("yes"));
            }
            if head.connection_type() == ConnectionType::Close {
                answering.iter().for_each(Answering::is_last);
            }
            Ok(response.map_body(|_, body| Attended { body, _answering: answering, _cause: Some(cause) }))
        })
    })
}

/// A target in absolute form would go before the `Host` header (RFC 9112 section 3.2.2), by which everything
/// here goes; so they must agree.
fn names_other_host(head: &RequestHead) -> bool {
    let host = head.headers().get(HOST).map(|value| value.as_bytes());
    head.uri
        .authority()
        .is_some_and(|named| !host.is_some_and(|host| host.eq_ignore_ascii_case(named.as_str().as_bytes())))
}

/// Lets a connection in, if there is a place for it.
fn enter(
    front: &Front,
    socket: TcpStream,
    stalled: Duration,
) -> Result<(Connection, Option<SocketAddr>), DispatchError> {
    let peer = socket.peer_addr()?;
    match front.connections.place(front.policy().gate.connecting(peer.ip())) {
        Ok(place) => {
            prepare(&socket, stalled);
            Ok((Connection::new(socket, Some(place)), Some(peer)))
        }
        Err(crowded) => {
            turn_away(&socket, crowded);
            Err(io::Error::from(io::ErrorKind::ConnectionRefused).into())
        }
    }
}

/// A peer that vanished without a word is noticed by what it does not acknowledge; heartbeats see to it
/// that there is something.
pub(super) fn prepare(socket: &TcpStream, stalled: Duration) {
    // Small messages must not wait for the acknowledgement of the one before.
    let _ = socket.set_nodelay(true);
    let socket = socket2::SockRef::from(socket);
    let _ = socket.set_tcp_user_timeout(Some(stalled));
    let _ = socket.set_send_buffer_size(SEND_BUFFER);
}

/// Says why, as far as that goes without waiting.
fn turn_away(socket: &TcpStream, crowded: Crowded) {
    let socket = socket2::SockRef::from(socket);
    let _ = socket.send(error::turned_away(crowded).as_bytes());
    let _ = socket.shutdown(Shutdown::Write);
}
