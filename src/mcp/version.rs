//! The protocol revisions, and the two eras they fall into.

use serde::Serialize;

/// How a conversation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Era {
    /// With `initialize`; up to 2025-11-25.
    Handshake,
    /// Not at all: each request says what it needs; from 2026-07-28.
    Stateless,
}

impl Era {
    /// Each with a number of its own, for where one is kept as that.
    pub const ALL: [Self; 2] = [Self::Handshake, Self::Stateless];

    /// The era of a revision, served or not. What is no date counts as old: clients that have sessions were free to
    /// send any text.
    pub fn of(version: &str) -> Self {
        if is_stateless_version(version) { Self::Stateless } else { Self::Handshake }
    }

    /// The revisions of this era that are served.
    pub fn versions(self) -> &'static [&'static str] {
        match self {
            Self::Handshake => &SESSION_VERSIONS,
            Self::Stateless => &STATELESS_VERSIONS,
        }
    }

    /// What a client of the other era is told to do.
    pub(super) fn how(self) -> &'static str {
        match self {
            Self::Handshake => "send `initialize` with one of:",
            Self::Stateless => "send each request by itself, with `params._meta` for one of:",
        }
    }
}

/// The revisions that have sessions, begun by `initialize`: all of the handshake era, oldest first. `2024-10-07` is
/// what old TypeScript SDKs send.
pub const SESSION_VERSIONS: [&str; 5] =
    ["2024-10-07", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// The revisions of the stateless era that are served.
pub(super) const STATELESS_VERSIONS: [&str; 1] = ["2026-07-28"];

/// The newest of them.
pub(super) const NEWEST_SESSION: &str = {
    let [.., newest] = SESSION_VERSIONS;
    newest
};

/// The revision that a session is agreed to have whose client asks for this one: the same if it is served, else the
/// newest that is (MCP 2025-11-25, lifecycle).
pub(super) fn agree(asked: Option<&str>) -> &'static str {
    SESSION_VERSIONS.into_iter().find(|own| asked == Some(own)).unwrap_or(NEWEST_SESSION)
}

/// Whether a client that names this revision may do so in a session.
pub fn is_session_version(version: &str) -> bool {
    SESSION_VERSIONS.contains(&version)
}

/// Whether this names a revision of the stateless era, served or not.
pub(super) fn is_stateless_version(version: &str) -> bool {
    let is_date = |text: &str| {
        text.len() == 10
            && text
                .bytes()
                .enumerate()
                .all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() })
    };
    is_date(version) && version >= STATELESS_VERSIONS[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_the_revision_that_was_asked_for_or_the_newest() {
        assert!(SESSION_VERSIONS.iter().all(|version| agree(Some(version)) == *version));
        for asked in [None, Some("1999"), Some("2026-07-28")] {
            assert_eq!(agree(asked), "2025-11-25");
        }
    }

    #[test]
    fn each_revision_is_of_the_era_that_serves_it() {
        for era in [Era::Handshake, Era::Stateless] {
            assert!(era.versions().iter().all(|version| Era::of(version) == era), "{era:?}");
        }
        assert_eq!(Era::of("2030-01-01"), Era::Stateless);
        for text in ["", "1999", "2026-07-27", "latest", "9999"] {
            assert_eq!(Era::of(text), Era::Handshake, "{text}");
        }
    }
}
