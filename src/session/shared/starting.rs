//! One at a time starts another backend for the same clients: whether there may be one can take a while to find out,
//! and the others would ask for as many.

use std::sync::Arc;

use tokio::sync::watch;

use super::super::Session;
use super::{ShareKey, Shared, Siblings};

/// Others wait until this is dropped.
#[derive(Debug)]
pub(super) struct Starting<'s> {
    shared: &'s Shared,
    key: &'s ShareKey,
    _open: watch::Sender<()>,
}

impl<'s> Starting<'s> {
    /// Unless somebody else starts one, or has done so since these were all.
    pub(super) fn begin(shared: &'s Shared, key: &'s ShareKey, known: &Siblings) -> Option<Self> {
        let mut warm = shared.warm();
        let sessions = warm.get(key).map_or(&[][..], |siblings| siblings.sessions.as_slice());
        let are_all = sessions.iter().map(Arc::as_ptr).eq(known.sessions.iter().map(Arc::as_ptr));
        if !are_all || warm.get(key).is_some_and(Siblings::is_starting) {
            return None;
        }
        let (open, starting) = watch::channel(());
        warm.entry(key.clone()).or_default().starting = Some(starting);
        Some(Self { shared, key, _open: open })
    }

    /// It runs.
    pub(super) fn done(self, session: Arc<Session>) {
        let mut warm = self.shared.warm();
        let siblings = warm.entry(self.key.clone()).or_default();
        // Whoever waited for it looks at it first.
        session.shared_with(&siblings.freed);
        siblings.sessions.push(session);
        drop(warm);
    }
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        let mut warm = self.shared.warm();
        let Some(siblings) = warm.get_mut(self.key) else { return };
        siblings.starting = None;
        if siblings.is_forgotten() {
            warm.remove(self.key);
        }
    }
}
