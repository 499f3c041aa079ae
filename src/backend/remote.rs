//! What servers that are reached over the network are reached by.
//!
//! An `endpoint` is a URL that may be asked, by the HTTP client that a thread has for it (`client`). `address` says
//! where servers may be, `unreachable` why one did not answer. `oauth` gets tokens to show to them, each a `secret`.

#[cfg_attr(not(test), expect(dead_code, reason = "used by the conversation"))]
mod address;
mod client;
#[cfg_attr(not(test), expect(dead_code, reason = "used by the conversation"))]
mod endpoint;
#[cfg(test)]
mod listener;
#[cfg_attr(not(test), expect(dead_code, reason = "used by the conversation"))]
mod oauth;
mod secret;
#[cfg_attr(not(test), expect(dead_code, reason = "used by the conversation"))]
mod unreachable;

#[expect(unused_imports, reason = "used by the conversation")]
pub(in crate::backend) use self::{
    address::{Forbidden, Reach},
    endpoint::{Endpoint, Misplaced},
    oauth::{Grant, NoToken, Tokens},
    secret::Secret,
    unreachable::Unreachable,
};
