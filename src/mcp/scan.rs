//! Finds the `id` of a message that is too large to be kept, while its bytes go by.

use super::id::RequestId;

/// Follows one JSON object byte by byte and remembers only its top-level `id`. It trusts the grammar: what
/// it finds in text that is no JSON means nothing, and is looked up among pending ids before it is used.
#[derive(Debug, Default)]
pub struct IdScanner {
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// The string or scalar being read at depth one, as far as it may matter.
    token: Vec<u8>,
    /// The last complete string at depth one, a member name if a colon follows.
    name: Vec<u8>,
    in_value: bool,
    is_call: bool,
    id: Option<RequestId>,
}

impl IdScanner {
    /// Takes the next bytes of the message.
    pub fn feed(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.step(byte));
    }

    /// The id of the response that went by; `None` for a request or notification, or if no id was seen.
    pub fn response_id(self) -> Option<RequestId> {
        if self.is_call { None } else { self.id }
    }

    fn step(&mut self, byte: u8) {
        if self.in_string {
            self.keep(byte);
            match (self.escaped, byte) {
                (true, _) => self.escaped = false,
                (false, b'\\') => self.escaped = true,
                (false, b'"') => self.in_string = false,
                (false, _) => {}
            }
            return;
        }
        match byte {
            b'"' => {
                self.keep(byte);
                self.in_string = true;
            }
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b':' if self.depth == 1 => {
                self.name = std::mem::take(&mut self.token);
                self.in_value = true;
            }
            b',' if self.depth == 1 => self.member_ends(),
            b'}' | b']' => {
                if self.depth == 1 {
                    self.member_ends();
                }
                self.depth = self.depth.saturating_sub(1);
            }
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => self.keep(byte),
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.depth == 1 && self.token.len() <= RequestId::MAX_LEN {
            self.token.push(byte);
        }
    }

    fn member_ends(&mut self) {
        let token = std::mem::take(&mut self.token);
        match (std::mem::take(&mut self.in_value), self.name.as_slice()) {
            (true, br#""id""#) => self.id = std::str::from_utf8(&token).ok().and_then(RequestId::parse),
            (true, br#""method""#) => self.is_call = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Option<String> {
        let mut scanner = IdScanner::default();
        text.as_bytes().chunks(3).for_each(|chunk| scanner.feed(chunk));
        scanner.response_id().map(|id| id.token().to_owned())
    }

    #[test]
    fn the_id_is_found_wherever_it_stands() {
        assert_eq!(scan(r#"{"jsonrpc":"2.0","id":7,"result":{"id":1}}"#).as_deref(), Some("7"));
        assert_eq!(
            scan(r#"{"result":{"a":["id",{"id":3}]}, "id" : "x,\"}" }"#).as_deref(),
            Some(r#""x,\"}""#)
        );
    }

    #[test]
    fn no_other_id_is_taken_for_it() {
        assert_eq!(scan(r#"{"result":{"id":1},"a":"\"id\":2"}"#), None);
        assert_eq!(scan(r#"{"id":7,"method":"m"}"#), None);
        assert_eq!(scan("noise"), None);
    }
}
