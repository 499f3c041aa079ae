//! How a gateway ends: what asks it to, in which order its parts stop, and what it has come to.

use std::future::poll_fn;
use std::process::ExitCode;
use std::task::Poll;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::cluster::Joined;
use super::look_in::LookingIn;
use crate::settings::Settings;

/// How a gateway came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should: drained, nothing left.
    Stopped,
    /// A second signal, of this number, cut the drain short.
    Forced(i32),
    /// The listener failed, or something would not end.
    Failed,
}

/// What asks a gateway to stop.
pub(super) struct Signals(Vec<(Signal, i32)>);

impl Signals {
    pub(super) fn listen(hangup_too: bool) -> std::io::Result<Self> {
        let mut kinds = vec![SignalKind::terminate(), SignalKind::interrupt()];
        kinds.extend(hangup_too.then(SignalKind::hangup));
        let listen = |kind: SignalKind| Ok((signal(kind)?, kind.as_raw_value()));
        kinds.into_iter().map(listen).collect::<std::io::Result<_>>().map(Self)
    }

    pub(super) async fn next(&mut self) -> i32 {
        poll_fn(|cx| {
            let came =
                |(signal, number): &mut (Signal, i32)| signal.poll_recv(cx).is_ready().then_some(*number);
            self.0.iter_mut().find_map(came).map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

impl From<Outcome> for ExitCode {
    /// 0 for a stop, 1 for a failure, 128 and the signal for a forced end.
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Stopped => Self::SUCCESS,
            Outcome::Failed => Self::FAILURE,
            Outcome::Forced(number) => Self::from(128u8.saturating_add(u8::try_from(number).unwrap_or(0))),
        }
    }
}

/// How long sessions are kept that there are when the drain begins: three quarters of it where others take the new
/// ones meanwhile. Who is alone ends as soon as nothing is open.
pub(super) fn kept(settings: &Settings) -> Duration {
    if settings.cluster.has_others() { settings.timeouts.drain * 3 / 4 } else { Duration::ZERO }
}

/// Sessions first: their tasks live on the workers. Then the workers, which have nothing left to do, and who has
/// looked on.
pub(super) async fn stop(
    drained: impl Future<Output = bool>,
    server: Server,
    handle: ServerHandle,
    joined: Option<Joined>,
    looking_in: Option<LookingIn>,
) -> bool {
    let serving = async {
        let _ = server.await;
    };
    let stopping = async {
        let gone = drained.await;
        // Whose clients are answered by other nodes hear the end of it, too.
        if let Some(joined) = joined {
            joined.end().await;
        }
        handle.stop(true).await;
        if let Some(looking_in) = looking_in {
            looking_in.end().await;
        }
        gone
    };
    tokio::join!(serving, stopping).1
}
