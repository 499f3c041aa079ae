//! What a form sends.

use std::time::Duration;

use actix_web::web::{Bytes, Payload};
use tokio::time::timeout;
use url::form_urlencoded;

/// The fields of a form, as they came.
#[derive(Debug)]
pub(super) struct Form(Bytes);

/// No form of ours is larger, in bytes.
const LIMIT: usize = 16 * 1024;
/// Forms are small, and whoever keeps one for itself keeps a connection with it.
const PATIENCE: Duration = Duration::from_secs(10);
/// The name of the field that has the login's token.
pub(super) const TOKEN: &str = "token";

impl Form {
    /// Reads a form; one that is too large, or does not come, is empty.
    pub(super) async fn read(body: Payload) -> Self {
        match timeout(PATIENCE, body.to_bytes_limited(LIMIT)).await {
            Ok(Ok(Ok(bytes))) => Self(bytes),
            _ => Self(Bytes::new()),
        }
    }

    /// What a field says; nothing, if it is not there.
    pub(super) fn field(&self, name: &str) -> String {
        let found = form_urlencoded::parse(&self.0).find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    }

    /// The login's token.
    pub(super) fn token(&self) -> String {
        self.field(TOKEN)
    }
}
