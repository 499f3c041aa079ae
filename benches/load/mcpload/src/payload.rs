//! Payloads that prove themselves.

use std::fmt::Write as _;

/// Characters that a gateway may mangle, as JSON carries them and as they are.
const SPECIALS_JSON: &str = "\\\"\\\\\\n\\té😀\u{2028}|";
const SPECIALS: &str = "\"\\\n\té😀\u{2028}|";
/// Filler is read from an offset that depends on the call, so that two calls
/// differ over their whole length.
const OFFSETS: usize = 61;

/// Makes and checks the payload of call `seq` in session `session`.
pub struct Payload {
    filler: String,
    size: usize,
}

impl Payload {
    pub fn new(size: usize) -> Self {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let alphabet = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .";
        let filler = (0..size + OFFSETS)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                char::from(alphabet[(state >> 58) as usize])
            })
            .collect();
        Self { filler, size }
    }

    fn fill(&self, prefix: usize, seq: u64) -> &str {
        let from = (seq % OFFSETS as u64) as usize;
        let len = self.size.saturating_sub(prefix + SPECIALS.len());
        &self.filler[from..from + len]
    }

    /// The payload as a JSON string, quotes included.
    pub fn json(&self, session: u32, seq: u64, into: &mut String) {
        into.push('"');
        let start = into.len();
        let _ = write!(into, "s{session}q{seq}|");
        let prefix = into.len() - start;
        into.push_str(SPECIALS_JSON);
        into.push_str(self.fill(prefix, seq));
        into.push('"');
    }

    pub fn matches(&self, text: &str, session: u32, seq: u64) -> bool {
        let Some((tag, rest)) = text.split_once('|') else {
            return false;
        };
        parse_tag(tag) == Some((session, seq))
            && rest.strip_prefix(SPECIALS) == Some(self.fill(tag.len() + 1, seq))
    }
}

/// `s<session>q<seq>`, the start of every payload and the tag of every burst.
pub fn parse_tag(tag: &str) -> Option<(u32, u64)> {
    let (session, seq) = tag.strip_prefix('s')?.split_once('q')?;
    Some((session.parse().ok()?, seq.parse().ok()?))
}
