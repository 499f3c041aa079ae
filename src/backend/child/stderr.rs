//! A child's last words. Its stderr is always read, so that it never blocks on it, and little is kept.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::unix::pipe;

/// What is kept of stderr: the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail(Arc<Mutex<VecDeque<u8>>>);

const KEPT: usize = 8 * 1024;
/// Stands for a line of which the beginning is not known any more.
const ENDLESS: &str = "(a line of more than 8 KiB)";
/// The longest line that is shown to anybody.
const SHOWN: usize = 300;

impl Tail {
    /// Reads until the end of the file.
    pub(super) async fn follow(self, stderr: pipe::Receiver) {
        while stderr.readable().await.is_ok() {
            if self.read(&stderr).is_err() {
                return;
            }
        }
    }

    /// Reads once. Not in `follow`, where each session would keep room for it.
    fn read(&self, stderr: &pipe::Receiver) -> io::Result<()> {
        let mut buffer = [0u8; 4096];
        match stderr.try_read(&mut buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.keep(&buffer[..count]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(bytes);
        let excess = kept.len().saturating_sub(KEPT);
        kept.drain(..excess);
    }

    /// The last line that says something, fit to be shown: no control characters, not too long.
    pub(super) fn last_line(&self, conceal: impl Fn(&str) -> String) -> Option<String> {
        self.last_lines(1, conceal).pop()
    }

    /// The last lines that say something, each fit to be shown. What may not be shown is to be concealed in the whole
    /// text: a value may have several lines, or go on where a line is cut.
    pub(super) fn last_lines(&self, most: usize, conceal: impl Fn(&str) -> String) -> Vec<String> {
        let kept: Vec<u8> = self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        let text = String::from_utf8_lossy(&kept);
        // What is left of a line whose beginning is gone may begin within a value, which nobody would recognise.
        let whole = match text.split_once('\n') {
            Some((_, rest)) if kept.len() >= KEPT => rest,
            None if kept.len() >= KEPT => ENDLESS,
            _ => &text,
        };
        let text = conceal(whole);
        let lines = text.lines().rev().map(str::trim).filter(|line| !line.is_empty()).take(most);
        let clean = |line: &str| {
            line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(SHOWN).collect()
        };
        let mut lines: Vec<String> = lines.map(clean).collect();
        lines.reverse();
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_clean_and_bounded() {
        let tail = Tail::default();
        let shown = str::to_owned;
        assert_eq!(tail.last_line(shown), None);
        tail.keep(b"first\nError: \x1b[31mno\x1b[0m\n\n  \n");
        assert_eq!(tail.last_line(shown).unwrap(), "Error: \u{fffd}[31mno\u{fffd}[0m");
        assert_eq!(tail.last_lines(9, shown), ["first", "Error: \u{fffd}[31mno\u{fffd}[0m"]);
        tail.keep(&vec![b'x'; 100_000]);
        assert_eq!(tail.last_line(shown).unwrap(), ENDLESS);
        tail.keep(&[b"\n".as_slice(), &vec![b'y'; 1000]].concat());
        assert_eq!(tail.last_line(shown).unwrap().len(), SHOWN);
        assert_eq!(tail.0.lock().unwrap().len(), KEPT);
    }
    #[test]
    fn a_value_is_concealed_where_a_line_is_cut_and_over_several_lines() {
        let (long, several) = ("s".repeat(2 * SHOWN), "one\ntwo\nthree");
        let conceal = |text: &str| text.replace(&long, "(masked)").replace(several, "(masked)");
        let tail = Tail::default();
        tail.keep(format!("bad token {long} here\n{several}\n").as_bytes());
        assert_eq!(tail.last_lines(9, conceal), ["bad token (masked) here", "(masked)"]);
        tail.keep(format!("{long}{}\nthe end", "b".repeat(KEPT - SHOWN)).as_bytes());
        assert_eq!(tail.last_lines(9, conceal), ["the end"]);
    }
}
