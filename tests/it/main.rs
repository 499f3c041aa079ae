//! Lockgate from the outside: the real program, real children, real sockets, real kills.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::disallowed_methods, reason = "the house rules on tasks and queues are for the gateway")]

mod abandoned;
mod admin;
mod chaos;
mod client;
mod clients;
mod command_line;
mod conformance;
mod deploy;
mod docker;
mod doctor;
mod edge;
mod environment;
mod era;
mod escape;
mod events;
mod gateway;
mod hostile;
mod isolation;
mod ladder;
mod limits;
mod messages;
mod offer;
mod opening;
mod platform;
mod prefetch;
mod privileges;
mod raw;
mod readable;
mod reload;
mod restricted;
mod resumption;
mod sharing;
mod shutdown;
mod smuggling;
mod standby;
mod starve;
mod stateless;
mod status;
mod streamable;
mod supervision;
mod tenants;
mod traces;
mod users;
mod warm;
