//! The levels of a server's log, of which a client of the stateless era names one in each request, while a server of
//! the handshake era keeps the one that it was told last.

use super::frame::Frame;
use super::members::{decode, members};

/// How much a line of the log matters (RFC 5424, section 6.2.1), least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

impl Level {
    const NAMED: [(&str, Self); 8] = [
        ("debug", Self::Debug),
        ("info", Self::Info),
        ("notice", Self::Notice),
        ("warning", Self::Warning),
        ("error", Self::Error),
        ("critical", Self::Critical),
        ("alert", Self::Alert),
        ("emergency", Self::Emergency),
    ];

    /// Reads a JSON token.
    pub(super) fn read(token: &str) -> Option<Self> {
        let name = decode(token)?;
        Self::NAMED.iter().find(|(own, _)| *own == name).map(|(_, level)| *level)
    }

    /// Of a message whose parameters name one: a line of the log, or `logging/setLevel`.
    pub(super) fn of(message: &Frame) -> Option<Self> {
        members(message.payload(), ["level"]).ok().and_then(|[level]| Self::read(level?))
    }

    pub(super) fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, level)| *level == self).map_or("debug", |(name, _)| name)
    }

    /// What may be asked for, in words.
    pub(super) fn names() -> String {
        Self::NAMED.map(|(name, _)| name).join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_the_order_of_what_matters() {
        let read = |name: &str| Level::read(&format!("\"{name}\"")).unwrap();
        assert!(read("debug") < read("info") && read("warning") < read("error"));
        assert!(read("alert") < read("emergency"));
        assert!(Level::NAMED.iter().all(|(name, level)| read(name) == *level && level.name() == *name));
        for token in [r#""verbose""#, "1", "null", r#""Info""#] {
            assert_eq!(Level::read(token), None, "{token}");
        }
    }
}
