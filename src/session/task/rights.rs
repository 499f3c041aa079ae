//! What a session does because the settings were reloaded.

use tokio::time::Instant;

use super::super::State;
use super::super::end::End;
use super::super::outbox::StreamId;
use super::Task;
use crate::access::{Lost, Standing};

impl Task {
    /// Ends a session that nobody may use any more, and requests of those who may not use a shared one.
    pub(super) fn review(&mut self, state: &mut State, now: Instant) -> Result<(), End> {
        if !self.standing.take_change() {
            return Ok(());
        }
        check(&self.standing, self.is_shared()).map_err(End::Revoked)?;
        let revoked: Vec<StreamId> = state
            .callers
            .iter()
            .filter(|(_, key)| !self.standing.holds(key))
            .map(|(stream, _)| *stream)
            .collect();
        for stream in revoked {
            for (error, cancelled) in state.exchange.revoke(stream, Lost::Secret.reason()) {
                let _ = state.address(error, now);
                self.session.forward(state, cancelled, now);
            }
        }
        Ok(())
    }
}

/// Resolves once nobody may use the session any more.
pub(super) async fn lost(mut standing: Standing, shared: bool) -> End {
    loop {
        standing.changed().await;
        if let Err(lost) = check(&standing, shared) {
            return End::Revoked(lost);
        }
    }
}

/// A session belongs to the secret that opened it; one that clients share, to their tenant.
fn check(standing: &Standing, shared: bool) -> Result<(), Lost> {
    if shared { standing.check_tenant() } else { standing.check() }
}
