//! What a line of a backend's output is: messages, noise, or too long.

use bytesize::ByteSize;

use crate::backend::Line;
use crate::ids::SessionTag;
use crate::mcp::{Code, Frame, Malformed, error_frame};

/// One thing that a backend said.
pub(super) enum Said {
    /// A message.
    Message(Frame),
    /// The error that stands for a response which was too long.
    TooLong(Frame),
}

/// Reads one line. A batch is split; what is no message is skipped, with a note in the log.
pub(super) fn read_line(line: Line, limit: ByteSize, session: SessionTag) -> Vec<Said> {
    let bytes = match line {
        Line::Whole(bytes) => bytes,
        Line::TooLong { length, id } => {
            tracing::warn!(%session, length, "a message of the server is over limits.line");
            let reason =
                format!("the reply has {length} bytes, more than the {limit} that limits.line allows");
            return id
                .map(|id| Said::TooLong(error_frame(&id, Code::Internal, &reason)))
                .into_iter()
                .collect();
        }
    };
    let frames = match Frame::parse_all(bytes.clone()) {
        // One bad byte must not cost a reply.
        Err(Malformed::NotJson(_)) if std::str::from_utf8(&bytes).is_err() => {
            Frame::parse_all(String::from_utf8_lossy(&bytes).into_owned().into())
        }
        other => other,
    };
    let frames = frames.unwrap_or_else(|fault| vec![Err(fault)]);
    let noise = frames.iter().filter(|frame| frame.is_err()).count();
    if noise > 0 {
        tracing::debug!(%session, length = bytes.len(), "a line on stdout is no message; skipped");
    }
    frames.into_iter().flatten().map(Said::Message).collect()
}
