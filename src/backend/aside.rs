//! Work that blocks, such as removing a directory or waiting for a process that was killed.
//!
//! A few threads of our own do it, one piece after the other; the runtime's would be waited for when it ends,
//! and would not take what is left to do then. What waits is bounded by the sessions, each of which has a few
//! pieces of work at most. What clients wait for never waits for what sessions have left.
//!
//! A host that has no thread left is no reason to panic, which in the middle of tidying up would abort the
//! gateway: then whoever asks does the work at once, and is late.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// For what a session needs to begin.
pub(super) static STARTS: Aside = Aside::new("starts");
/// For who wants to know how sessions do.
pub(super) static LOOKS: Aside = Aside::new("looks");
/// For what is left when one has ended.
pub(super) static ENDS: Aside = Aside::new("ends");

/// Threads for one kind of work.
pub(super) struct Aside {
    name: &'static str,
    desk: Mutex<Desk>,
    more: Condvar,
}

struct Desk {
    waiting: VecDeque<Work>,
    threads: usize,
    /// Those that have nothing to do.
    idle: usize,
}

type Work = Box<dyn FnOnce() + Send>;

/// Of each kind, made when they are needed.
const MAX_THREADS: usize = 4;

impl Aside {
    const fn new(name: &'static str) -> Self {
        let desk = Desk { waiting: VecDeque::new(), threads: 0, idle: 0 };
        Self { name, desk: Mutex::new(desk), more: Condvar::new() }
    }

    /// Has the work done without waiting for it, if there is a thread for it.
    pub(super) fn begin(&'static self, work: impl FnOnce() + Send + 'static) {
        let mut desk = self.desk();
        desk.waiting.push_back(Box::new(work));
        if desk.idle < desk.waiting.len() && desk.threads < MAX_THREADS {
            let thread = std::thread::Builder::new().name(self.name.into());
            desk.threads += usize::from(thread.spawn(|| self.attend()).is_ok());
        }
        if desk.threads > 0 {
            drop(desk);
            self.more.notify_one();
        } else if let Some(work) = desk.waiting.pop_back() {
            drop(desk);
            work();
        }
    }

    /// Has the work done and waits for it; `None` if it panicked.
    pub(super) async fn until_done<T: Send + 'static>(
        &'static self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.begin(move || drop(reply.send(work())));
        answer.await.ok()
    }

    /// One thread, for as long as the process lives.
    fn attend(&self) {
        let mut desk = self.desk();
        loop {
            if let Some(work) = desk.waiting.pop_front() {
                drop(desk);
                // Who waits for it hears that it was dropped; the panic itself has been told.
                let _ = catch_unwind(AssertUnwindSafe(work));
                desk = self.desk();
            } else {
                desk.idle += 1;
                desk = self.more.wait(desk).unwrap_or_else(PoisonError::into_inner);
                desk.idle -= 1;
            }
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[tokio::test]
    async fn much_work_takes_few_threads_and_a_panic_takes_none_away() {
        static ASIDE: Aside = Aside::new("test");
        for _ in 0..MAX_THREADS * 2 {
            assert_eq!(ASIDE.until_done(|| panic!("on purpose")).await, None::<()>);
        }
        let (begun, running) = sync_channel(100);
        let (let_go, held) = sync_channel::<()>(0);
        let held = std::sync::Arc::new(Mutex::new(held));
        for number in 0..100 {
            let (begun, held) = (begun.clone(), held.clone());
            ASIDE.begin(move || {
                begun.send((number, std::thread::current().id())).unwrap();
                let _ = held.lock().unwrap().recv();
            });
        }
        // All threads are held; nothing more begins.
        let first: Vec<_> = (0..MAX_THREADS).map(|_| running.recv().unwrap()).collect();
        assert_eq!(ASIDE.desk().waiting.len(), 100 - MAX_THREADS);
        drop(let_go);
        let rest = (MAX_THREADS..100).map(|_| running.recv().unwrap());
        let all: Vec<_> = first.into_iter().chain(rest).collect();
        let threads: std::collections::HashSet<_> = all.iter().map(|(_, thread)| *thread).collect();
        let mut numbers: Vec<i32> = all.iter().map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        assert!(threads.len() <= MAX_THREADS && numbers == (0..100).collect::<Vec<_>>());
    }
}
