//! The event that is being read, and where its data is.

use bytes::{Bytes, BytesMut};

use super::{Event, EventName, TooLong};

/// The event that is being read.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) name: EventName,
    /// Its data, as long as that is one line in the piece that it came in.
    piece: Option<Bytes>,
    /// Its data in bytes of its own.
    own: Option<BytesMut>,
    pub(super) id: Option<Box<str>>,
}

/// Data from this size on stays in the piece that it came in. Less gets bytes of its own, so that whoever keeps a
/// small message does not keep the large buffer that some reader had for it.
pub(super) const SHARED: usize = 32 * 1024;

impl Pending {
    pub(super) fn line_of_data(&mut self, value: Bytes, max: usize) -> Result<(), TooLong> {
        if self.piece.is_none() && self.own.is_none() && (SHARED..=max).contains(&value.len()) {
            self.piece = Some(value);
            return Ok(());
        }
        self.begin_line();
        self.more_data(&value, max)
    }

    pub(super) fn begin_line(&mut self) {
        if let Some(piece) = self.piece.take() {
            self.own = Some(piece.into());
        }
        match &mut self.own {
            Some(lines) => lines.extend_from_slice(b"\n"),
            None => self.own = Some(BytesMut::new()),
        }
    }

    pub(super) fn more_data(&mut self, value: &[u8], max: usize) -> Result<(), TooLong> {
        let own = self.own.get_or_insert_default();
        if own.len() + value.len() > max {
            return Err(TooLong(max));
        }
        own.extend_from_slice(value);
        Ok(())
    }

    /// How much data it has, in bytes.
    pub(super) fn len(&self) -> usize {
        self.piece.as_ref().map_or(0, Bytes::len) + self.own.as_ref().map_or(0, BytesMut::len)
    }

    /// The event that it has become, if it has data.
    pub(super) fn whole(self) -> Option<Event> {
        let data = self.piece.or(self.own.map(BytesMut::freeze))?;
        Some(Event { name: self.name, data })
    }
}
