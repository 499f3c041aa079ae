//! Several JSON-RPC messages in one text: a batch, of revision 2025-03-26 and before. How long one is shows only when
//! it is read, and a member can be as short as a digit, so it is read up to a limit: nothing is made of one that is
//! longer.

use bytes::Bytes;

use super::frame::{Frame, Malformed, strip_bom};
use super::members::at_most;

/// Members of a batch of a backend: far more than the answers to any that a client may send.
const MAX_SAID: usize = 1000;

impl Frame {
    /// The messages of what [`Frame::parse`] calls a batch, if there are at most `max`.
    ///
    /// # Errors
    /// If there are more, with the fault of the first that is no message, or if this is no JSON array at all.
    pub fn parse_all(bytes: Bytes, max: usize) -> Result<Vec<Self>, Malformed> {
        split(&strip_bom(bytes), max)?.collect()
    }

    /// All that a backend may have meant by a text: one message, or those of a batch of at most 1000 members. What is
    /// no message is left out, but one byte that is not UTF-8 must not cost a reply.
    pub fn read_all(bytes: Bytes) -> Vec<Self> {
        let bytes = match std::str::from_utf8(&bytes) {
            Ok(_) => bytes,
            Err(_) => String::from_utf8_lossy(&bytes).into_owned().into(),
        };
        let text = strip_bom(bytes.clone());
        if text.trim_ascii_start().starts_with(b"[") {
            split(&text, MAX_SAID).map_or_else(|_| Vec::new(), |members| members.flatten().collect())
        } else {
            Self::parse(bytes).into_iter().collect()
        }
    }
}

/// The members of a batch, none of which is looked at before it is known that there are not too many.
fn split(bytes: &[u8], max: usize) -> Result<impl Iterator<Item = Result<Frame, Malformed>>, Malformed> {
    let not_json = |reason: String| Malformed::NotJson(reason);
    let text = std::str::from_utf8(bytes).map_err(|e| not_json(e.to_string()))?;
    let tokens = at_most(text, max).map_err(|e| not_json(e.to_string()))?.ok_or(Malformed::TooMany(max))?;
    // With bytes of its own, so that no member keeps the whole batch.
    Ok(tokens.into_iter().map(|token| Frame::parse(Bytes::copy_from_slice(token.as_bytes()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: &str = r#"{"jsonrpc":"2.0","method":"m"}"#;

    fn batch(member: &str, count: usize) -> Bytes {
        format!("[{}{member}]", format!("{member},").repeat(count - 1)).into()
    }

    #[test]
    fn a_batch_is_split() {
        let text = Bytes::from(format!("\u{feff} [{NOTE}, {NOTE}]"));
        assert_eq!(Frame::parse(text.clone()).unwrap_err(), Malformed::Batch);
        for frames in [Frame::parse_all(text.clone(), 2).unwrap(), Frame::read_all(text)] {
            assert_eq!(frames.iter().map(Frame::bytes).collect::<Vec<_>>(), [NOTE, NOTE]);
        }
        assert_eq!(Frame::parse_all("[ ]".into(), 2).unwrap().len(), 0);
    }

    #[test]
    fn a_client_hears_which_fault_it_is() {
        let fault = |text: &str| Frame::parse_all(Bytes::copy_from_slice(text.as_bytes()), 2).unwrap_err();
        assert_eq!(fault(&format!("[{NOTE}, 3]")), Malformed::NotMessage("it is not an object"));
        assert_eq!(fault(&format!("[{NOTE}, []]")), Malformed::Batch);
        assert_eq!(fault("[3, 3, 3]"), Malformed::TooMany(2));
        for text in ["", "{}", NOTE, "[3, !]", "[3] 3"] {
            assert!(matches!(fault(text), Malformed::NotJson(_)), "{text}");
        }
    }

    #[test]
    fn a_backend_is_understood_where_it_can_be() {
        let said = |text: &[u8]| Frame::read_all(Bytes::copy_from_slice(text)).len();
        assert_eq!(said(format!("[{NOTE}, 3, [{NOTE}], {NOTE}]").as_bytes()), 2);
        assert_eq!((said(NOTE.as_bytes()), said(b"3"), said(b"[3"), said(b"")), (1, 0, 0, 0));
        assert_eq!(said(b"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}"), 1);
        assert_eq!(said(b"[{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}]"), 1);
    }

    #[test]
    fn nothing_is_made_of_a_batch_that_is_too_long() {
        assert_eq!(Frame::read_all(batch(NOTE, MAX_SAID)).len(), MAX_SAID);
        for long in [batch(NOTE, MAX_SAID + 1), batch("1", 8_000_000)] {
            assert_eq!(Frame::parse_all(long.clone(), 100).unwrap_err(), Malformed::TooMany(100));
            assert_eq!(Frame::read_all(long).capacity(), 0);
        }
    }
}
