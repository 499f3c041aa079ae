//! Serves the operator, from the start until everything else has ended: the page shows how a shutdown gets on.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use super::TIDY_EVERY;
use crate::admin::{self, Admin};
use crate::http::{self, Listening};
use crate::lifecycle::Lifecycle;

/// The admin listener, while it is served.
pub(super) struct LookingIn {
    /// Dropped when there is nothing more to be seen.
    last: oneshot::Sender<()>,
    served: AbortOnDropHandle<()>,
}

impl LookingIn {
    pub(super) fn begin(
        admin: Arc<Admin>,
        listening: Listening,
        stalled: Duration,
        lifecycle: &Lifecycle,
    ) -> io::Result<Self> {
        let server = http::serve_admin(listening, admin::routes(&admin), stalled)?;
        let (last, over) = oneshot::channel();
        let handle = server.handle();
        Ok(Self { last, served: lifecycle.spawn_bound(serve(server, handle, admin, over)) })
    }

    /// Tells who looks that it is over, and comes back once they have heard.
    pub(super) async fn end(self) {
        drop(self.last);
        let _ = self.served.await;
    }
}

/// Sessions go on without.
async fn serve(server: Server, handle: ServerHandle, admin: Arc<Admin>, over: oneshot::Receiver<()>) {
    let mut timer = tokio::time::interval(TIDY_EVERY);
    let updating = admin.keep_up_to_date();
    tokio::pin!(server, updating, over);
    loop {
        tokio::select! {
            result = &mut server => {
                tracing::error!(error = ?result.err(), "the admin listener ended by itself");
                return;
            }
            never = &mut updating => match never {},
            _ = timer.tick() => admin.gate.forget_idle_keys(),
            _ = &mut over => break,
        }
    }
    admin.end_updates();
    let _ = tokio::join!(handle.stop(true), server);
}
