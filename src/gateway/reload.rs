//! What a hang-up signal does, or the operator at the admin listener: the settings are read again, and what can
//! change while running does.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use anyhow::bail;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

use super::news::{News, Reloads};
use super::servers::{Servers, look_after};
use crate::admin::Reloaded;
use crate::audit::{self, Changes, Event};
use crate::backend::Starter;
use crate::catalog::Catalog;
use crate::http::Policy;
use crate::lifecycle::Lifecycle;
use crate::settings::Settings;

/// Reads the settings as they were read at the start.
pub type Load = Arc<dyn Fn() -> anyhow::Result<Settings> + Send + Sync>;

/// Holds what can change.
pub(super) struct Reloader {
    load: Load,
    /// The settings in effect.
    running: Settings,
    policy: watch::Sender<Arc<Policy>>,
    starter: Arc<Starter>,
    others: Reloads,
    lifecycle: Lifecycle,
    /// Tells of servers that are new.
    looking: Option<AbortOnDropHandle<()>>,
}

impl Reloader {
    pub(super) fn new(
        load: Load,
        running: Settings,
        policy: watch::Sender<Arc<Policy>>,
        starter: Arc<Starter>,
        others: Reloads,
        lifecycle: Lifecycle,
    ) -> Self {
        Self { load, running, policy, starter, others, lifecycle, looking: None }
    }

    /// Looks after every server. Must be called on a runtime, as all that follows.
    pub(super) fn look_after_all(&self) -> impl Future<Output = ()> + Send + 'static {
        self.look_after(Servers::new())
    }

    /// Looks after the servers in effect, of which there were others before.
    fn look_after(&self, before: Servers) -> impl Future<Output = ()> + Send + 'static {
        let (starter, policy) = (self.starter.clone(), self.policy.borrow().clone());
        let now = self.running.servers.clone();
        async move { look_after(starter, &policy.catalog, &before, &now).await }
    }

    /// Reloads whenever the operator wants that, here, which all nodes are told of then, or on another node; and at
    /// each hang-up signal, if one means that, which is for this node alone.
    pub(super) fn follow(
        mut self,
        at_hangup: bool,
        mut wanted: mpsc::Receiver<oneshot::Sender<Reloaded>>,
    ) -> io::Result<impl Future<Output = ()>> {
        let mut hangup = at_hangup.then(|| signal(SignalKind::hangup())).transpose()?;
        Ok(async move {
            loop {
                let hung_up = async {
                    match &mut hangup {
                        Some(hangup) => hangup.recv().await,
                        None => std::future::pending().await,
                    }
                };
                let reply = tokio::select! {
                    _ = hung_up => None,
                    Some(reply) = wanted.recv() => Some(reply),
                    news = self.others.news() => match news {
                        News::Reload => None,
                        News::Owed => {
                            self.others.settle().await;
                            continue;
                        }
                    },
                };
                let outcome = self.reload();
                let Some(reply) = reply else {
                    self.others.settle().await;
                    continue;
                };
                let outcome = match outcome {
                    Ok(summary) => Ok(self.others.tell(summary).await),
                    // Settings that are of no use here may be so elsewhere: nobody is told.
                    Err(error) => Err(error),
                };
                let _ = reply.send(outcome);
            }
        })
    }

    /// All of the new settings, or none.
    fn reload(&mut self) -> Reloaded {
        match (self.load)().and_then(|wanted| self.adopt(&wanted).map(|running| (wanted, running))) {
            Ok((wanted, running)) => {
                for key in running.differing(&wanted) {
                    tracing::warn!(key, "this setting has changed, but takes effect at the next start only");
                }
                let servers = changes(&self.running.servers, &running.servers);
                let tenants = changes(&self.running.tenants, &running.tenants);
                audit::record(Event::SettingsReloaded { servers, tenants });
                let summary = format!("servers: {servers}; tenants: {tenants}");
                let before = std::mem::replace(&mut self.running, running);
                // Nobody waits for it.
                self.looking = Some(self.lifecycle.spawn_bound(self.look_after(before.servers)));
                Ok(summary)
            }
            Err(error) => {
                // Without the error, which names files.
                audit::record(Event::SettingsRefused("they cannot be used; the error log says why"));
                let error = format!("{error:#}");
                tracing::error!(error, "the settings are not reloaded; nothing has changed");
                Err(error)
            }
        }
    }

    /// Puts settings into effect. Which they are then.
    fn adopt(&self, wanted: &Settings) -> anyhow::Result<Settings> {
        let settings = self.running.after_reload(wanted)?;
        let policy = {
            let before = self.policy.borrow();
            Policy {
                gate: before.gate.renewed(&settings).map_err(anyhow::Error::msg)?,
                catalog: Catalog::load(&settings)?,
                sessions: before.sessions.renewed(&settings),
                bodies: before.bodies.renewed(&settings),
            }
        };
        if policy.gate.is_closed() {
            bail!("no tenant has a secret any more; to let nobody in, stop the gateway");
        }
        policy.gate.take_effect();
        policy.sessions.look_around();
        self.policy.send_replace(Arc::new(policy));
        Ok(settings)
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader").finish_non_exhaustive()
    }
}

fn changes<T: PartialEq>(old: &BTreeMap<String, T>, new: &BTreeMap<String, T>) -> Changes {
    let differs = |(name, value): &(&String, &T)| old.get(*name).is_some_and(|old| old != *value);
    Changes {
        added: new.keys().filter(|name| !old.contains_key(*name)).count(),
        changed: new.iter().filter(differs).count(),
        removed: old.keys().filter(|name| !new.contains_key(*name)).count(),
    }
}
