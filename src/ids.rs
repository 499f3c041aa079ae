//! Names that travel through every layer. Each is parsed or made here and nowhere else, so a value of
//! one of these types is well-formed wherever it turns up.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Whom a bearer secret belongs to: the key of a `[tenants.*]` table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

/// The short name of an allowlisted server: the key of a `[servers.*]` table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerName(Arc<str>);

/// What identifies a session on the wire: 256 random bits, base64url without padding (43 characters).
///
/// It is a capability, so it has no `Display`; logs and messages show its [`SessionTag`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionId(Arc<str>);

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

const SESSION_ID_BYTES: usize = 32;
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

// === impl SessionId ===

impl SessionId {
    /// Draws a new id from the operating system's generator.
    ///
    /// # Errors
    /// When the generator cannot be read, which leaves no safe way to open a session.
    pub fn draw() -> Result<Self, getrandom::Error> {
        let mut bits = [0u8; SESSION_ID_BYTES];
        getrandom::fill(&mut bits)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bits).into()))
    }

    /// Reads an id from a request; `None` if it cannot be one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let bits = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bits.len() == SESSION_ID_BYTES).then(|| Self(text.into()))
    }

    /// The id as it goes over the wire, to its owner only.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The short form for logs and messages.
    pub fn tag(&self) -> SessionTag {
        let digest = Sha256::digest(self.0.as_bytes());
        SessionTag([digest[0], digest[1], digest[2], digest[3]])
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({})", self.tag())
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
    fn session_ids_differ_and_survive_the_wire() {
        let (one, two) = (SessionId::draw().unwrap(), SessionId::draw().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.reveal().len(), 43);
        assert_eq!(SessionId::parse(one.reveal()), Some(one));
    }

    #[test]
    fn foreign_text_is_no_session_id() {
        let padded = format!("{}=", SessionId::draw().unwrap().reveal());
        for text in ["", "1", "../../etc/passwd", &"A".repeat(44), &"é".repeat(22), &padded] {
            assert_eq!(SessionId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_request_tag_is_harmless_in_a_header_and_in_a_log() {
        for text in
            ["1", "a.b_c-D", &"x".repeat(64), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"]
        {
            assert_eq!(RequestTag::parse(text).unwrap().as_str(), text);
        }
        let id = SessionId::draw().unwrap();
        for text in ["", " ", "a b", "a\nb", "\"", "é", "a:b", &"x".repeat(65), id.reveal()] {
            assert_eq!(RequestTag::parse(text), None, "{text}");
        }
        let own = RequestTag::numbered(0xab, 12);
        assert_eq!(RequestTag::parse(own.as_str()), Some(own));
    }

    #[test]
    fn debug_output_never_shows_the_id() {
        let id = SessionId::draw().unwrap();
        assert!(!format!("{id:?}").contains(id.reveal()));
    }
}
