//! The stream beside all requests: what a remote server says unasked.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use tokio::time::sleep;

use super::destination::Destination;
use super::fault::Fault;
use super::reply::{Events, Form};
use super::request::{Head, Peer};
use crate::mcp::Kind;

/// Why the stream is not listened to any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// The server has none, or nobody listens.
    None,
    /// The server had one, and knows the session no more.
    Forgotten,
}

/// How long a server is left alone that cannot be reached, at first and at most.
const PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// Listens, and takes the stream up again when it breaks off.
pub(super) async fn listen(peer: Arc<Peer>, url: Arc<Destination>, head: Head) -> Silence {
    let server = peer.endpoint().server();
    let Some(_right) = peer.streams.try_right() else {
        tracing::warn!(%server, "a remote server is not listened to: this tenant has as many streams as it may have");
        return Silence::None;
    };
    let mut last: Option<String> = None;
    let mut pause = PAUSE;
    let mut had_one = false;
    loop {
        match peer.listen(&url, &head, last.as_deref()).await {
            Ok(response) if response.status().is_success() && Form::of(&response) == Form::Events => {
                had_one = true;
                let mut events = Events::new(&peer, response);
                match hear(&mut events, &mut pause).await {
                    Ok(()) => return Silence::None,
                    Err(Fault::Ended | Fault::Broken) => {}
                    Err(fault) => {
                        tracing::warn!(%server, %fault, "what a remote server says unasked is lost in part");
                    }
                }
                last = events.last_id().map(str::to_owned).or(last);
                pause = pause.max(events.retry());
            }
            // Many servers have no such stream, and say so by this status, too.
            Ok(response) if response.status() == StatusCode::NOT_FOUND && had_one => {
                return Silence::Forgotten;
            }
            Ok(response) if !response.status().is_server_error() => return Silence::None,
            Ok(_) | Err(_) => {}
        }
        sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// Takes what comes to the session, until that takes no more. An error is the end of the stream, or why it is of no
/// more use.
async fn hear(events: &mut Events, pause: &mut Duration) -> Result<(), Fault> {
    while let Some(arrived) = events.next().await? {
        *pause = PAUSE;
        // An answer belongs to the stream of its request.
        let unasked = arrived.pass(|frame| !matches!(frame.kind(), Kind::Response(_)));
        if unasked.await.is_err() {
            return Ok(());
        }
    }
    Err(Fault::Ended)
}
