//! What a client brings back with its answers: `requestState`, sealed, so that it stands for one round of one call, or
//! for the same request once more, and for nothing else (protocol.md section 3.3).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Frame;
use crate::mcp::id::RequestId;
use crate::mcp::members::{decode, entries};
use crate::mcp::seal::Seal;

/// What a state stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// A call that is open at the backend, by its id there, and how often its client was asked by then.
    Round(RequestId, u32),
    /// The request is to be sent again, until then.
    Again(Duration),
}

/// A state that was given out here.
#[derive(Debug)]
pub(super) struct RequestState {
    pub(super) means: Means,
    /// Of the request that it was given out for.
    digest: String,
}

impl RequestState {
    pub(super) fn new(means: Means, request: &Frame) -> Self {
        Self { means, digest: digest(request) }
    }

    /// As a JSON string.
    pub(super) fn sealed(&self, seal: &Seal) -> String {
        let text = match &self.means {
            Means::Round(call, round) => format!("call.{}.{round}.{}", call.token(), self.digest),
            Means::Again(due) => format!("again.{}.{}", due.as_millis(), self.digest),
        };
        Value::from(seal.token(&text)).to_string()
    }

    /// Reads a JSON token; `None` unless it was sealed here.
    pub(super) fn read(token: &str, seal: &Seal) -> Option<Self> {
        Self::open(&decode(token)?, seal)
    }

    pub(super) fn open(state: &str, seal: &Seal) -> Option<Self> {
        let (what, digest) = seal.open(state)?.rsplit_once('.')?;
        let means = match what.split_once('.')? {
            ("again", due) => Means::Again(Duration::from_millis(due.parse().ok()?)),
            (_, call) => {
                let (call, round) = call.rsplit_once('.')?;
                Means::Round(RequestId::parse(call)?, round.parse().ok()?)
            }
        };
        Some(Self { means, digest: digest.to_owned() })
    }

    pub(super) fn is_for(&self, request: &Frame) -> bool {
        self.digest == digest(request)
    }
}

/// Stands for a request, whatever its spelling. What a retry brings beside it does not count, nor does `_meta`.
fn digest(request: &Frame) -> String {
    let mut parts = Vec::new();
    // One without parameters has none that could differ.
    let _ = entries(request.payload(), |name, token| {
        if !matches!(&*name, "_meta" | "inputResponses" | "requestState") {
            // What would lose something by being read, such as very deep nesting, counts as it is spelled.
            let value = serde_json::from_str::<Value>(token).map(|value| value.to_string());
            parts.push((name.into_owned(), value.unwrap_or_else(|_| token.to_owned())));
        }
    });
    parts.sort();
    let mut hash = Sha256::new();
    for text in
        std::iter::once(&*request.method()).chain(parts.iter().flat_map(|(name, value)| [&**name, value]))
    {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn request(params: &str) -> Frame {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        Frame::parse(Bytes::from(text)).unwrap()
    }

    #[test]
    fn a_state_means_what_it_was_given_out_for() {
        let seal = Seal::new([1; 32]);
        let asked = request(r#"{"name":"a","arguments":{}}"#);
        for means in [
            Means::Round(RequestId::number(7), 2),
            Means::Round(RequestId::parse(r#""a.b""#).unwrap(), 2),
            Means::Again(Duration::from_millis(1500)),
        ] {
            let token = RequestState::new(means.clone(), &asked).sealed(&seal);
            let read = RequestState::read(&token, &seal).unwrap();
            assert_eq!(read.means, means);
            assert!(read.is_for(&asked));
            assert!(RequestState::read(&token, &Seal::new([2; 32])).is_none());
        }
        assert!(RequestState::read("7", &seal).is_none());
    }

    #[test]
    fn the_same_request_has_the_same_digest_however_it_is_spelled() {
        let one = digest(&request(r#"{"name":"a","arguments":{"x":1,"y":"ä"},"_meta":{"progressToken":1}}"#));
        let other = request(
            r#"{ "requestState":"s","inputResponses":{}, "arguments":{"y":"\u00e4", "x":1},"_meta":{},"name":"a"}"#,
        );
        assert_eq!(one, digest(&other));
        for changed in
            [r#"{"name":"a","arguments":{"x":2,"y":"ä"}}"#, r#"{"name":"b"}"#, r#"{"name":"a"}"#, "[]"]
        {
            assert_ne!(one, digest(&request(changed)), "{changed}");
        }
        let deep = |inside: &str| format!(r#"{{"a":{}{inside}{}}}"#, "[".repeat(200), "]".repeat(200));
        assert_ne!(digest(&request(&deep("1"))), digest(&request(&deep("2"))));
        assert_ne!(digest(&request(r#"{"a":"b","c":"d"}"#)), digest(&request(r#"{"a":"bc","":"d"}"#)));
    }
}
