//! `[admin]`: where the operator looks in.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The admin listener.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Admin {
    /// Where it listens, if it is to.
    pub address: AdminAddress,
}

/// Where the admin listener is; an empty text in the settings switches it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum AdminAddress {
    /// Nowhere.
    Off,
    /// Here; port 0 takes a free one.
    At(SocketAddr),
}

impl TryFrom<String> for AdminAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| {
            format!("{text:?} is no address with a port, such as \"127.0.0.1:8001\"; \"\" switches it off")
        })
    }
}

impl From<AdminAddress> for String {
    fn from(address: AdminAddress) -> Self {
        match address {
            AdminAddress::Off => Self::new(),
            AdminAddress::At(address) => address.to_string(),
        }
    }
}
