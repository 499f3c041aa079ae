//! How the process lives and ends: who may start tasks, and how they are told to stop.
//!
//! A task runs on the runtime of whoever starts it: for a session that is the HTTP worker that holds its
//! stream, so a message crosses no thread in between. Workers are stopped only after every task is done.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// The handle that everything long-lived holds. Clones are the same lifecycle.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    /// Cancelled when nothing new may begin; what runs may finish.
    drain: CancellationToken,
    /// Cancelled when what still runs must end.
    end: CancellationToken,
    /// The same again for who asks at each message: the tokens take a lock that all would share.
    stage: Arc<AtomicU8>,
    tasks: TaskTracker,
}

const DRAINING: u8 = 1;
const ENDING: u8 = 2;

impl Lifecycle {
    /// Starts a task that the shutdown waits for. It must end by itself once [`Self::ending`] is reached.
    #[expect(clippy::disallowed_methods, reason = "the one place where tasks are started")]
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(tokio::spawn(self.tasks.track_future(task)));
    }

    /// Starts a task that ends when the returned handle is dropped, at the latest.
    #[expect(clippy::disallowed_methods, reason = "the one place where tasks are started")]
    pub fn spawn_bound(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
        AbortOnDropHandle::new(tokio::spawn(task))
    }

    /// Whether new sessions are refused.
    pub fn is_draining(&self) -> bool {
        self.stage.load(Ordering::Acquire) >= DRAINING
    }

    /// Whether what still runs must end.
    pub fn is_ending(&self) -> bool {
        self.stage.load(Ordering::Acquire) >= ENDING
    }

    /// Resolves once new sessions are refused.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Resolves once what still runs must end.
    pub async fn ending(&self) {
        self.end.cancelled().await;
    }

    /// Refuses what is new, lets what runs finish within `grace`, then ends it and waits until it is gone,
    /// `last` at most. Says whether everything was gone by then.
    pub async fn shut_down(&self, grace: Duration, last: Duration) -> bool {
        self.stage.store(DRAINING, Ordering::Release);
        self.drain.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_ok() {
            return true;
        }
        self.stage.store(ENDING, Ordering::Release);
        self.end.cancel();
        tokio::time::timeout(last, self.tasks.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_runs_may_finish_and_is_then_ended() {
        let lifecycle = Lifecycle::default();
        let stubborn = lifecycle.clone();
        lifecycle.spawn(async move { stubborn.ending().await });
        let begun = tokio::time::Instant::now();
        assert!(lifecycle.shut_down(Duration::from_secs(20), Duration::from_secs(5)).await);
        assert_eq!(begun.elapsed().as_secs(), 20);
        assert!(lifecycle.is_draining());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_never_ends_is_reported() {
        let lifecycle = Lifecycle::default();
        lifecycle.spawn(std::future::pending());
        assert!(!lifecycle.shut_down(Duration::from_secs(1), Duration::from_secs(1)).await);
    }
}
