//! The wire vocabulary of MCP: envelopes, ids, errors. Nothing here does I/O, knows a clock or starts a
//! task, so all of it can be tested as plain functions. The era bridge will live here as well.

mod envelope;
mod error;
mod frame;
mod handshake;
mod id;
mod scan;
mod version;

pub use self::error::{Code, error_frame};
pub use self::frame::{Frame, Kind, Malformed, Method};
pub use self::handshake::{initialize, initialized};
pub use self::id::RequestId;
pub use self::scan::IdScanner;
pub use self::version::{HANDSHAKE_VERSIONS, is_handshake_version};
