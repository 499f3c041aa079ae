//! The protocol revisions that begin with `initialize`.

/// Every revision of the handshake era, oldest first; `2024-10-07` is what old TypeScript SDKs send.
pub const HANDSHAKE_VERSIONS: [&str; 5] =
    ["2024-10-07", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// Whether a client that names this revision speaks with a handshake.
pub fn is_handshake_version(version: &str) -> bool {
    HANDSHAKE_VERSIONS.contains(&version)
}
