//! Fetches packages without serving anything, as for the image that will.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::bail;
use tokio::time::Instant;

use crate::backend::{Amount, NotFetched, Starter};
use crate::catalog::{Catalog, Launch};
use crate::lifecycle::Lifecycle;
use crate::settings::Settings;

/// How it goes with one server.
#[derive(Debug)]
pub enum Fetch {
    /// Its packages are being fetched.
    Begun,
    /// It is done with.
    Done {
        /// How much there is, or why there is nothing.
        outcome: Result<Amount, NotFetched>,
        /// How long it took.
        took: Duration,
    },
}

/// Fetches that are ready to run.
#[derive(Debug)]
pub struct Prefetch {
    starter: Starter,
    fetches: BTreeMap<String, Launch>,
}

impl Prefetch {
    /// For these servers, or for all that want it if none is named.
    ///
    /// # Errors
    /// If a name is none of them, or nothing could be fetched on this host at all; with what to do.
    pub fn build(settings: &Settings, names: &[String]) -> anyhow::Result<Self> {
        let fetches = choose(Catalog::load(settings)?.fetches(), settings, names)?;
        let starter = Starter::new(settings, Lifecycle::default())?;
        super::tell_missing(starter.report());
        Ok(Self { starter, fetches })
    }

    /// The short names of the servers, in the order in which they are fetched.
    pub fn servers(&self) -> impl Iterator<Item = &str> {
        self.fetches.keys().map(String::as_str)
    }

    /// Fetches one after the other; what was kept before is replaced. `tell` hears how it goes with each.
    pub async fn run(self, mut tell: impl FnMut(&str, Fetch)) {
        for (server, plan) in self.fetches {
            tell(&server, Fetch::Begun);
            let begun = Instant::now();
            let outcome = self.starter.fetch(&plan).await;
            tell(&server, Fetch::Done { outcome, took: begun.elapsed() });
        }
    }
}

fn choose(
    mut all: BTreeMap<String, Launch>,
    settings: &Settings,
    names: &[String],
) -> anyhow::Result<BTreeMap<String, Launch>> {
    for name in names {
        if !settings.servers.contains_key(name) {
            bail!("no server is called {name:?}; `lockgate check` prints those that there are");
        }
        if !all.contains_key(name) {
            bail!("the server {name:?} has no packages to fetch; set `prefetch = true` in [servers.{name}]");
        }
    }
    all.retain(|name, _| names.is_empty() || names.contains(name));
    if all.is_empty() {
        bail!("no server has packages to fetch; set `prefetch = true` in its [servers.<name>] table");
    }
    Ok(all)
}
