//! What the figures of sessions come to, of one or of many together.

use std::ops::AddAssign;

use serde::Serialize;

use super::Distribution;

/// What has passed through sessions. Rises only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Requests of clients.
    pub calls: u64,
    /// Messages of clients.
    pub messages_in: u64,
    /// Messages of backends.
    pub messages_out: u64,
    /// Bytes of clients' messages.
    pub bytes_in: u64,
    /// Bytes of backends' messages.
    pub bytes_out: u64,
    /// How often a backend has stopped to take what was there for it.
    pub backend_stalls: u64,
    /// How often a backend had to wait because its clients did not read.
    pub client_stalls: u64,
}

/// What waits in sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Queues {
    /// Calls without an answer.
    pub open: usize,
    /// Bytes for backends, in the bridge too.
    pub to_backend: usize,
    /// Bytes for clients who read.
    pub to_client: usize,
}

/// How long calls take.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// In the backend.
    pub backend: Distribution,
    /// In the gateway, on the way there.
    pub way_in: Distribution,
    /// In the gateway, on the way back.
    pub way_out: Distribution,
}

impl Times {
    /// With these as well.
    pub fn join(&mut self, other: &Self) {
        self.backend.join(&other.backend);
        self.way_in.join(&other.way_in);
        self.way_out.join(&other.way_out);
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.messages_in += other.messages_in;
        self.messages_out += other.messages_out;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.backend_stalls += other.backend_stalls;
        self.client_stalls += other.client_stalls;
    }
}

impl AddAssign for Queues {
    fn add_assign(&mut self, other: Self) {
        self.open += other.open;
        self.to_backend += other.to_backend;
        self.to_client += other.to_client;
    }
}
