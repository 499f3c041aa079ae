//! What this node hears from others by the store, and has them hear.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::http::Front;
use crate::store::{Away, Store, Told};

/// How reloads go round. Without a store they do not.
#[derive(Debug)]
pub(super) struct Reloads(Option<Round>);

#[derive(Debug)]
struct Round {
    store: Store,
    told: watch::Receiver<Told>,
    /// What was heard until now.
    before: Told,
    /// A reload that the store has not heard of yet.
    owed: bool,
}

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Another node's operator has had the settings read again.
    Reload,
    /// The store can be reached again, and has a reload to hear of.
    Owed,
}

/// When to ask again that the store has refused.
const AGAIN: Duration = Duration::from_secs(5);

impl Reloads {
    pub(super) fn new(store: Option<Store>) -> Self {
        let round = |store: Store| Round { told: store.told(), store, before: Told::default(), owed: false };
        Self(store.map(round))
    }

    /// Resolves when there is something to do because of other nodes; never without a store.
    pub(super) async fn news(&mut self) -> News {
        match &mut self.0 {
            Some(round) => round.news().await,
            None => std::future::pending().await,
        }
    }

    /// Tells what is owed, if anything is.
    pub(super) async fn settle(&mut self) {
        if let Some(round) = &mut self.0
            && round.owed
        {
            round.tell().await;
        }
    }

    /// Has other nodes read their settings again: now, or once the store can be reached. Adds that to what the operator
    /// hears of the reload.
    pub(super) async fn tell(&mut self, mut summary: String) -> String {
        if let Some(round) = &mut self.0 {
            round.tell().await;
            summary += "; the other nodes are told";
            if round.owed {
                summary += " once the store can be reached";
            }
        }
        summary
    }
}

impl Round {
    async fn news(&mut self) -> News {
        loop {
            if self.told.changed().await.is_err() {
                return std::future::pending().await;
            }
            let now = *self.told.borrow();
            let before = std::mem::replace(&mut self.before, now);
            if now.reloads != before.reloads {
                return News::Reload;
            }
            if self.owed && now.again != before.again {
                return News::Owed;
            }
        }
    }

    async fn tell(&mut self) {
        self.owed = self.store.tell_reload().await == Err(Away);
    }
}

/// Has this node revoke what others have, and the store know what this one has: after it was lost, too.
pub(super) async fn follow_revocations(store: Store, front: Arc<Front>) {
    let mut told = store.told();
    // What was told before this.
    told.mark_changed();
    while told.changed().await.is_ok() {
        while let Err(Away) = exchange(&store, &front).await {
            if store.is_away() {
                // Its return is told.
                break;
            }
            sleep(AGAIN).await;
        }
    }
}

async fn exchange(store: &Store, front: &Front) -> Result<(), Away> {
    let all = store.tell_revoked(&front.policy().gate.revoked()).await?;
    // What is no secret's hash was put there by somebody else.
    let news = front.policy().gate.revoke_told(all.iter().filter_map(|text| text.parse().ok()));
    if news > 0 {
        tracing::info!(secrets = news, "other nodes have told of secrets that are revoked");
    }
    Ok(())
}
