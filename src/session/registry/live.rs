//! Sessions by their ids, for every request that names one.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::super::Session;
use crate::ids::SessionId;

type Shard = RwLock<HashMap<SessionId, Arc<Session>>>;

/// In parts, each with a lock of its own: workers look into it at each message, and seldom into the same part at
/// the same time.
#[derive(Debug, Default)]
pub(super) struct Live([Shard; SHARDS]);

const SHARDS: usize = 32;

impl Live {
    pub(super) fn insert(&self, session: Arc<Session>) {
        let mut live = self.shard(&session.id).write().unwrap_or_else(PoisonError::into_inner);
        live.insert(session.id.clone(), session);
    }

    pub(super) fn remove(&self, id: &SessionId) {
        self.shard(id).write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    pub(super) fn find(&self, id: &SessionId) -> Option<Arc<Session>> {
        self.shard(id).read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn shard(&self, id: &SessionId) -> &Shard {
        // Ids are random, each of their letters, too; but not the name of a node that they begin with.
        &self.0[id.reveal().bytes().next_back().map_or(0, usize::from) % SHARDS]
    }
}
