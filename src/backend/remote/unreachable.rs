//! Why a remote server did not answer.

use std::error::Error;
use std::io;
use std::sync::Arc;

use super::address::{Forbidden, Unresolved};

/// Why a request got no answer, or half of one. Shown, it is for the log; no variant holds a URL, which may hold
/// a secret.
#[derive(Clone, Debug, thiserror::Error)]
pub(in crate::backend) enum Unreachable {
    /// No server may be where it is. Nothing was sent.
    #[error("no connection is made to it: {0}")]
    Forbidden(#[from] Forbidden),
    /// Its name has no address.
    #[error("its name could not be resolved: {0}")]
    Unresolved(Arc<str>),
    /// Nobody listens, or it takes longer than we wait.
    #[error("no connection could be made to it: {0}")]
    Unconnected(Arc<str>),
    /// There is no TLS with it, mostly because of its certificate. Nothing was sent.
    #[error(
        "no safe connection could be made to it: {0}; is its certificate from an authority that this host trusts?"
    )]
    Untrusted(Arc<str>),
    /// It took longer than the request may.
    #[error("it did not answer in time")]
    Slow,
    /// What it sent was no HTTP, or ended too early.
    #[error("the connection to it broke: {0}")]
    Broken(Arc<str>),
    /// It is the host that lacks something.
    #[error("this host has no HTTPS: {0}; install its certificate authorities (ca-certificates)")]
    Unequipped(Arc<str>),
}

impl Unreachable {
    /// What a request or the reading of an answer failed by.
    pub(in crate::backend) fn of(error: &reqwest::Error) -> Self {
        if let Some(known) = causes(error).find_map(known) {
            return known;
        }
        let last: Arc<str> = causes(error).last().map(ToString::to_string).unwrap_or_default().into();
        match error {
            _ if error.is_builder() => Self::Unequipped(last),
            _ if error.is_connect() => Self::Unconnected(last),
            _ if error.is_timeout() => Self::Slow,
            _ => Self::Broken(last),
        }
    }
}

/// The error and what it comes from. The text of the first holds the URL; the last is nearest to the cause.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

fn known(cause: &(dyn Error + 'static)) -> Option<Unreachable> {
    if let Some(forbidden) = cause.downcast_ref::<Forbidden>() {
        return Some((*forbidden).into());
    }
    if let Some(unresolved) = cause.downcast_ref::<Unresolved>() {
        return Some(Unreachable::Unresolved(unresolved.to_string().into()));
    }
    tls(cause).map(|error| Unreachable::Untrusted(error.to_string().into()))
}

/// An I/O error's source is not what it wraps, but the source of that.
fn tls<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    cause.downcast_ref().or_else(|| tls(cause.downcast_ref::<io::Error>()?.get_ref()?))
}
