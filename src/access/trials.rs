//! How often the operator may have a server tried while the gateway serves: each trial starts a process, or reaches
//! out.

use std::num::NonZeroU32;

use super::Operator;
use super::rate::{Allowance, Limiter};

/// What bounds the trials of all servers together. More than enough for whoever watches a dozen of them.
#[derive(Debug)]
pub struct Trials(Limiter);

/// Trials in a minute, all of which may come at once.
const PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(11);

impl Trials {
    /// Counts a trial, and says what is left.
    ///
    /// # Errors
    /// With how long to wait, if there were too many.
    pub fn count(&self, _operator: &Operator) -> Result<Option<Allowance>, Allowance> {
        self.0.decide()
    }
}

impl Default for Trials {
    fn default() -> Self {
        Self(Limiter::of(PER_MINUTE))
    }
}
