//! The HTTP clients: for each thread one of each [`Reach`] and [`Stay`].
//!
//! A connection lives on the runtime that made it, and a session on the worker that holds its stream, so clients
//! that are shared between threads would have each answer cross one more.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Client, ClientBuilder, StatusCode};
use rustls::crypto::{CryptoProvider, ring};
use tokio::runtime::{Handle, Id};

use super::address::{Reach, Resolver};
use super::unreachable::Unreachable;

/// What one thread has, for as long as it is on one runtime.
#[derive(Default)]
struct Clients {
    runtime: Option<Id>,
    made: Vec<((Reach, Stay), Client)>,
}

/// How long an answer may be under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stay {
    /// As long as its request takes.
    Short,
    /// As long as its session. So each has a connection of its own: of HTTP/2 there is one for each host, on which a
    /// server lets so many streams live, and sessions that only listen would keep all others from being answered.
    Long,
}

thread_local! {
    static CLIENTS: RefCell<Clients> = RefCell::default();
    /// Requests that share connections at present.
    static SHARING: Cell<usize> = const { Cell::new(0) };
}

/// How one request goes: on a connection that it shares, or on one of its own. Of HTTP/2 there is one connection for
/// each host, on which a server lets perhaps a hundred requests live; so when many take long, the next have their own
/// and nobody waits for others. For use on one thread.
#[derive(Debug)]
pub(super) struct Lane {
    stay: Stay,
}

/// Requests of one thread that share connections at once.
const MAX_SHARING: usize = 32;

/// Until there is a connection: the name, TCP and TLS together.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection is kept that nobody uses, and how many for one host.
const IDLE: Duration = Duration::from_secs(90);
const MAX_IDLE: usize = 32;
/// What HTTP/2 holds of one answer that nobody reads, in bytes. The connection's share is that of many answers, so
/// that one which is not read does not hold up the others, which may be other tenants'.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 128 * STREAM_WINDOW;
/// Redirects that are followed, one after the other.
const MAX_REDIRECTS: usize = 3;

/// This thread's client, made when it is first needed or on another runtime than before.
pub(super) fn of_thread(reach: Reach, stay: Stay) -> Result<Client, Unreachable> {
    let runtime = Handle::try_current().ok().map(|handle| handle.id());
    CLIENTS.with_borrow_mut(|clients| {
        if clients.runtime != runtime {
            *clients = Clients { runtime, ..Clients::default() };
        }
        if let Some((_, client)) = clients.made.iter().find(|(kind, _)| *kind == (reach, stay)) {
            return Ok(client.clone());
        }
        let client = make(reach, stay)?;
        clients.made.push(((reach, stay), client.clone()));
        Ok(client)
    })
}

impl Lane {
    /// For a request that is answered when it is done.
    pub(super) fn new() -> Self {
        let sharing = SHARING.get();
        if sharing >= MAX_SHARING {
            return Self { stay: Stay::Long };
        }
        SHARING.set(sharing + 1);
        Self { stay: Stay::Short }
    }

    /// For a request that stays.
    pub(super) fn own() -> Self {
        Self { stay: Stay::Long }
    }

    pub(super) fn stay(&self) -> Stay {
        self.stay
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if self.stay == Stay::Short {
            SHARING.set(SHARING.get().saturating_sub(1));
        }
    }
}

fn make(reach: Reach, stay: Stay) -> Result<Client, Unreachable> {
    builder(reach, stay).build().map_err(|error| Unreachable::of(&error))
}

/// What every HTTP client of this program is made of. A client knows of TLS, used or not, and wants to be told whose
/// arithmetic that has.
pub fn blank() -> ClientBuilder {
    if CryptoProvider::get_default().is_none() {
        // If another thread was faster, it has installed the same.
        let _ = ring::default_provider().install_default();
    }
    Client::builder()
}

fn builder(reach: Reach, stay: Stay) -> ClientBuilder {
    let builder = match stay {
        Stay::Short => blank(),
        Stay::Long => blank().http1_only(),
    };
    builder
        .user_agent(concat!("lockgate/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Resolver(reach))
        // A proxy would resolve names where we cannot look at the address.
        .no_proxy()
        .redirect(Policy::custom(redirected))
        .referer(false)
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(MAX_IDLE)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
}

/// A server may move within itself, if the request stays what it is (RFC 9110, sections 15.4.8 and 15.4.9). Any
/// other redirect is the caller's to make something of: it would carry a message, or a secret, elsewhere.
fn redirected(attempt: Attempt<'_>) -> Action {
    let stays = matches!(attempt.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    let asked = attempt.previous();
    let is_near = asked.last().is_some_and(|asked| asked.origin() == attempt.url().origin());
    if stays && is_near && asked.len() <= MAX_REDIRECTS { attempt.follow() } else { attempt.stop() }
}

#[cfg(test)]
mod tests;
