//! Reads server-sent events as they come in, in pieces of any size (WHATWG HTML, section 9.2.6).
//!
//! Data is copied once at most: out of the piece that it came in, or, where that holds little else, not at all.

mod pending;

use bytes::{Buf, Bytes, BytesMut};

use self::pending::Pending;

/// One event with data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its type; `message` if it names none.
    pub name: EventName,
    /// Its data as it came, lines joined by a line feed. Whether it is UTF-8 was not looked at.
    pub data: Bytes,
}

/// The types of events that MCP has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventName {
    /// `message`: one JSON-RPC message.
    #[default]
    Message,
    /// `endpoint`: where the transport of 2024-11-05 takes messages.
    Endpoint,
    /// Any other, which says nothing to us.
    Other,
}

/// An event's data, or a line beside it, is longer than it may be, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event has more than {0} bytes")]
pub struct TooLong(pub usize);

/// Takes pieces of a stream and gives its events. Holds no more than the longest event and one piece.
#[derive(Debug)]
pub struct EventStream {
    max: usize,
    /// What has come and was not read yet.
    unread: Bytes,
    /// How much of a byte order mark has come, until something else has.
    mark: Option<usize>,
    /// The line before ended with a CR, of which a LF may be the second half.
    after_cr: bool,
    line: Line,
    event: Pending,
    last_id: Option<Box<str>>,
    retry_ms: Option<u64>,
    broken: Option<TooLong>,
}

/// The line whose end has not come.
#[derive(Debug)]
enum Line {
    /// Not enough of it to say whether it is data; empty between two lines.
    Start(BytesMut),
    /// Data, which is put where it belongs as it comes.
    Data,
    /// A field that is read once all of it is there.
    Field(BytesMut),
    Comment,
}

const MARK: &[u8] = b"\xef\xbb\xbf";
const DATA: &[u8] = b"data:";
/// The longest line that is neither data nor a comment, in bytes.
const MAX_FIELD: usize = 8 * 1024;

// === impl EventStream ===

