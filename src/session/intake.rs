//! What the lines of a backend's output are: messages, noise, or too long.

use bytes::Bytes;
use bytesize::ByteSize;

use crate::backend::Line;
use crate::ids::SessionTag;
use crate::mcp::{Code, Frame, error_frame};

/// What a backend has said, read line by line.
pub(super) struct Intake {
    /// Messages in order. An error stands for a response that was too long.
    pub(super) frames: Vec<Frame>,
    limit: ByteSize,
    session: SessionTag,
}

impl Intake {
    /// `limit` is how long a line may be, for the error that says so.
    pub(super) fn new(limit: ByteSize, session: SessionTag) -> Self {
        Self { frames: Vec::new(), limit, session }
    }

    /// Reads one line. A batch is split; what is no message is skipped, with a note in the log.
    pub(super) fn take(&mut self, line: Line) {
        match line {
            Line::Whole(bytes) => self.read(bytes),
            Line::Message(frame) => self.frames.push(frame),
            Line::TooLong { length, id } => {
                tracing::warn!(session = %self.session, length, "a message of the server is over limits.line");
                let limit = self.limit;
                let reason =
                    format!("the reply has {length} bytes, more than the {limit} that limits.line allows");
                self.frames.extend(id.map(|id| error_frame(&id, Code::Internal, &reason)));
            }
        }
    }

    fn read(&mut self, bytes: Bytes) {
        // Nearly every line is one message, which needs no list.
        match Frame::parse(bytes.clone()) {
            Ok(frame) => self.frames.push(frame),
            Err(_) => {
                let frames = Frame::read_all(bytes);
                if frames.is_empty() {
                    self.skip();
                }
                self.frames.extend(frames);
            }
        }
    }

    fn skip(&self) {
        tracing::debug!(session = %self.session, "a line on stdout is no message; skipped");
    }
}
