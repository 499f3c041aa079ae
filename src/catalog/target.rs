//! The path segment that names a server.

/// A server's short name or command, decoded exactly once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(String);

/// Why a path segment names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// A `%` that two hexadecimal digits do not follow.
    #[error("the path holds a `%` without two hexadecimal digits behind it; percent-encode the command once")]
    Escape,
    /// Bytes that are no text.
    #[error("the path is not UTF-8 once it is decoded; percent-encode the command's UTF-8 bytes")]
    Utf8,
    /// A control character.
    #[error("the path holds a control character once it is decoded; no command has one")]
    Control,
}

impl Target {
    /// Decodes one raw path segment. `+` stays a plus; nothing is trimmed, folded or decoded twice.
    ///
    /// # Errors
    /// If it is not percent-encoded UTF-8 text.
    pub fn decode(segment: &str) -> Result<Self, BadTarget> {
        let escapes = segment.split('%').skip(1);
        if !escapes
            .map(str::as_bytes)
            .all(|rest| rest.len() >= 2 && rest[..2].iter().all(u8::is_ascii_hexdigit))
        {
            return Err(BadTarget::Escape);
        }
        let text = urlencoding::decode(segment).map_err(|_| BadTarget::Utf8)?;
        if text.chars().any(char::is_control) {
            return Err(BadTarget::Control);
        }
        Ok(Self(text.into_owned()))
    }

    /// The name or command as the allowlist must have it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
