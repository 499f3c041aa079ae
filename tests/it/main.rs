//! Lockgate from the outside: the real program, real children, real sockets, real kills.

mod client;
mod clients;
mod command_line;
mod deploy;
mod environment;
mod gateway;
mod limits;
mod messages;
mod opening;
mod shutdown;
mod status;
mod supervision;
