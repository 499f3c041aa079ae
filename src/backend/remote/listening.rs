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
    /// The server knows the session no more.
    Forgotten,
}

/// How long a server is left alone that cannot be reached, at first and at most.
const PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// Listens, and takes the stream up again when it breaks off.
pub(super) async fn listen(peer: Arc<Peer>, url: Arc<Destination>, head: Head) -> Silence {
    let mut last: Option<String> = None;
    let mut was_open = false;
    let mut pause = PAUSE;
    loop {
        match peer.listen(&url, &head, last.as_deref()).await {
            Ok(response) if response.status().is_success() && Form::of(&response) == Form::Events => {
                was_open = true;
                let mut events = Events::new(&peer, response);
                loop {
                    match events.next().await {
                        Ok(Some(frames)) => {
                            pause = PAUSE;
                            // An answer belongs to the stream of its request.
                            let unasked =
                                frames.into_iter().filter(|f| !matches!(f.kind(), Kind::Response(_)));
                            for frame in unasked {
                                if peer.inbound.pass(frame).await.is_err() {
                                    return Silence::None;
                                }
                            }
                        }
                        Ok(None) | Err(Fault::Broken) => break,
                        Err(_) => return Silence::None,
                    }
                }
                last = events.last_id().map(str::to_owned).or(last);
                pause = pause.max(events.retry());
            }
            // Of a session that has only just begun, 404 says that there is no such stream: to begin it once more would
            // bring the same, for ever.
            Ok(response)
                if response.status() == StatusCode::NOT_FOUND && was_open && head.session.is_some() =>
            {
                return Silence::Forgotten;
            }
            Ok(response) if !response.status().is_server_error() => return Silence::None,
            Ok(_) | Err(_) => {}
        }
        sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}
