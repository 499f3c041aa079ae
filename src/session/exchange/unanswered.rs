//! Requests that get no answer of the backend any more.

use tokio::time::Instant;

use super::super::outbox::StreamId;
use super::requests::Settled;
use super::{Addressed, Exchange};
use crate::mcp::{Code, Failure, Frame, RequestId, cancelled};

impl Exchange {
    /// Settles the requests whose time is up; each one's error for the client, and what tells the backend.
    pub(in crate::session) fn expire(
        &mut self,
        now: Instant,
        reason: &str,
    ) -> Vec<(Addressed, Option<Frame>)> {
        let expired = self.requests.take_expired(now);
        self.give_up(&expired, reason, "timed out")
    }

    /// Settles the requests of this stream, whose client may not have made them; the same of each.
    pub(in crate::session) fn revoke(
        &mut self,
        stream: StreamId,
        reason: &str,
    ) -> Vec<(Addressed, Option<Frame>)> {
        let revoked = self.requests.take_if(|request| request.stream == stream);
        self.give_up(&revoked, reason, "the client may not use this server any more")
    }

    fn give_up(
        &mut self,
        settled: &[Settled],
        reason: &str,
        to_backend: &str,
    ) -> Vec<(Addressed, Option<Frame>)> {
        let failure = Failure::new(Code::Internal, reason);
        settled.iter().map(|s| (Addressed::failure(s, &failure), self.call_off(&s.id, to_backend))).collect()
    }

    /// What tells the backend that nobody waits for a request any more; nothing if it never heard of it.
    fn call_off(&mut self, id: &RequestId, reason: &str) -> Option<Frame> {
        (!self.release(id)).then(|| cancelled(id, reason))
    }

    /// The client of this stream has gone; what tells the backend.
    pub(in crate::session) fn abandon(&mut self, stream: StreamId) -> Vec<Frame> {
        let settled = self.requests.take_if(|request| request.stream == stream);
        settled.iter().filter_map(|s| self.call_off(&s.id, "the client closed the connection")).collect()
    }

    /// Settles every request of the client with an error.
    pub(in crate::session) fn fail_all(&mut self, failure: &Failure) -> Vec<Addressed> {
        self.requests.take_if(|_| true).iter().map(|settled| Addressed::failure(settled, failure)).collect()
    }
}
