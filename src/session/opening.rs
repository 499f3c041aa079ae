//! How a session comes to be, and how it is found again.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::era::{Known, Verdicts};
use super::refusal::{NotOpened, Undelivered};
use super::registry::{Census, Registry, Seat};
use super::shared::Shared;
use super::task::Task;
use super::{Reader, Session, Transport};
use crate::access::{Opening, Operator};
use crate::backend::{Report, Starter, UidCount};
use crate::catalog::{LaunchPlan, Target};
use crate::ids::{Mint, ServerName, SessionId, TenantId};
use crate::lifecycle::Lifecycle;
use crate::settings::{Limits, Settings, Timeouts};
use crate::store::Store;

/// All sessions of this gateway.
#[derive(Clone, Debug)]
pub struct Sessions {
    pub(super) registry: Arc<Registry>,
    pub(super) shared: Arc<Shared>,
    pub(super) verdicts: Arc<Verdicts>,
    pub(super) starter: Arc<Starter>,
    pub(super) lifecycle: Lifecycle,
    /// Makes their ids.
    pub(super) mint: Mint,
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
}

/// A session whose client does not know of it yet. Dropping it ends the session.
#[derive(Debug)]
pub struct Opened {
    session: Arc<Session>,
    kept: bool,
}

impl Opened {
    /// The session.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The client learns of the session now.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if !self.kept {
            self.session.end();
        }
    }
}

impl Sessions {
    /// No sessions yet.
    pub fn new(settings: &Settings, starter: Arc<Starter>, lifecycle: Lifecycle, mint: Mint) -> Self {
        Self {
            registry: Arc::default(),
            shared: Arc::default(),
            verdicts: Arc::default(),
            starter,
            lifecycle,
            mint,
            limits: settings.limits.clone(),
            timeouts: settings.timeouts.clone(),
        }
    }

    /// No sessions yet; if there is a store, those of a tenant are counted over all nodes that share it.
    pub fn sharing(self, store: Option<Store>) -> Self {
        Self { registry: Arc::new(Registry::sharing(store)), ..self }
    }

    /// The same sessions; further ones are opened under these settings.
    pub fn renewed(&self, settings: &Settings) -> Self {
        Self { limits: settings.limits.clone(), timeouts: settings.timeouts.clone(), ..self.clone() }
    }

    /// Opens a session of the `sse` transport and reads its one stream; otherwise as [`Self::open`].
    ///
    /// # Errors
    /// If it must not or cannot be opened.
    pub async fn open_sse(&self, plan: LaunchPlan, opening: Opening) -> Result<Reader, NotOpened> {
        let opened = self.open(plan, opening, Transport::Sse).await?;
        // Only a session that has ended cannot be listened to.
        let reader = opened.session().listen().map_err(|_| NotOpened::Draining)?;
        opened.keep();
        Ok(reader)
    }

    /// Opens a session of one client. Comes back once the command runs; where others are being started, at
    /// once, and a failure is then told on the stream.
    ///
    /// # Errors
    /// If it must not or cannot be opened.
    pub async fn open(
        &self,
        plan: LaunchPlan,
        _opening: Opening,
        transport: Transport,
    ) -> Result<Opened, NotOpened> {
        let known = Known::of(&plan);
        let (session, seat) = self.seat(plan, transport, known).await?;
        self.registry.insert(session.clone());
        let task = Task::new(session.clone(), seat, self, None);
        let opened = Opened { session, kept: false };
        let (opener, outcome) = oneshot::channel();
        self.lifecycle.spawn(task.run(Some(opener)));
        // A session that has ended without a word tells its client why.
        outcome.await.unwrap_or(Ok(()))?;
        Ok(opened)
    }

    /// Makes room for a session, or tells the operator why there is none. Its task must be made at once.
    pub(super) async fn seat(
        &self,
        plan: LaunchPlan,
        transport: Transport,
        known: Known,
    ) -> Result<(Arc<Session>, Seat), NotOpened> {
        let seat = self.try_seat(&plan).await.inspect_err(|refusal| refusal.tell(&plan))?;
        let (settings, lifecycle) = ((&self.limits, &self.timeouts), self.lifecycle.clone());
        let number = self.registry.number();
        let mint = &self.mint;
        let session = Arc::new(Session::new(number, plan, transport, known, settings, lifecycle, mint)?);
        Ok((session, seat))
    }

    async fn try_seat(&self, plan: &LaunchPlan) -> Result<Seat, NotOpened> {
        if self.lifecycle.is_draining() {
            return Err(NotOpened::Draining);
        }
        self.registry.seat(plan, &self.limits).await
    }

    /// The session with this id, if it is of this transport and belongs to this tenant and server.
    ///
    /// # Errors
    /// [`Undelivered::NoSession`], whatever the reason.
    pub fn find(
        &self,
        id: &SessionId,
        transport: Transport,
        tenant: &TenantId,
        server: &ServerName,
    ) -> Result<Arc<Session>, Undelivered> {
        let session = self.registry.find(id).ok_or(Undelivered::NoSession)?;
        let plan = &session.plan;
        let theirs = plan.tenant() == tenant && plan.server() == server && session.transport == transport;
        if theirs && !session.state().abandoned { Ok(session) } else { Err(Undelivered::NoSession) }
    }

    /// The server of this tenant's session, if it was opened for the server that the target means. A reload
    /// may have taken the command off the allowlist since, in favour of another.
    pub fn server_of(&self, id: &SessionId, tenant: &TenantId, target: &Target) -> Option<ServerName> {
        let plan = &self.registry.find(id)?.plan;
        (plan.tenant() == tenant && plan.is_for(target)).then(|| plan.server().clone())
    }

    /// Has every session see what has changed for all of them: who may do what, or that the gateway is to end. So
    /// none has to wait for that by itself, which would cost something at each message.
    pub fn look_around(&self) {
        self.registry.wake_all();
    }

    /// Tells the sessions of the gateway's end, and other nodes how many there are, as long as it lasts.
    pub async fn follow(self) {
        let ending = async {
            self.lifecycle.finishing().await;
            self.look_around();
            self.lifecycle.ending().await;
            self.look_around();
        };
        tokio::join!(ending, self.registry.keep_told());
    }

    /// How many there may be, and how much each may take.
    pub fn limits(&self, _operator: &Operator) -> &Limits {
        &self.limits
    }

    /// How long anything of them may take, for the operator.
    pub fn timeouts(&self, _operator: &Operator) -> &Timeouts {
        &self.timeouts
    }

    /// How many sessions there are now.
    pub fn active(&self) -> usize {
        self.registry.active()
    }

    /// How many there have been.
    pub fn total(&self) -> u64 {
        self.registry.total()
    }

    /// Who has how many of them, for the operator.
    pub fn census(&self, _operator: &Operator) -> Census {
        self.registry.census()
    }

    /// What their processes are kept from, for the operator.
    pub fn sandbox(&self, _operator: &Operator) -> &Report {
        self.starter.report()
    }

    /// How their user ids are used, for the operator; `None` where they have none of their own.
    pub fn uid_count(&self, _operator: &Operator) -> Option<UidCount> {
        self.starter.uid_count()
    }

    /// How many children of each server wait for a session, for the operator.
    pub fn started_ahead(&self, _operator: &Operator) -> BTreeMap<String, usize> {
        let counts = self.starter.warm_count().into_iter();
        counts.map(|(server, count)| (server.to_string(), count)).collect()
    }

    /// Whether the gateway is shutting down.
    pub fn is_draining(&self) -> bool {
        self.lifecycle.is_draining()
    }
}
