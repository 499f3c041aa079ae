//! How a command gets on with the servers, one after the other: on a terminal, a line for each under whatever else is
//! printed, which changes in place. Elsewhere the results say it as they come, and this says nothing.
//!
//! Not `indicatif`: there is neither a bar nor a clock to turn here, only a state that changes a few times, and the
//! log would have to be led past its lines as well.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anstyle::Style;

use super::colour::{self, BAD, FAINT, GOOD, LACKING};

/// How it goes with one server.
#[derive(Clone, Debug)]
pub(super) enum State {
    Waiting,
    /// What is done with it now.
    Underway(&'static str),
    /// What came of it.
    Good(String),
    Bad(String),
    /// It was not tried.
    Left,
}

/// The lines; a clone is the same. What is written to it comes to stand above them, which is for the log.
#[derive(Clone, Debug)]
pub(super) struct Progress(Arc<Mutex<Lines>>);

#[derive(Debug)]
struct Lines {
    servers: Vec<(String, State)>,
    /// Whether anybody sees them.
    shown: bool,
    coloured: bool,
    /// Whether results come to the same terminal, so that no line is needed for what has one.
    results_beside: bool,
    /// How many are on the terminal now.
    drawn: usize,
}

/// Of a terminal that does not know.
const ROWS: usize = 24;
const COLUMNS: usize = 80;

impl Progress {
    /// To be seen if it is `wanted` and there is a terminal.
    pub(super) fn new(wanted: bool) -> Self {
        let movable = std::env::var_os("TERM").is_some_and(|name| !name.is_empty() && name != "dumb");
        Self(Arc::new(Mutex::new(Lines {
            servers: Vec::new(),
            shown: wanted && movable && io::stderr().is_terminal(),
            coloured: colour::on_stderr(),
            results_beside: io::stdout().is_terminal(),
            drawn: 0,
        })))
    }

    /// These servers wait.
    pub(super) fn begin<'n>(&self, names: impl Iterator<Item = &'n str>) {
        let mut lines = self.lines();
        lines.servers = names.map(|name| (name.to_owned(), State::Waiting)).collect();
        lines.redraw();
    }

    /// A server is in another state.
    pub(super) fn set(&self, name: &str, state: State) {
        let mut lines = self.lines();
        lines.set(name, state);
        lines.redraw();
    }

    /// A server is done with; `print` prints its result.
    pub(super) fn done<T>(&self, name: &str, state: State, print: impl FnOnce() -> T) -> T {
        let mut lines = self.lines();
        lines.set(name, state);
        lines.erase();
        let printed = print();
        lines.draw();
        printed
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Progress {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = self.lines();
        lines.erase();
        let written = io::stderr().write_all(bytes);
        lines.draw();
        written.map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn set(&mut self, name: &str, state: State) {
        if let Some((_, before)) = self.servers.iter_mut().find(|(known, _)| known == name) {
            *before = state;
        }
    }

    fn redraw(&mut self) {
        self.erase();
        self.draw();
    }

    fn erase(&mut self) {
        if self.drawn > 0 {
            // Up to where the first one begins; from there on everything goes.
            put(&format!("\x1b[{}A\r\x1b[J", self.drawn));
            self.drawn = 0;
        }
    }

    fn draw(&mut self) {
        if !self.shown {
            return;
        }
        let (rows, columns) = size();
        let text = self.text(rows, columns);
        self.drawn = text.lines().count();
        put(&text);
    }

    /// The lines as they fit: more of them than a terminal has rows could not be taken back.
    fn text(&self, rows: usize, columns: usize) -> String {
        let open = |state: &State| matches!(state, State::Waiting | State::Underway(_));
        let listed = self.servers.iter().filter(|(_, state)| open(state) || !self.results_beside);
        let listed: Vec<_> = listed.collect();
        let room = rows.saturating_sub(2).max(1);
        // A line that the terminal breaks would be two.
        let width = columns.saturating_sub(1);
        // If something has to go, it is what is done with.
        let current = listed.iter().position(|(_, state)| open(state)).unwrap_or(listed.len());
        let first = if listed.len() > room { current.min(listed.len() - room) } else { 0 };
        let mut text = String::new();
        for (name, state) in listed.iter().skip(first).take(room) {
            let (style, word) = state.look();
            let style = if self.coloured { style } else { Style::new() };
            let name = cut(&format!("  {name:<13} "), width);
            let word = cut(word, width - name.chars().count());
            let _ = writeln!(text, "{name}{style}{word}{style:#}");
        }
        let more = listed.len().saturating_sub(first + room);
        if more > 0 {
            let _ = writeln!(text, "{}", cut(&format!("  and {more} more"), width));
        }
        text
    }
}

impl State {
    fn look(&self) -> (Style, &str) {
        match self {
            Self::Waiting => (FAINT, "waiting"),
            Self::Underway(word) => (LACKING, word),
            Self::Good(word) => (GOOD, word),
            Self::Bad(word) => (BAD, word),
            Self::Left => (FAINT, "not tried"),
        }
    }
}

fn cut(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}

/// Rows and columns of the terminal.
fn size() -> (usize, usize) {
    let told = rustix::termios::tcgetwinsize(io::stderr()).ok();
    let or = |told: Option<u16>, other| told.map(usize::from).filter(|count| *count > 0).unwrap_or(other);
    (or(told.map(|size| size.ws_row), ROWS), or(told.map(|size| size.ws_col), COLUMNS))
}

/// A terminal that has gone is no reason to stop.
fn put(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(states: &[State], results_beside: bool) -> Lines {
        let servers = states.iter().enumerate().map(|(index, state)| (format!("s{index}"), state.clone()));
        Lines { servers: servers.collect(), shown: true, coloured: false, results_beside, drawn: 0 }
    }

    #[test]
    fn a_server_with_a_result_on_the_same_terminal_needs_no_line() {
        let states = [State::Good("answered in 1.2 s".into()), State::Underway("starting"), State::Waiting];
        assert_eq!(lines(&states, true).text(24, 80), "  s1            starting\n  s2            waiting\n");
        assert_eq!(
            lines(&states, false).text(24, 80),
            "  s0            answered in 1.2 s\n  s1            starting\n  s2            waiting\n"
        );
    }

    #[test]
    fn no_line_is_broken_and_none_leaves_the_terminal() {
        let many = vec![State::Waiting; 50];
        let text = lines(&many, false).text(10, 13);
        assert_eq!(text.lines().count(), 9);
        assert!(text.lines().all(|line| line.chars().count() < 13), "{text}");
        assert!(text.ends_with("and 42 mor\n"), "{text}");
        let mut late = many;
        late[..45].fill(State::Bad("failed".into()));
        let text = lines(&late, false).text(10, 80);
        assert!(text.starts_with("  s42 ") && text.contains("s45") && text.contains("s49"), "{text}");
    }
}
