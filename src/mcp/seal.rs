//! Tokens that go to a client and must come back unchanged.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Makes tokens that nobody else can make, and tells them from others. The key is drawn where a session is opened, so
/// that a token is of use in that session only.
#[derive(Clone)]
pub struct Seal {
    key: Hmac<Sha256>,
    /// Leads who brings a token back to where it was made.
    mark: String,
}

impl Seal {
    /// With 256 random bits.
    pub fn new(key: [u8; 32]) -> Self {
        // A key of HMAC is filled up with zeros to a block of its hash (RFC 2104, section 2).
        let mut block = [0; 64];
        block[..key.len()].copy_from_slice(&key);
        Self { key: Hmac::new(&block.into()), mark: String::new() }
    }

    /// Whose tokens begin with this, for whoever has to tell where they were made.
    #[must_use]
    pub fn marked(self, mark: String) -> Self {
        Self { mark, ..self }
    }

    /// A token for a text.
    pub(super) fn token(&self, text: &str) -> String {
        let mut mac = self.key.clone();
        mac.update(text.as_bytes());
        format!("{}{text}.{}", self.mark, URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    /// The text that a token was made for; `None` if it was not made here. Takes the same time for every wrong one.
    pub(super) fn open<'t>(&self, token: &'t str) -> Option<&'t str> {
        let (text, tag) = token.strip_prefix(&*self.mark)?.rsplit_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        let mut mac = self.key.clone();
        mac.update(text.as_bytes());
        mac.verify_slice(&tag).ok().map(|()| text)
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sealed_here_opens() {
        let seal = Seal::new([7; 32]);
        let token = seal.token("1.2");
        assert_eq!(seal.open(&token), Some("1.2"));
        assert_eq!(Seal::new([8; 32]).open(&token), None);
        for changed in
            [token.replace("1.2", "1.3"), token.clone() + "A", token[1..].to_owned(), String::new()]
        {
            assert_eq!(seal.open(&changed), None, "{changed}");
        }
        assert_eq!(format!("{seal:?}"), "Seal");
        let marked = seal.clone().marked("n1~".into());
        assert_eq!(marked.open(&marked.token("1.2")), Some("1.2"));
        assert_eq!(marked.token("1.2"), format!("n1~{token}"));
        assert_eq!(marked.open(&token), None);
    }
}
