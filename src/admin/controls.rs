//! What the operator can have the gateway do as a whole. Whoever owns it carries it out.

use tokio::sync::{mpsc, oneshot, watch};

use crate::access::Intent;
use crate::audit::{self, Event};

/// The operator's end.
#[derive(Clone, Debug)]
pub struct Controls {
    drain: watch::Sender<bool>,
    reloads: mpsc::Sender<oneshot::Sender<Reloaded>>,
}

/// The gateway's end.
#[derive(Debug)]
pub struct Orders {
    drain: watch::Receiver<bool>,
    /// Asks for the settings to be read again, and wants to hear how that went.
    pub reloads: mpsc::Receiver<oneshot::Sender<Reloaded>>,
}

/// How reading the settings again went: what has changed, or why nothing has.
pub type Reloaded = Result<String, String>;

impl Controls {
    /// Both ends.
    pub fn new() -> (Self, Orders) {
        let (drain, asked) = watch::channel(false);
        let (reloads, wanted) = mpsc::channel(1);
        (Self { drain, reloads }, Orders { drain: asked, reloads: wanted })
    }

    /// Has the gateway shut down as a signal would: it drains, then ends.
    pub fn drain(&self, _intent: &Intent) {
        audit::record(Event::OperatorActed("drain", None));
        self.drain.send_replace(true);
    }

    /// Has the settings read again. Comes back when that is done.
    pub async fn reload(&self, _intent: &Intent) -> Reloaded {
        audit::record(Event::OperatorActed("reload the settings", None));
        let (tell, told) = oneshot::channel();
        let gone = || "the gateway is ending".to_owned();
        self.reloads.send(tell).await.map_err(|_| gone())?;
        told.await.map_err(|_| gone())?
    }
}

impl Orders {
    /// What resolves when the gateway is to shut down; never, if there is nobody any more who could want that.
    pub fn drain(&self) -> impl Future<Output = ()> + use<> {
        let mut drain = self.drain.clone();
        async move {
            if drain.wait_for(|asked| *asked).await.is_err() {
                std::future::pending().await
            }
        }
    }
}
