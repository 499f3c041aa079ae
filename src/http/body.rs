//! Request bodies: how large, how slow, and how many at once.

use std::pin::Pin;
use std::time::Duration;

use actix_web::http::header::{CONTENT_LENGTH, HeaderMap};
use actix_web::web::{Bytes, BytesMut, Payload};
use bytesize::ByteSize;
use futures_core::Stream;
use tokio::time::{Instant, timeout_at};

use super::error::Refusal;
use super::in_flight::{Held, InFlight};
use crate::ids::TenantId;
use crate::settings::Settings;

/// Bodies below this size get bytes of their own.
const SMALL: usize = 8 * 1024;
/// So many bytes give a body another second.
const PER_SECOND: usize = 64 * 1024;

/// What bodies may take.
#[derive(Debug)]
pub struct Bodies {
    /// The largest, in bytes.
    limit: usize,
    /// How long one may take that does not come.
    patience: Duration,
    in_flight: InFlight,
}

/// A whole body. Its bytes count as on their way until `held` is dropped: that is for whoever passes them on.
pub(super) struct Body {
    pub(super) bytes: Bytes,
    pub(super) held: Held,
}

impl Bodies {
    /// As the settings have it.
    pub fn new(settings: &Settings) -> Self {
        Self::bounded(settings, InFlight::new)
    }

    /// As other settings have it. What is being read is read on as before, and counts.
    pub fn renewed(&self, settings: &Settings) -> Self {
        Self::bounded(settings, |all, message| self.in_flight.renewed(all, message))
    }

    /// Bytes of larger ones that are on their way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.taken()
    }

    fn bounded(settings: &Settings, in_flight: impl FnOnce(usize, usize) -> InFlight) -> Self {
        let bytes = |size: ByteSize| usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
        let limit = bytes(settings.limits.message);
        let in_flight = in_flight(bytes(settings.limits.in_flight), limit);
        Self { limit, patience: settings.timeouts.body, in_flight }
    }

    /// Reads a body that is within the limit, and no more than the limit of one that is not.
    pub(super) async fn read(
        &self,
        headers: &HeaderMap,
        mut body: Payload,
        tenant: &TenantId,
    ) -> Result<Body, Refusal> {
        let too_large = || Refusal::TooLarge(ByteSize(self.limit as u64));
        let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let announced: usize = announced.unwrap_or(0);
        if announced > self.limit {
            return Err(too_large());
        }
        let mut held = Held::default();
        // Small ones are bounded by the number of connections, and need no lock that all share.
        if announced >= SMALL {
            self.in_flight.grow(&mut held, tenant, announced)?;
        }
        let begun = Instant::now();
        let mut whole = BytesMut::new();
        loop {
            let next = std::future::poll_fn(|cx| Pin::new(&mut body).poll_next(cx));
            let until = begun + self.patience + earned(whole.len());
            let Some(piece) = timeout_at(until, next).await.map_err(|_| Refusal::Slow)? else { break };
            let piece = piece.map_err(|_| Refusal::Broken)?;
            if whole.is_empty() && piece.len() == announced {
                // A small one would hold on to the whole buffer that it was read with.
                let bytes = if announced < SMALL { Bytes::copy_from_slice(&piece) } else { piece };
                return Ok(Body { bytes, held });
            }
            if whole.len() + piece.len() > self.limit {
                return Err(too_large());
            }
            if whole.len() + piece.len() >= SMALL {
                self.in_flight.grow(&mut held, tenant, whole.len() + piece.len())?;
            }
            whole.reserve(announced.saturating_sub(whole.len()).min(self.limit).max(piece.len()));
            whole.extend_from_slice(&piece);
        }
        Ok(Body { bytes: whole.freeze(), held })
    }
}

/// The time that what has come is worth.
fn earned(bytes: usize) -> Duration {
    Duration::from_secs((bytes / PER_SECOND) as u64)
}
