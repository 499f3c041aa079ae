//! What nodes know that nobody else does.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest, Sha256};

/// A key for one purpose, made of the secret that all nodes have (HMAC-SHA256, RFC 2104). Never shown.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// The key for a purpose. What is signed by the key for one says nothing to another.
    pub fn derive(secret: &str, purpose: &str) -> Self {
        // A secret of any length becomes one that a block has room for, as HMAC itself would make it.
        let base = Self::of(Sha256::digest(secret).into());
        Self::of(base.sign(&[purpose.as_bytes()]))
    }

    /// What shows that whoever wrote these parts has the key.
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.over(parts).finalize().into_bytes().into()
    }

    /// Whether these parts were signed so. A signature may be cut, to 16 bytes at the least. Takes the same time for
    /// every wrong one.
    pub fn verify(&self, parts: &[&[u8]], signature: &[u8]) -> bool {
        (16..=32).contains(&signature.len()) && self.over(parts).verify_truncated_left(signature).is_ok()
    }

    /// No two lists of parts are the same to it.
    fn over(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }

    fn of(key: [u8; 32]) -> Self {
        let mut block = [0; 64];
        block[..key.len()].copy_from_slice(&key);
        Self(Hmac::new(&block.into()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_good_for_its_parts_its_secret_and_its_purpose_only() {
        let key = Key::derive("secret", "one");
        let signed = key.sign(&[b"ab", b"c"]);
        assert!(key.verify(&[b"ab", b"c"], &signed) && key.verify(&[b"ab", b"c"], &signed[..16]));
        assert!(!key.verify(&[b"a", b"bc"], &signed) && !key.verify(&[b"abc"], &signed));
        assert!(!key.verify(&[b"ab", b"c"], &signed[..15]) && !key.verify(&[b"ab", b"c"], b""));
        assert!(!Key::derive("secret", "two").verify(&[b"ab", b"c"], &signed));
        assert!(!Key::derive("Secret", "one").verify(&[b"ab", b"c"], &signed));
        assert_eq!(format!("{key:?}"), "Key");
    }
}
