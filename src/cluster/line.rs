//! How requests are passed on to other nodes: HTTP/1.1 over the private network.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// Connections to other nodes. Of one thread: a connection lives on the runtime that made it.
#[derive(Clone, Debug)]
pub struct Line(Client<HttpConnector, Full<Bytes>>);

/// Why there is no answer of another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPassedOn {
    /// Nobody is there. It has got nothing.
    Gone,
    /// The node has ended, and what it had with it. It may have got the request.
    Ended,
    /// The connection broke. It may have got the request.
    Broken,
}

/// The body of an answer, as it comes.
#[derive(Debug)]
pub struct Passing(Incoming);

/// Until there is a connection: a node that is gone is told as such within a second.
const CONNECT: Duration = Duration::from_millis(500);
/// Idle connections. Less than the other end keeps them.
const IDLE: Duration = Duration::from_secs(60);
/// How long the other machine may leave without acknowledgement what was sent there, before it counts as lost: one that
/// has ended says so, one that has fallen silent does not.
const SILENT: Duration = Duration::from_secs(2);
/// After so long without a word it is asked for an acknowledgement, and then as often.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// What is read at once, in bytes.
const MAX_WHOLE: usize = 64 * 1024;

impl Line {
    /// No connections yet.
    pub fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        connector.set_keepalive(Some(KEEPALIVE));
        connector.set_keepalive_interval(Some(KEEPALIVE));
        connector.set_tcp_user_timeout(Some(SILENT));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Self(client)
    }

    /// Passes a request on, whose URI is a path and a query, byte by byte.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn pass(
        &self,
        to: SocketAddr,
        request: Request<Bytes>,
    ) -> Result<Response<Passing>, NotPassedOn> {
        let (mut head, body) = request.into_parts();
        head.uri = absolute(to, head.uri.path_and_query()).ok_or(NotPassedOn::Broken)?;
        match self.0.request(Request::from_parts(head, Full::new(body))).await {
            Ok(answer) => Ok(answer.map(Passing)),
            Err(error) if error.is_connect() => Err(NotPassedOn::Gone),
            Err(_) => Err(NotPassedOn::Broken),
        }
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

fn absolute(to: SocketAddr, target: Option<&PathAndQuery>) -> Option<Uri> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(Authority::try_from(to.to_string()).ok()?);
    parts.path_and_query = Some(target?.clone());
    Uri::from_parts(parts).ok()
}

impl Passing {
    /// All of a short one.
    ///
    /// # Errors
    /// If it breaks off, or is not short.
    pub(super) async fn whole(self) -> Result<Bytes, NotPassedOn> {
        let body = Limited::new(self.0, MAX_WHOLE).collect().await;
        Ok(body.map_err(|_| NotPassedOn::Broken)?.to_bytes())
    }

    /// How many bytes there are, if that is known.
    pub fn length(&self) -> Option<u64> {
        self.0.size_hint().exact()
    }
}

impl Stream for Passing {
    type Item = Result<Bytes, NotPassedOn>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match std::task::ready!(Pin::new(&mut self.0).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(_)) => return Poll::Ready(Some(Err(NotPassedOn::Broken))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }
}
