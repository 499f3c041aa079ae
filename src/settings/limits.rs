//! `[rate]`, `[limits]` and `[timeouts]`: how often, how much, how long.

use std::num::NonZeroU32;
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// How often a tenant or an address may do something; 0 switches a limit off.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Rate {
    /// Requests of one tenant in a minute.
    pub per_minute: u32,
    /// Requests of one tenant at once.
    pub burst: NonZeroU32,
    /// Wrong secrets from one address in a minute.
    pub failures_per_minute: u32,
    /// Sessions opened by one tenant in a minute.
    pub opens_per_minute: u32,
}

/// How much anything may take.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Limits {
    /// The largest message of a client, in bytes.
    pub message: ByteSize,
    /// The largest message of a child, in bytes.
    pub line: ByteSize,
    /// What may wait in each direction of a session, in bytes, before its source is made to wait. As much
    /// again is kept of what a client may ask for once more.
    pub queue: ByteSize,
    /// Live sessions in all.
    pub sessions: usize,
    /// Live sessions of one tenant.
    pub sessions_per_tenant: usize,
    /// Live sessions of one server.
    pub sessions_per_server: usize,
    /// Children being started at once.
    pub starts: usize,
    /// Open connections in all. Descriptors may allow less.
    pub connections: usize,
    /// Open connections of one address; zero is any number.
    pub connections_per_address: usize,
    /// Bodies of requests that are being taken, of all clients together, in bytes.
    pub in_flight: ByteSize,
}

/// How long anything may take.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Timeouts {
    /// Until a child's first answer, and before that until its packages are there.
    #[serde(with = "humantime_serde")]
    pub start: Duration,
    /// Until the body of a request is whole; large ones have longer, as they come in.
    #[serde(with = "humantime_serde")]
    pub body: Duration,
    /// Until a request is answered; zero is for ever.
    #[serde(with = "humantime_serde")]
    pub request: Duration,
    /// A session without a message from its client ends.
    #[serde(with = "humantime_serde")]
    pub idle: Duration,
    /// A backend that clients of the stateless era share ends after so long without a request.
    #[serde(with = "humantime_serde")]
    pub warm: Duration,
    /// A session of this age ends.
    #[serde(with = "humantime_serde")]
    pub lifetime: Duration,
    /// An idle stream gets a comment this often.
    #[serde(with = "humantime_serde")]
    pub heartbeat: Duration,
    /// A client that takes nothing for this long is cut off.
    #[serde(with = "humantime_serde")]
    pub stalled_reader: Duration,
    /// From the end of a child's stdin to SIGTERM.
    #[serde(with = "humantime_serde")]
    pub eof: Duration,
    /// From SIGTERM to SIGKILL.
    #[serde(with = "humantime_serde")]
    pub term: Duration,
    /// How long requests in flight may finish at shutdown.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
}

impl Limits {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        for (key, size) in
            [("limits.message", self.message), ("limits.line", self.line), ("limits.queue", self.queue)]
        {
            if size < ByteSize::kib(1) || size > ByteSize::gib(1) {
                return Err((key, format!("{size} is outside 1KiB to 1GiB")));
            }
        }
        if self.in_flight < self.message {
            let reason =
                format!("is {}, but one message may be {} (limits.message)", self.in_flight, self.message);
            return Err(("limits.in_flight", reason + "; give at least four times that"));
        }
        if self.connections == 0 {
            return Err(("limits.connections", "0 would refuse everybody; give at least 1".into()));
        }
        for (key, count) in [
            ("limits.sessions", self.sessions),
            ("limits.sessions_per_tenant", self.sessions_per_tenant),
            ("limits.sessions_per_server", self.sessions_per_server),
            ("limits.starts", self.starts),
        ] {
            if count == 0 {
                return Err((key, "0 would refuse every session; give at least 1".into()));
            }
        }
        Ok(())
    }
}

impl Timeouts {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        for (key, duration) in [
            ("timeouts.start", self.start),
            ("timeouts.body", self.body),
            ("timeouts.idle", self.idle),
            ("timeouts.warm", self.warm),
            ("timeouts.lifetime", self.lifetime),
            ("timeouts.heartbeat", self.heartbeat),
            ("timeouts.stalled_reader", self.stalled_reader),
        ] {
            if duration.is_zero() {
                return Err((key, "must be longer than zero".into()));
            }
        }
        if self.lifetime < self.idle {
            let reason = "is shorter than timeouts.idle, which could then never be reached".into();
            return Err(("timeouts.lifetime", reason));
        }
        Ok(())
    }
}
