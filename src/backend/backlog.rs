//! Messages that wait for a backend.

use std::collections::VecDeque;

use crate::mcp::Frame;

/// A queue of messages, of which the first may have gone in part.
#[derive(Debug, Default)]
pub struct Backlog {
    frames: VecDeque<Frame>,
    /// How much of the first has gone, its line break included.
    gone: usize,
    /// What is left of all of them.
    bytes: usize,
}

impl Backlog {
    /// Puts a message at the end.
    pub fn push(&mut self, frame: Frame) {
        self.bytes += line_len(&frame);
        self.frames.push_back(frame);
    }

    /// How much waits, in bytes, a line break for each message included.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes the first message, of which nothing must have gone.
    pub(super) fn pop(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.bytes -= line_len(&frame);
        Some(frame)
    }

    /// The messages as lines that are still to be written.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut gone = self.gone;
        let lines = self.frames.iter().flat_map(|frame| [&frame.bytes()[..], b"\n"]);
        lines.filter_map(move |piece| {
            let skipped = gone.min(piece.len());
            gone -= skipped;
            Some(&piece[skipped..]).filter(|rest| !rest.is_empty())
        })
    }

    /// So much of it has been written.
    pub(super) fn advance(&mut self, written: usize) {
        self.gone += written;
        self.bytes -= written;
        while let Some(first) = self.frames.front().map(line_len)
            && self.gone >= first
        {
            self.gone -= first;
            self.frames.pop_front();
        }
    }
}

fn line_len(frame: &Frame) -> usize {
    frame.bytes().len() + 1
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn message(count: usize) -> String {
        format!(r#"{{"jsonrpc":"2.0","method":"{}"}}"#, "m".repeat(count))
    }

    proptest! {
        #[test]
        fn what_is_written_in_any_portions_is_every_line_once(
            counts in prop::collection::vec(1usize..40, 1..8),
            portions in prop::collection::vec(1usize..90, 1..200),
        ) {
            let mut backlog = Backlog::default();
            let mut expected = String::new();
            for count in counts {
                backlog.push(Frame::parse(Bytes::from(message(count))).unwrap());
                expected += &(message(count) + "\n");
            }
            let mut written = Vec::new();
            for portion in portions.into_iter().chain(std::iter::repeat(50)) {
                prop_assert_eq!(backlog.bytes(), expected.len() - written.len());
                let rest: Vec<u8> = backlog.pieces().flatten().copied().take(portion).collect();
                if rest.is_empty() {
                    break;
                }
                backlog.advance(rest.len());
                written.extend(rest);
            }
            prop_assert!(backlog.is_empty() && backlog.bytes() == 0);
            prop_assert_eq!(String::from_utf8(written).unwrap(), expected);
        }
    }
}
