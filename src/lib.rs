//! Lockgate lets any MCP client on the network use MCP servers that only speak stdio: for many tenants at
//! once, each session with a supervised child process of its own, or a session of its own at a remote server.
//!
//! A request moves down this list, and each step needs the value that only the step before can make, so
//! that a check which is skipped does not compile:
//!
//! ```text
//! bytes → Call → Permit → LaunchPlan → SessionHandle → Frame → Link → Outbox → SSE event or JSON body
//!         http   access   catalog      session         mcp     backend session  http
//! ```
//!
//! Three transports meet in the same sessions: `sse`, `streamable` and `stateless` ([`session::Transport`]).
//! A client's end of a stream is [`session::Reader`], the requests' end of a session [`session::Session`].
//! A request sees one version of the settings from end to end ([`http::Policy`]); what outlives it follows the
//! rights that it rests on ([`access::Standing`]). What is decided on the way is told by [`audit`]; lines of the
//! log say on whose account they are, and spans go to a collector ([`telemetry`]). Several gateways that serve the
//! same clients share limits, reloads and revocations by a [`store`]. The operator looks in, steers,
//! and tries servers, by [`admin`]; what to paste into clients is in [`snippets`]. [`doctor`] tries each server
//! once, for the operator, without any of that. [`gateway`] puts it all together, and [`cli`] runs it.
//!
//! Imports only point down; `tests/layers.rs` holds the table of who may use whom.

pub mod access;
pub mod admin;
pub mod audit;
pub mod backend;
pub mod catalog;
pub mod cli;
pub mod demo;
pub mod doctor;
pub mod gateway;
pub mod http;
pub mod ids;
pub mod lifecycle;
pub mod mcp;
pub mod session;
pub mod settings;
pub mod snippets;
pub mod store;
pub mod telemetry;
