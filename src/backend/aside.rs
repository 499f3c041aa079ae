//! Work that blocks, such as removing a directory or waiting for a process that was killed.
//!
//! It gets a thread of its own. A host that has no thread left is no reason to panic, which in the middle of
//! tidying up would abort the gateway: then whoever asks does the work at once, and is late.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// Does the work without waiting for it, if there is a thread for it.
pub(super) fn aside(work: impl FnOnce() + Send + 'static) {
    let work = Arc::new(Mutex::new(Some(work)));
    let theirs = work.clone();
    let started = std::thread::Builder::new().name("aside".into()).spawn(move || take(&theirs));
    if started.is_err() {
        take(&work);
    }
}

/// Does the work and waits for it; `None` if it panicked.
pub(super) async fn aside_until_done<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    aside(move || drop(reply.send(work())));
    answer.await.ok()
}

/// Does the work, unless it has been done.
fn take(work: &Mutex<Option<impl FnOnce()>>) {
    let work = work.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(work) = work {
        work();
    }
}
