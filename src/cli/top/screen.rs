//! The terminal: what is on it is put back as it was, however this ends.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rustix::fs::OFlags;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, ttyname};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

/// The terminal while this program has it for itself.
#[derive(Debug)]
pub(super) struct Screen {
    before: Termios,
}

/// What is pressed.
#[derive(Debug)]
pub(super) struct Keys(pipe::Receiver);

/// A key, by what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Sort,
    Up,
    Down,
    Other,
}

/// To another screen, on which there is no cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// Of a terminal that does not know.
const ROWS: usize = 24;
const COLUMNS: usize = 80;

impl Screen {
    pub(super) fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        // Ctrl-C comes as a key, then.
        raw.make_raw();
        let screen = Self { before: before.clone() };
        tcsetattr(io::stdin(), OptionalActions::Flush, &raw)?;
        put(ENTER)?;
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave(&before);
            told(panic);
        }));
        Ok(screen)
    }

    /// Rows and columns.
    pub(super) fn size() -> (usize, usize) {
        let told = tcgetwinsize(io::stdout()).ok();
        let or = |told: Option<u16>, other| told.map(usize::from).filter(|n| *n > 0).unwrap_or(other);
        (or(told.map(|size| size.ws_row), ROWS), or(told.map(|size| size.ws_col), COLUMNS))
    }

    /// Replaces what is shown. In place and in one go, so that nothing flickers.
    pub(super) fn show(&mut self, lines: &[String]) -> io::Result<()> {
        put(&format!("\x1b[H{}\x1b[K\x1b[J", lines.join("\x1b[K\r\n")))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave(&self.before);
    }
}

impl Keys {
    /// Opens the terminal once more: what does not block here is not to be so for the shell.
    pub(super) fn listen() -> io::Result<Self> {
        let name = ttyname(io::stdin().as_fd(), Vec::new())?.into_string().map_err(io::Error::other)?;
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
        let terminal = File::options().read(true).custom_flags(flags).open(PathBuf::from(name))?;
        pipe::Receiver::from_file_unchecked(terminal).map(Self)
    }

    /// The next key. A terminal that is gone presses none any more.
    pub(super) async fn next(&mut self) -> io::Result<Key> {
        let mut bytes = [0; 16];
        let count = self.0.read(&mut bytes).await?;
        Ok(Key::of(&bytes[..count]))
    }
}

impl Key {
    /// What a terminal sends. Arrows may come in either of two forms.
    fn of(bytes: &[u8]) -> Self {
        match bytes {
            [] | [b'q' | b'Q' | 3 | 4, ..] => Self::Quit,
            [b's' | b'S', ..] => Self::Sort,
            [b'k', ..] | [27, b'[' | b'O', b'A', ..] => Self::Up,
            [b'j', ..] | [27, b'[' | b'O', b'B', ..] => Self::Down,
            _ => Self::Other,
        }
    }
}

fn leave(before: &Termios) {
    let _ = put(LEAVE);
    let _ = tcsetattr(io::stdin(), OptionalActions::Flush, before);
}

fn put(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_known_by_what_terminals_send() {
        for (bytes, key) in [
            (&b"q"[..], Key::Quit),
            (b"\x03", Key::Quit),
            (b"", Key::Quit),
            (b"s", Key::Sort),
            (b"\x1b[A", Key::Up),
            (b"\x1bOB", Key::Down),
            (b"\x1b", Key::Other),
            (b"\x1b[5~", Key::Other),
        ] {
            assert_eq!(Key::of(bytes), key, "{bytes:?}");
        }
    }
}
