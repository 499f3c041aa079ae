//! How the process lives and ends: who may start tasks, and how they are told to stop.
//!
//! ```text
//! serving ──▶ draining ──▶ finishing ──▶ ending
//!             no new       no new        nothing
//!             sessions     requests      may go on
//! ```
//!
//! Who is alone drains and finishes at the same moment. Where others take the new sessions meanwhile, those that are
//! there are kept for a while, and used.
//!
//! A task runs on the runtime of whoever starts it: for a session that is the HTTP worker that holds its
//! stream, so a message crosses no thread in between. Workers are stopped only after every task is done.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// The handle that everything long-lived holds. Clones are the same lifecycle.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    /// Cancelled when nothing new may begin.
    drain: CancellationToken,
    /// Cancelled when what runs may only finish.
    finish: CancellationToken,
    /// Cancelled when what still runs must end.
    end: CancellationToken,
    /// The same again for who asks at each message: the tokens take a lock that all would share.
    stage: Arc<AtomicU8>,
    /// Whether sessions are kept for a while.
    keeps: Arc<AtomicBool>,
    tasks: TaskTracker,
}

/// Something that is worth waiting for, which no task is.
#[derive(Debug)]
pub struct Hold(#[expect(dead_code, reason = "it is there to be dropped")] oneshot::Sender<()>);

const DRAINING: u8 = 1;
const FINISHING: u8 = 2;
const ENDING: u8 = 3;

impl Lifecycle {
    /// Starts a task that the shutdown waits for. It must end by itself once [`Self::ending`] is reached.
    #[expect(clippy::disallowed_methods, reason = "the one place where tasks are started")]
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(tokio::spawn(self.tasks.track_future(task)));
    }

    /// Starts a task that ends when the returned handle is dropped, at the latest.
    #[expect(clippy::disallowed_methods, reason = "the one place where tasks are started")]
    pub fn spawn_bound<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> AbortOnDropHandle<T> {
        AbortOnDropHandle::new(tokio::spawn(task))
    }

    /// Has the shutdown wait until what is returned is dropped, or until everything must end.
    pub fn hold(&self) -> Hold {
        let (hold, dropped) = oneshot::channel();
        let lifecycle = self.clone();
        self.spawn(async move {
            tokio::select! {
                _ = dropped => {}
                () = lifecycle.ending() => {}
            }
        });
        Hold(hold)
    }

    /// Whether new sessions are refused.
    pub fn is_draining(&self) -> bool {
        self.stage.load(Ordering::Acquire) >= DRAINING
    }

    /// Whether sessions, too, take no more requests, and end once nothing is open.
    pub fn is_finishing(&self) -> bool {
        self.stage.load(Ordering::Acquire) >= FINISHING
    }

    /// Whether what still runs must end.
    pub fn is_ending(&self) -> bool {
        self.stage.load(Ordering::Acquire) >= ENDING
    }

    /// Resolves once new sessions are refused.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Resolves once sessions take no more requests.
    pub async fn finishing(&self) {
        self.finish.cancelled().await;
    }

    /// Resolves once what still runs must end.
    pub async fn ending(&self) {
        self.end.cancelled().await;
    }

    /// Whether sessions were kept for a while when the shutdown began. That is done where others take the new ones
    /// meanwhile, so clients that come back find one of those.
    pub fn others_go_on(&self) -> bool {
        self.keeps.load(Ordering::Acquire)
    }

    /// Refuses what is new, keeps sessions as they are for so long, or not at all; lets what is open finish until
    /// `grace` is over, which began with all this; then ends it and waits until it is gone, `last` at most. Each
    /// step is over early when nothing is left. Says whether everything was gone at the end.
    pub async fn shut_down(&self, kept: Duration, grace: Duration, last: Duration) -> bool {
        let due = Instant::now() + grace;
        self.keeps.store(!kept.is_zero(), Ordering::Release);
        self.stage.store(DRAINING, Ordering::Release);
        self.drain.cancel();
        self.tasks.close();
        if !kept.is_zero() {
            if timeout(kept.min(grace), self.tasks.wait()).await.is_ok() {
                return true;
            }
            tracing::info!("sessions take no more requests");
        }
        self.stage.store(FINISHING, Ordering::Release);
        self.finish.cancel();
        if timeout_at(due, self.tasks.wait()).await.is_ok() {
            return true;
        }
        self.stage.store(ENDING, Ordering::Release);
        self.end.cancel();
        timeout(last, self.tasks.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: Duration = Duration::from_secs(15);
    const GRACE: Duration = Duration::from_secs(20);
    const LAST: Duration = Duration::from_secs(5);

    /// How long after the beginning something comes about.
    async fn seconds_until(begun: Instant, what: impl Future<Output = ()>) -> u64 {
        what.await;
        begun.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn what_runs_may_finish_and_is_then_ended() {
        let lifecycle = Lifecycle::default();
        let stubborn = lifecycle.clone();
        lifecycle.spawn(async move { stubborn.ending().await });
        let begun = Instant::now();
        assert!(lifecycle.shut_down(Duration::ZERO, GRACE, LAST).await);
        assert_eq!(begun.elapsed().as_secs(), 20);
        assert!(lifecycle.is_draining());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_never_ends_is_reported() {
        let lifecycle = Lifecycle::default();
        lifecycle.spawn(std::future::pending());
        assert!(!lifecycle.shut_down(Duration::ZERO, Duration::from_secs(1), Duration::from_secs(1)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_is_waited_for_until_it_is_dropped_or_everything_ends() {
        let lifecycle = Lifecycle::default();
        let (hold, begun) = (lifecycle.hold(), Instant::now());
        let drop_it = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            drop(hold);
        };
        let (gone, ()) = tokio::join!(lifecycle.shut_down(KEPT, GRACE, LAST), drop_it);
        assert_eq!((gone, begun.elapsed().as_secs()), (true, 3));

        let (lifecycle, begun) = (Lifecycle::default(), Instant::now());
        let _hold = lifecycle.hold();
        assert!(lifecycle.shut_down(Duration::ZERO, GRACE, LAST).await);
        assert_eq!(begun.elapsed().as_secs(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_alone_drains_and_finishes_at_once() {
        let lifecycle = Lifecycle::default();
        let begun = Instant::now();
        let session = lifecycle.clone();
        lifecycle.spawn(async move { session.finishing().await });
        assert!(lifecycle.shut_down(Duration::ZERO, GRACE, LAST).await);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert!(lifecycle.is_finishing() && !lifecycle.others_go_on());
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_that_are_kept_have_what_is_left_of_the_grace_to_finish() {
        let lifecycle = Lifecycle::default();
        let begun = Instant::now();
        let stubborn = lifecycle.clone();
        lifecycle.spawn(async move { stubborn.ending().await });
        let stages = async {
            let draining = seconds_until(begun, lifecycle.draining()).await;
            let refuses = (lifecycle.is_draining(), lifecycle.is_finishing());
            let finishing = seconds_until(begun, lifecycle.finishing()).await;
            assert_eq!((refuses, lifecycle.is_ending()), ((true, false), false));
            [draining, finishing, seconds_until(begun, lifecycle.ending()).await]
        };
        let (gone, stages) = tokio::join!(lifecycle.shut_down(KEPT, GRACE, LAST), stages);
        assert_eq!((gone, stages), (true, [0, 15, 20]));
        assert!(lifecycle.others_go_on());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_waited_for_once_no_session_is_left() {
        let lifecycle = Lifecycle::default();
        let begun = Instant::now();
        lifecycle.spawn(tokio::time::sleep(Duration::from_secs(3)));
        assert!(lifecycle.shut_down(KEPT, GRACE, LAST).await);
        assert_eq!(begun.elapsed().as_secs(), 3);
        assert!(!lifecycle.is_finishing());
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_are_not_kept_beyond_the_grace() {
        let lifecycle = Lifecycle::default();
        let begun = Instant::now();
        let session = lifecycle.clone();
        lifecycle.spawn(async move { session.finishing().await });
        assert!(lifecycle.shut_down(GRACE + KEPT, GRACE, LAST).await);
        assert_eq!(begun.elapsed().as_secs(), 20);
    }
}
