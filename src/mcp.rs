//! The wire vocabulary of MCP: envelopes, ids, errors. Nothing here does I/O, knows a clock or starts a
//! task, so all of it can be tested as plain functions. `bridge` stands between two eras.

mod batch;
mod bridge;
mod discover;
mod edits;
mod error;
mod event_stream;
mod frame;
mod handshake;
mod id;
mod introduction;
mod ladder;
mod listing;
mod members;
mod mirror;
mod profile;
mod related;
mod repeated;
mod scan;
mod seal;
mod splice;
mod tools;
mod usage;
mod version;

pub use self::bridge::{Bridge, ForClient, Passed, Sides};
pub use self::discover::{discover, era_shown, is_probe, list_tools};
pub use self::error::{Code, Failure, error_code, error_frame, error_message};
pub use self::event_stream::{Event, EventName, EventStream, TooLong};
pub use self::frame::{Frame, Kind, Malformed, Method};
pub use self::handshake::{agreed_revision, initialize, initialized, server_info, started_over};
pub use self::id::RequestId;
pub use self::introduction::Introduction;
pub use self::ladder::{Enveloped, Misfit, era_of};
pub use self::listing::{Listed, Unlisted};
pub use self::mirror::Mirror;
pub use self::profile::Profile;
pub use self::related::{Origin, asked_progress, cancelled, progress, subscription, subscription_ended};
pub use self::repeated::{Repeated, called_tool};
pub use self::scan::IdScanner;
pub use self::seal::Seal;
pub use self::tools::ToolHeaders;
pub use self::usage::Misuse;
pub use self::version::{Era, HANDSHAKE_VERSIONS, STATELESS_VERSIONS, is_handshake_version};
