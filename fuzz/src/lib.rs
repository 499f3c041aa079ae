//! What the targets share: messages made out of arbitrary bytes, and a second reader of JSON to hold
//! against the first.

mod make;
mod read;

pub use self::make::{Case, Text};
pub use self::read::{Doubled, at, same, spliced};

/// A member that requests of the stateless era must have in `_meta`.
pub const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The other one.
pub const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// The member of `_meta` that names a subscription.
pub const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
