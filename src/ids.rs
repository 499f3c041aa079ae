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

const SESSION_ID_BYTES: usize = 32;

// === impl TenantId ===

impl TenantId {
    /// Takes a name as it stands in the settings.
    pub fn new(name: &str) -> Self {
        Self(name.into())
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
    fn debug_output_never_shows_the_id() {
        let id = SessionId::draw().unwrap();
        assert!(!format!("{id:?}").contains(id.reveal()));
    }
}
