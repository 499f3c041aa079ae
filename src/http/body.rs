//! Request bodies.

use std::pin::Pin;

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_core::Stream;

use super::error::Refusal;

/// Bodies below this size get bytes of their own.
const SMALL: usize = 8 * 1024;

/// Reads a body that is within the limit, and no more than the limit of one that is not.
pub(super) async fn read(request: &HttpRequest, mut body: Payload, limit: usize) -> Result<Bytes, Refusal> {
    let too_large = || Refusal::TooLarge(bytesize::ByteSize(limit as u64));
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let announced: usize = announced.unwrap_or(0);
    if announced > limit {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    while let Some(piece) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
        let piece = piece.map_err(|_| Refusal::Broken)?;
        if whole.is_empty() && piece.len() == announced {
            // A small one would hold on to the whole buffer that it was read with.
            return Ok(if announced < SMALL { Bytes::copy_from_slice(&piece) } else { piece });
        }
        if whole.len() + piece.len() > limit {
            return Err(too_large());
        }
        whole.reserve(announced.saturating_sub(whole.len()).min(limit).max(piece.len()));
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}
