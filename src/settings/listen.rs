//! `[listen]`: where clients connect.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The public listener.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Listen {
    /// Address and port; port 0 takes a free one.
    pub address: SocketAddr,
    /// Prefix of every route, empty or beginning with `/` and not ending with it.
    pub base_path: String,
}

impl Listen {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let path = &self.base_path;
        let sound = path.is_empty()
            || path.starts_with('/')
                && !path.ends_with('/')
                && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.~".contains(&b));
        if sound {
            return Ok(());
        }
        Err((
            "listen.base_path",
            format!(
                "{path:?} must begin with \"/\", not end with it, and hold letters, digits and -_.~ only"
            ),
        ))
    }
}
