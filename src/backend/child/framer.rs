//! Cuts a child's output into lines, with a hard limit.

use std::cell::Cell;

use bytes::{Buf, Bytes, BytesMut};

use crate::mcp::{Frame, IdScanner, RequestId};

/// One line of a child's output.
#[derive(Debug)]
pub enum Line {
    /// A line within the limit, without its line break.
    Whole(Bytes),
    /// A message that was read already, to find out whose it is.
    Message(Frame),
    /// A line over the limit: how long it was, and whose response it seems to have been.
    TooLong {
        /// Its length in bytes.
        length: u64,
        /// The id of the response that it was.
        id: Option<RequestId>,
    },
}

/// Splits at `\n` (a `\r` before it goes too), never holds more than the limit and one read, and is in
/// step again after a line that was too long. A tail without a line break is no line.
#[derive(Debug)]
pub struct Framer {
    buffer: BytesMut,
    /// How much of the buffer has been searched for a line break.
    searched: usize,
    /// The size of the buffer when it was last made.
    capacity: usize,
    max_line: usize,
    excess: Option<(u64, IdScanner)>,
}

/// What one read asks for: a pipe holds 64 KiB.
const READ: usize = 64 * 1024;
/// A line shorter than this part of the buffer gets bytes of its own, so that whoever keeps a small message
/// does not keep a large buffer.
const SHARE: usize = 8;

thread_local! {
    /// The buffer that whoever reads next on this thread reads into: most sessions are idle, and those that are
    /// not are done with it before the next one's turn.
    static SPARE: Cell<BytesMut> = Cell::default();
}

impl Framer {
    /// For lines of at most `max_line` bytes.
    pub fn new(max_line: usize) -> Self {
        Self { buffer: BytesMut::new(), searched: 0, capacity: 0, max_line, excess: None }
    }

    /// Where the next bytes go.
    pub fn space(&mut self) -> &mut BytesMut {
        if self.buffer.capacity() == 0 {
            self.buffer = SPARE.take();
            self.capacity = READ;
        }
        if self.buffer.capacity() - self.buffer.len() < READ / 8 {
            self.buffer.reserve(READ);
            self.capacity = self.buffer.capacity();
        }
        &mut self.buffer
    }

    /// The next complete line, if there is one.
    pub fn next_line(&mut self) -> Option<Line> {
        loop {
            let Some(end) = memchr::memchr(b'\n', &self.buffer[self.searched..]) else {
                self.searched = self.buffer.len();
                if self.searched > self.max_line + 1 || self.excess.is_some() {
                    self.discard(self.searched);
                }
                self.rest();
                return None;
            };
            let end = self.searched + end;
            self.searched = 0;
            if self.excess.is_some() || end > self.max_line + usize::from(self.buffer[..end].ends_with(b"\r"))
            {
                self.discard(end);
                let _ = self.buffer.split_to(1);
                let (length, scanner) = self.excess.take()?;
                return Some(Line::TooLong { length, id: scanner.response_id() });
            }
            let whole = end - usize::from(self.buffer[..end].ends_with(b"\r"));
            let line = if whole < self.capacity / SHARE {
                let own = Bytes::copy_from_slice(&self.buffer[..whole]);
                self.buffer.advance(end + 1);
                own
            } else {
                self.buffer.split_to(end + 1).freeze().slice(..whole)
            };
            if !line.is_empty() {
                return Some(Line::Whole(line));
            }
        }
    }

    /// Drops bytes of a line that is too long, keeping its id.
    fn discard(&mut self, count: usize) {
        let (length, scanner) = self.excess.get_or_insert_default();
        *length += count as u64;
        scanner.feed(&self.buffer.split_to(count));
        self.searched = 0;
    }

    /// An idle session holds no buffer. Called when nothing more is to be had for now.
    pub fn rest(&mut self) {
        if self.buffer.is_empty() {
            let buffer = std::mem::take(&mut self.buffer);
            if self.capacity <= READ {
                SPARE.set(buffer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(max_line: usize, chunks: &[&[u8]]) -> Vec<String> {
        let mut framer = Framer::new(max_line);
        let mut out = Vec::new();
        for chunk in chunks {
            framer.space().extend_from_slice(chunk);
            while let Some(line) = framer.next_line() {
                out.push(match line {
                    Line::Message(_) => unreachable!(),
                    Line::Whole(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                    Line::TooLong { length, id } => {
                        format!("<{length} {}>", id.as_ref().map_or("-", RequestId::token))
                    }
                });
            }
            assert!(framer.buffer.len() <= max_line + 2, "holds {} bytes", framer.buffer.len());
        }
        out
    }

    #[test]
    fn crlf_blank_lines_and_an_unfinished_tail() {
        assert_eq!(lines(10, &[b"a\r\n\n\r\nb\nc"]), ["a", "b"]);
    }

    #[test]
    fn a_line_at_the_limit_passes_and_one_byte_more_does_not() {
        assert_eq!(lines(4, &[b"1234\n1234\r\n12345\n1\n"]), ["1234", "1234", "<5 ->", "1"]);
    }

    #[test]
    fn the_owner_of_an_over_long_response_is_found() {
        let long = format!("{{\"result\":\"{}\",\"id\":42}}\nnext\n", "x".repeat(100));
        let length = long.len() - 6;
        assert_eq!(lines(16, &[long.as_bytes()]), [format!("<{length} 42>"), "next".into()]);
        let chunks: Vec<&[u8]> = long.as_bytes().chunks(7).collect();
        assert_eq!(lines(16, &chunks), [format!("<{length} 42>"), "next".into()]);
    }

    proptest! {
        #[test]
        fn splitting_the_input_changes_nothing(
            text in "[a-c\\r\\n]{0,200}",
            cuts in prop::collection::vec(0usize..200, 0..8),
            max_line in 1usize..20,
        ) {
            let whole = lines(max_line.max(200), &[text.as_bytes()]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &text.as_bytes()[w[0]..w[1]]).collect();
            prop_assert_eq!(lines(200, &chunks), whole);
            let short = lines(max_line, &chunks);
            let expected: Vec<String> = text
                .split_inclusive('\n')
                .filter_map(|line| line.strip_suffix('\n'))
                .map(|line| (line.len(), line.strip_suffix('\r').unwrap_or(line)))
                .filter(|(_, line)| !line.is_empty())
                .map(|(raw, line)| if line.len() > max_line { format!("<{raw} ->") } else { line.to_owned() })
                .collect();
            prop_assert_eq!(short, expected);
        }
    }
}
