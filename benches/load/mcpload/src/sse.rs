//! An incremental parser for `text/event-stream`.

#[derive(Default)]
pub struct Parser {
    /// The start of a line whose end has not come yet.
    partial: Vec<u8>,
    event: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    after_cr: bool,
}

impl Parser {
    /// Feeds `bytes`; `on_event(name, data)` runs for each finished event.
    pub fn feed(&mut self, mut bytes: &[u8], on_event: &mut impl FnMut(&[u8], &[u8])) {
        if self.after_cr && bytes.first() == Some(&b'\n') {
            bytes = &bytes[1..];
        }
        if !bytes.is_empty() {
            self.after_cr = false;
        }
        while let Some(at) = memchr::memchr2(b'\n', b'\r', bytes) {
            if self.partial.is_empty() {
                self.line(&bytes[..at], on_event);
            } else {
                let mut line = std::mem::take(&mut self.partial);
                line.extend_from_slice(&bytes[..at]);
                self.line(&line, on_event);
                line.clear();
                self.partial = line;
            }
            let mut next = at + 1;
            if bytes[at] == b'\r' {
                match bytes.get(next) {
                    Some(b'\n') => next += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            bytes = &bytes[next..];
        }
        self.partial.extend_from_slice(bytes);
    }

    fn line(&mut self, line: &[u8], on_event: &mut impl FnMut(&[u8], &[u8])) {
        if line.is_empty() {
            if self.has_data {
                on_event(&self.event, &self.data);
            }
            self.event.clear();
            self.data.clear();
            self.has_data = false;
            return;
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(at) => {
                let value = &line[at + 1..];
                (&line[..at], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &line[line.len()..]),
        };
        match field {
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                self.has_data = true;
            }
            b"event" => {
                self.event.clear();
                self.event.extend_from_slice(value);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut events = Vec::new();
        let mut parser = Parser::default();
        for piece in pieces {
            parser.feed(piece, &mut |name, data| {
                events.push((
                    String::from_utf8(name.to_vec()).unwrap(),
                    String::from_utf8(data.to_vec()).unwrap(),
                ));
            });
        }
        events
    }

    #[test]
    fn events_in_any_pieces() {
        let stream =
            b": ping\n\nevent: endpoint\r\ndata: /m?x=1\r\n\r\nid: 4\ndata: a\ndata:b\n\nevent: none\n\n";
        let want = vec![("endpoint".to_owned(), "/m?x=1".to_owned()), (String::new(), "a\nb".to_owned())];
        assert_eq!(parse(&[stream]), want);
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(parse(&bytes), want);
        for cut in 1..stream.len() {
            assert_eq!(parse(&[&stream[..cut], &stream[cut..]]), want);
        }
    }
}
