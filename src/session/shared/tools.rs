//! What is known of a shared backend's tools: which of their arguments must be repeated in headers.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};

use super::super::Session;
use super::super::refusal::Undelivered;
use crate::catalog::Offer;
use crate::mcp::{Code, Failure, ToolHeaders, list_tools};

/// The last question to a backend for its tools.
#[derive(Debug, Default)]
pub(in crate::session) struct Tools(Mutex<Option<Asked>>);

/// Such a question, and the answer once it is there.
#[derive(Debug)]
struct Asked {
    /// How long it is believed.
    until: Instant,
    answer: Arc<OnceCell<Arc<ToolHeaders>>>,
}

/// How long a list of tools is believed, if the backend does not say that it has changed.
const TOOLS_LAST: Duration = Duration::from_secs(60);
/// Pages of tools that are read.
const MAX_PAGES: usize = 64;

/// A request that waits until it is known which headers it must have. All of them together take no more
/// than the queue to the backend would.
pub(super) struct Waiting<'s>(&'s Session, usize);

impl<'s> Waiting<'s> {
    pub(super) fn new(session: &'s Session, size: usize) -> Result<Self, Undelivered> {
        let others = session.waiting.fetch_add(size, Ordering::Relaxed);
        let waiting = Self(session, size);
        if others > session.max_queue { Err(Undelivered::Busy) } else { Ok(waiting) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(self.1, Ordering::Relaxed);
    }
}

impl Tools {
    fn asked(&self) -> MutexGuard<'_, Option<Asked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// The headers that this backend's tools want repeated; asked for once, by whoever comes first. If it
    /// refuses to tell, or has ended, its answer to the call itself will say more; one that says nothing
    /// must not make us skip the check.
    pub(super) async fn tool_headers(self: &Arc<Self>) -> Result<Arc<ToolHeaders>, Failure> {
        let answer = {
            let (mut asked, now) = (self.tools.asked(), Instant::now());
            match &*asked {
                Some(asked) if now < asked.until => asked.answer.clone(),
                _ => asked.insert(Asked { until: now + TOOLS_LAST, answer: Arc::default() }).answer.clone(),
            }
        };
        let listing = async { self.list_tools().await.map(Arc::new).ok_or(()) };
        let known = timeout(self.start_timeout, answer.get_or_try_init(|| listing)).await;
        let silent = |_| {
            let server = self.plan.server();
            let reason = format!("the server {server} did not tell which tools it has; try again");
            Failure::new(Code::Internal, reason)
        };
        known.map(|known| known.cloned().unwrap_or_default()).map_err(silent)
    }

    async fn list_tools(self: &Arc<Self>) -> Option<ToolHeaders> {
        let mut headers = ToolHeaders::default();
        let mut cursor = None;
        for _ in 0..MAX_PAGES {
            let question = list_tools(cursor.as_deref());
            let mut reader = self.deliver([question], None, &Offer::EVERYTHING, Instant::now()).ok()??;
            let answer = reader.next().await?.frames.pop().filter(|answer| !answer.is_error())?;
            cursor = headers.add_page(&answer);
            if cursor.is_none() {
                break;
            }
        }
        Some(headers)
    }

    /// The same as far as they are known, for who has passed the check with this request already: a backend that does
    /// one thing at a time, and waits for what this brings, could not list them now.
    pub(super) fn known_tool_headers(&self) -> Arc<ToolHeaders> {
        self.tools.asked().as_ref().and_then(|asked| asked.answer.get().cloned()).unwrap_or_default()
    }

    /// The backend has said that its tools are others now.
    pub(in crate::session) fn forget_tools(&self) {
        if let Some(asked) = &mut *self.tools.asked() {
            asked.until = Instant::now();
        }
    }
}