impl EventStream {
    /// For events with at most `max` bytes of data.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            unread: Bytes::new(),
            mark: Some(0),
            after_cr: false,
            line: Line::default(),
            event: Pending::default(),
            last_id: None,
            retry_ms: None,
            broken: None,
        }
    }

    /// The id of the last whole event that had one, with data or without: where to go on after a break.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// How long the server wants us to wait before we come back, in milliseconds.
    pub fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// What it holds of an event that has not come whole, in bytes.
    pub fn held(&self) -> usize {
        self.unread.len() + self.event.len()
    }

    /// Takes what has come. Best once [`EventStream::next_event`] has no more of what came before.
    pub fn feed(&mut self, piece: Bytes) {
        self.unread = match &self.unread[..] {
            [] => piece,
            rest => [rest, &piece].concat().into(),
        };
    }

    /// The next whole event with data, if there is one. An event that the stream ends in is none.
    ///
    /// # Errors
    /// If one is too long; the stream is of no more use then, and says so again.
    pub fn next_event(&mut self) -> Result<Option<Event>, TooLong> {
        if let Some(too_long) = self.broken {
            return Err(too_long);
        }
        self.read().inspect_err(|too_long| {
            // What was read of it goes; where to go on is still good.
            let (last_id, retry_ms) = (self.last_id.take(), self.retry_ms);
            *self = Self { broken: Some(*too_long), last_id, retry_ms, ..Self::new(self.max) };
        })
    }

    fn read(&mut self) -> Result<Option<Event>, TooLong> {
        self.skip_mark()?;
        while let Some(first) = self.unread.first() {
            if std::mem::take(&mut self.after_cr) && *first == b'\n' {
                self.unread.advance(1);
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', &self.unread) else {
                let part = std::mem::take(&mut self.unread);
                self.part_of_line(&part)?;
                break;
            };
            let rest_of_line = self.unread.split_to(end);
            self.after_cr = self.unread[0] == b'\r';
            self.unread.advance(1);
            if let Some(event) = self.end_of_line(rest_of_line)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// A byte order mark may come first, in pieces too; what only began like one is text.
    fn skip_mark(&mut self) -> Result<(), TooLong> {
        while let (Some(seen), Some(byte)) = (self.mark, self.unread.first()) {
            if MARK[seen] == *byte {
                self.unread.advance(1);
                self.mark = Some(seen + 1).filter(|seen| *seen < MARK.len());
            } else {
                self.mark = None;
                self.part_of_line(&MARK[..seen])?;
            }
        }
        Ok(())
    }

    fn part_of_line(&mut self, mut part: &[u8]) -> Result<(), TooLong> {
        if let Line::Start(start) = &mut self.line {
            // One more byte than the name: a space after it is no data.
            let missing = (DATA.len() + 1 - start.len()).min(part.len());
            start.extend_from_slice(&part[..missing]);
            part = &part[missing..];
            if start.len() <= DATA.len() {
                return Ok(());
            }
            let start = std::mem::take(start);
            self.line = match start.strip_prefix(DATA) {
                Some(value) => {
                    self.event.begin_line();
                    self.event.more_data(value.strip_prefix(b" ").unwrap_or(value), self.max)?;
                    Line::Data
                }
                None if start.starts_with(b":") => Line::Comment,
                None => Line::Field(start),
            };
        }
        match &mut self.line {
            Line::Start(_) | Line::Comment => Ok(()),
            Line::Data => self.event.more_data(part, self.max),
            Line::Field(line) if line.len() + part.len() > MAX_FIELD => Err(TooLong(MAX_FIELD)),
            Line::Field(line) => {
                line.extend_from_slice(part);
                Ok(())
            }
        }
    }

    fn end_of_line(&mut self, rest: Bytes) -> Result<Option<Event>, TooLong> {
        if self.line.is_new() {
            return self.whole_line(rest);
        }
        self.part_of_line(&rest)?;
        match std::mem::take(&mut self.line) {
            Line::Start(line) | Line::Field(line) => self.whole_line(line.freeze()),
            Line::Data | Line::Comment => Ok(None),
        }
    }

    fn whole_line(&mut self, line: Bytes) -> Result<Option<Event>, TooLong> {
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        let (name, value) = match memchr::memchr(b':', &line) {
            // A comment.
            Some(0) => return Ok(None),
            Some(at) => {
                let from = at + 1 + usize::from(line.get(at + 1) == Some(&b' '));
                (&line[..at], line.slice(from..))
            }
            None => (&line[..], Bytes::new()),
        };
        match name {
            b"data" => self.event.line_of_data(value, self.max)?,
            _ if line.len() > MAX_FIELD => return Err(TooLong(MAX_FIELD)),
            b"event" => self.event.name = EventName::of(&value),
            b"id" if !value.contains(&0) => {
                // What is no text could not be said again.
                self.event.id = std::str::from_utf8(&value).ok().map(Into::into).or(self.event.id.take());
            }
            b"retry" => self.retry_ms = milliseconds(&value).or(self.retry_ms),
            _ => {}
        }
        Ok(None)
    }

    /// An empty line ends an event. Its id counts even if it has no data, and an empty one takes back the last.
    fn dispatch(&mut self) -> Option<Event> {
        let mut event = std::mem::take(&mut self.event);
        if let Some(id) = event.id.take() {
            self.last_id = Some(id).filter(|id| !id.is_empty());
        }
        event.whole()
    }
}

/// Digits only; anything else is as if it were not there.
fn milliseconds(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value).ok()?;
    // `parse` alone would take a sign as well.
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

impl EventName {
    fn of(value: &[u8]) -> Self {
        match value {
            b"" | b"message" => Self::Message,
            b"endpoint" => Self::Endpoint,
            _ => Self::Other,
        }
    }
}

// === impl Line ===

impl Default for Line {
    fn default() -> Self {
        Self::Start(BytesMut::new())
    }
}

impl Line {
    fn is_new(&self) -> bool {
        matches!(self, Self::Start(start) if start.is_empty())
    }
}

#[cfg(test)]
mod tests;
