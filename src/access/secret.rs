//! Bearer secrets: kept as SHA-256 digests, compared in constant time.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// A secret in the clear. Never shown by `Debug`; [`Secret::reveal`] is for the one line that prints it.
#[derive(Clone)]
pub struct Secret(String);

/// What is kept of a secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretHash([u8; 32]);

/// Which secret belongs to whom.
#[derive(Debug)]
pub(super) struct Keyring<T> {
    keys: Vec<(SecretHash, T)>,
}

// === impl Secret ===

impl Secret {
    /// Takes a secret that somebody chose.
    ///
    /// # Errors
    /// If no client could send it as a bearer token (RFC 6750 section 2.1).
    pub fn new(text: String) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("is empty; `lockgate secret` makes a good one");
        }
        if !text.bytes().all(is_token_byte) {
            return Err(
                "may hold letters, digits and -._~+/= only, or no client could send it as a bearer token",
            );
        }
        Ok(Self(text))
    }

    /// Makes a new one: 256 random bits.
    ///
    /// # Errors
    /// When the operating system's generator cannot be read.
    pub fn draw() -> Result<Self, getrandom::Error> {
        let mut bits = [0u8; 32];
        getrandom::fill(&mut bits)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bits)))
    }

    /// Another that nobody can know who does not know `secret`, and that says nothing of it.
    pub(super) fn derived(secret: &[u8], purpose: &str) -> Self {
        let digest = Sha256::new().chain_update(purpose).chain_update(secret).finalize();
        Self(URL_SAFE_NO_PAD.encode(digest))
    }

    /// Whether this is it, in constant time.
    pub(super) fn is(&self, presented: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(presented).into()
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What a settings file holds of it.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(self.0.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

// === impl SecretHash ===

impl SecretHash {
    pub(super) fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Whether both are of one secret, in constant time.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl FromStr for SecretHash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "must hold \"sha256:\" and 64 lower-case hexadecimal digits; `lockgate secret` prints such a line";
        let digits = text.strip_prefix("sha256:").filter(|d| d.len() == 64).ok_or(FORM)?;
        let mut hash = [0u8; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let digit = |c: u8| match c {
                b'0'..=b'9' => Ok(c - b'0'),
                b'a'..=b'f' => Ok(c - b'a' + 10),
                _ => Err(FORM),
            };
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(hash))
    }
}

impl fmt::Display for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

// === impl Keyring ===

impl<T> Default for Keyring<T> {
    fn default() -> Self {
        Self { keys: Vec::new() }
    }
}

impl<T> Keyring<T> {
    pub(super) fn add(&mut self, hash: SecretHash, owner: T) -> Result<(), &'static str> {
        if self.keys.iter().any(|(known, _)| *known == hash) {
            return Err("is given twice; each secret must belong to one tenant");
        }
        self.keys.push((hash, owner));
        Ok(())
    }

    /// Whose secret this is, and as what it is kept. One digest, then every key is compared, whichever
    /// matches.
    pub(super) fn owner(&self, secret: &[u8]) -> Option<&(SecretHash, T)> {
        let presented = SecretHash::of(secret);
        let (mut found, mut index) = (Choice::from(0), 0u64);
        for (position, (hash, _)) in (0u64..).zip(&self.keys) {
            let equal = hash.0.ct_eq(&presented.0);
            index.conditional_assign(&position, equal);
            found |= equal;
        }
        let index = usize::try_from(index).ok()?;
        bool::from(found).then(|| &self.keys[index])
    }

    /// Leaves the secrets of these owners.
    pub(super) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.keys.retain(|(_, owner)| keep(owner));
    }

    /// Leaves so many of the secrets that came last.
    pub(super) fn keep_last(&mut self, count: usize) {
        self.keys.drain(..self.keys.len().saturating_sub(count));
    }

    /// Every secret with its owner.
    pub(super) fn keys(&self) -> impl Iterator<Item = &(SecretHash, T)> {
        self.keys.iter()
    }
}

/// The secret in the one `Authorization` header there must be. The scheme's case does not matter (RFC 9110
/// section 11.1); one space follows it.
pub(super) fn bearer<'a>(headers: &[&'a [u8]]) -> Result<&'a [u8], &'static str> {
    let value = match headers {
        [] => return Err("the secret is missing"),
        [value] => *value,
        _ => return Err("there is more than one Authorization header"),
    };
    let (scheme, token) = value.split_at_checked(7).ok_or("the Authorization header is malformed")?;
    if !scheme.eq_ignore_ascii_case(b"Bearer ") {
        return Err("the Authorization header is not of the form `Bearer <secret>`");
    }
    if token.is_empty() || !token.iter().copied().all(is_token_byte) {
        return Err("the bearer secret is malformed");
    }
    Ok(token)
}

/// RFC 6750 section 2.1, `b64token`.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}
