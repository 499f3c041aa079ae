//! What nodes tell one another by the store.

use std::sync::LazyLock;

use redis::Script;

use super::{Away, NODES, REVOKED, Store, TOLD};

/// What was heard since the start, counted. Each number says something only by having changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The store may have forgotten what it was told, or has never heard it: it is to be told again.
    pub again: u64,
    /// Another node's operator has had the settings read again.
    pub reloads: u64,
    /// Secrets were revoked.
    pub revocations: u64,
}

/// What a heartbeat brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beat {
    /// Whether the store knew that this node lives.
    pub(super) known: bool,
    /// Live nodes.
    pub(super) live: usize,
    /// Reloads that other nodes have told, ever.
    pub(super) reloads: u64,
    /// Revocations that were told, ever.
    pub(super) revocations: u64,
    /// Since when it counts: another time than before is of a store that has lost everything.
    pub(super) since: u64,
}

/// What was heard last.
#[derive(Debug, Default)]
pub(super) struct Heard(Option<Counted>);

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    reloads: u64,
    revocations: u64,
    since: u64,
}

/// Counts up what this node tells, and what all of them do: a node need not hear its own word.
static RELOAD: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "redis.call('HINCRBY', KEYS[1], 'reloads:' .. ARGV[1], 1)
         return redis.call('HINCRBY', KEYS[1], 'reloads', 1)",
    )
});
/// Adds secrets to those that are revoked, if they are not there yet, and says which are.
static REVOKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local new = 0
         for _, secret in ipairs(ARGV) do new = new + redis.call('SADD', KEYS[1], secret) end
         if new > 0 then redis.call('HINCRBY', KEYS[2], 'revocations', 1) end
         return redis.call('SMEMBERS', KEYS[1])",
    )
});
/// Takes a node out that ends.
static LEAVE: LazyLock<Script> = LazyLock::new(|| Script::new("return redis.call('ZREM', KEYS[1], ARGV[1])"));

impl Store {
    /// Has all other nodes read their settings again.
    ///
    /// # Errors
    /// If the store is out of reach.
    pub async fn tell_reload(&self) -> Result<(), Away> {
        self.call(&RELOAD, &[TOLD], &self.0.member).await
    }

    /// Tells all nodes that these secrets are revoked, each written as settings have it. Which are, these among them.
    ///
    /// # Errors
    /// If the store is out of reach.
    pub async fn tell_revoked(&self, secrets: &[String]) -> Result<Vec<String>, Away> {
        self.call(&REVOKE, &[REVOKED, TOLD], secrets).await
    }

    /// Says that this node ends, so that what it held counts no more. If that is not heard, it is so a little later.
    pub async fn leave(&self) {
        let _: Result<(), Away> = self.call(&LEAVE, &[NODES], &self.0.member).await;
    }
}

impl Heard {
    /// What is new to who has heard this much until now. `fresh` says that the connection is.
    pub(super) fn hear(&mut self, beat: Beat, fresh: bool, told: &mut Told) -> bool {
        let before = *told;
        let now = Counted { reloads: beat.reloads, revocations: beat.revocations, since: beat.since };
        let heard = match self.0 {
            Some(heard) if heard.since == now.since => heard,
            // It has counted anew.
            Some(_) => Counted::default(),
            // What was told before this node came is in the settings that it has read.
            None => Counted { reloads: now.reloads, ..Counted::default() },
        };
        told.again += u64::from(fresh || !beat.known);
        told.reloads += u64::from(now.reloads != heard.reloads);
        told.revocations += u64::from(now.revocations != heard.revocations);
        self.0 = Some(now);
        *told != before
    }

    /// Nothing could be heard. At the start that means that something may have been missed.
    pub(super) fn miss(&mut self) {
        self.0.get_or_insert_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEAT: Beat = Beat { known: true, live: 1, reloads: 0, revocations: 0, since: 1 };

    #[test]
    fn what_was_told_before_a_node_came_is_no_news_but_for_revocations() {
        let (mut heard, mut told) = (Heard::default(), Told::default());
        assert!(heard.hear(Beat { reloads: 7, revocations: 2, ..BEAT }, true, &mut told));
        assert_eq!(told, Told { again: 1, reloads: 0, revocations: 1 });
        assert!(!heard.hear(Beat { reloads: 7, revocations: 2, ..BEAT }, false, &mut told));
        assert!(heard.hear(Beat { reloads: 8, revocations: 3, ..BEAT }, false, &mut told));
        assert_eq!(told, Told { again: 1, reloads: 1, revocations: 2 });
    }

    #[test]
    fn who_could_not_hear_at_the_start_may_have_missed_a_reload() {
        let (mut heard, mut told) = (Heard::default(), Told::default());
        heard.miss();
        heard.hear(Beat { reloads: 7, ..BEAT }, true, &mut told);
        assert_eq!(told.reloads, 1);
        heard.miss();
        heard.hear(Beat { reloads: 7, ..BEAT }, true, &mut told);
        assert_eq!((told.reloads, told.again), (1, 2));
    }

    #[test]
    fn a_store_that_has_lost_everything_is_told_again_and_tells_no_reload() {
        let (mut heard, mut told) = (Heard::default(), Told::default());
        heard.hear(Beat { reloads: 7, ..BEAT }, true, &mut told);
        let since = 2;
        heard.hear(Beat { known: false, since, ..BEAT }, false, &mut told);
        assert_eq!(told, Told { again: 2, reloads: 0, revocations: 0 });
        heard.hear(Beat { reloads: 1, since, ..BEAT }, false, &mut told);
        assert_eq!(told.reloads, 1);
    }

    #[test]
    fn a_reload_that_is_told_to_a_store_which_has_lost_the_others_is_heard() {
        let (mut heard, mut told) = (Heard::default(), Told::default());
        heard.hear(Beat { reloads: 1, ..BEAT }, true, &mut told);
        heard.miss();
        heard.hear(Beat { known: false, reloads: 1, since: 2, ..BEAT }, true, &mut told);
        assert_eq!(told.reloads, 1);
    }
}
