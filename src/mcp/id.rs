//! Request ids: a JSON string or an integer (JSON-RPC 2.0 section 4; MCP forbids null).

use std::hash::{Hash, Hasher};

/// The id of a request, kept byte for byte as it was sent, compared by value and type: `"1"` is not `1`,
/// and `"a\/b"` is `"a/b"`.
#[derive(Clone, Debug)]
pub struct RequestId {
    /// The JSON token exactly as received.
    token: Box<str>,
    /// The text of a string id whose token has escapes; the other kinds are their token.
    decoded: Option<Box<str>>,
}

impl RequestId {
    /// Ids longer than this are refused: nobody needs them, and they would sit in our maps.
    pub const MAX_LEN: usize = 256;

    /// Reads a JSON token; `None` unless it is a string or an integer of at most [`Self::MAX_LEN`] bytes.
    pub fn parse(token: &str) -> Option<Self> {
        if token.len() > Self::MAX_LEN {
            return None;
        }
        if !token.starts_with('"') {
            return is_integer(token).then(|| Self { token: token.into(), decoded: None });
        }
        let decoded = if token.contains('\\') { Some(serde_json::from_str(token).ok()?) } else { None };
        Some(Self { token: token.into(), decoded })
    }

    /// An id of our own, where we number requests.
    pub fn number(number: u64) -> Self {
        Self { token: number.to_string().into(), decoded: None }
    }

    /// An id of our own, a token without escapes.
    pub(super) fn literal(token: &'static str) -> Self {
        Self { token: token.into(), decoded: None }
    }

    /// An id of our own for a request to a backend whose clients' requests have numbers. A string, so that it equals no
    /// number that a client's request got.
    pub(super) fn own(number: u64) -> Self {
        Self { token: format!(r#""lockgate-{number}""#).into(), decoded: None }
    }

    /// The JSON token to write where this id is to be echoed.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Whether it is a string, and the value that decides equality.
    fn value(&self) -> (bool, &str) {
        match (&self.decoded, self.token.strip_prefix('"')) {
            (Some(text), _) => (true, text),
            (None, Some(rest)) => (true, rest.strip_suffix('"').unwrap_or(rest)),
            (None, None) => (false, &self.token),
        }
    }
}

impl PartialEq for RequestId {
    fn eq(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

impl Eq for RequestId {}

impl Hash for RequestId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value().hash(state);
    }
}

fn is_integer(token: &str) -> bool {
    let digits = token.strip_prefix('-').unwrap_or(token);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(token: &str) -> RequestId {
        RequestId::parse(token).unwrap()
    }

    #[test]
    fn strings_and_integers_are_ids_and_keep_their_bytes() {
        for token in ["0", "-1", "12345678901234567890123", r#""""#, r#""a\/b""#, r#""é""#] {
            assert_eq!(id(token).token(), token);
        }
    }

    #[test]
    fn other_tokens_are_refused() {
        let long = format!("\"{}\"", "x".repeat(RequestId::MAX_LEN));
        for token in ["null", "1.0", "1e3", "true", "{}", "[]", "-", r#""\ud800""#, &long] {
            assert!(RequestId::parse(token).is_none(), "{token}");
        }
    }

    #[test]
    fn equality_is_by_type_and_value() {
        assert_ne!(id("1"), id(r#""1""#));
        assert_eq!(id(r#""a\/b""#), id(r#""a/b""#));
        assert_eq!(id(r#""\u0061""#), id(r#""a""#));
    }
}
