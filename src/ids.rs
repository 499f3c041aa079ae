//! Names that travel through every layer. Each is parsed or made here and nowhere else, so a value of
//! one of these types is well-formed wherever it turns up.

mod key;
mod node;
mod session_id;

use std::fmt;
use std::sync::Arc;

pub use self::key::Key;
pub use self::node::NodeId;
pub use self::session_id::{Mint, SessionId};

/// Whom a bearer secret belongs to: the key of a `[tenants.*]` table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

/// The short name of an allowlisted server: the key of a `[servers.*]` table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerName(Arc<str>);

/// Draws 256 bits for a key that nobody else knows, from the operating system's generator.
///
/// # Errors
/// When the generator cannot be read.
pub fn draw_key() -> Result<[u8; 32], getrandom::Error> {
    let mut bits = [0u8; 32];
    getrandom::fill(&mut bits)?;
    Ok(bits)
}

/// Eight hexadecimal digits derived from a [`SessionId`], for logs and messages. Reveals nothing of the id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionTag([u8; 4]);

/// What the log knows a request by, and its client: `X-Request-Id`. The client's own word for it, or ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestTag(Arc<str>);

/// A longer word of a client is not taken.
const MAX_REQUEST_TAG: usize = 64;

// === impl TenantId ===

impl TenantId {
    /// Takes a name as it stands in the settings.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl ServerName ===

impl ServerName {
    /// Takes a name as it stands in the settings.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl SessionTag ===

impl fmt::Display for SessionTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// === impl RequestTag ===

impl RequestTag {
    /// Takes a client's: 1 to 64 letters, digits and `._-`. Nothing that could be the id of a session, which no log
    /// may hold.
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let fits = (1..=MAX_REQUEST_TAG).contains(&text.len()) && text.bytes().all(is_plain);
        (fits && SessionId::parse(text).is_none()).then(|| Self(text.into()))
    }

    /// One of ours; `series` tells those apart who count.
    pub fn numbered(series: u32, number: u64) -> Self {
        Self(format!("{series:08x}-{number}").into())
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_tag_is_harmless_in_a_header_and_in_a_log() {
        for text in
            ["1", "a.b_c-D", &"x".repeat(64), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"]
        {
            assert_eq!(RequestTag::parse(text).unwrap().as_str(), text);
        }
        let id = Mint::default().draw().unwrap();
        for text in ["", " ", "a b", "a\nb", "\"", "é", "a:b", &"x".repeat(65), id.reveal()] {
            assert_eq!(RequestTag::parse(text), None, "{text}");
        }
        let own = RequestTag::numbered(0xab, 12);
        assert_eq!(RequestTag::parse(own.as_str()), Some(own));
    }
}
