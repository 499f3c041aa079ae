//! What a backend is started with: everything of a server that its process gets to see.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::{ContainerRun, Entry, Fingerprint, Recipe};
use crate::ids::ServerName;
use crate::mcp::Era;

/// What a backend is started with. For a client it is part of a [`LaunchPlan`](super::LaunchPlan); the
/// catalog makes others for the operator, who fetches packages or tries servers.
#[derive(Clone, Debug)]
pub struct Launch {
    entry: Arc<Entry>,
    environment: BTreeMap<String, String>,
    purpose: Purpose,
}

/// What the command is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// To answer.
    Serve,
    /// To fetch its packages, by the recipe.
    Fetch,
}

impl Launch {
    /// To answer, with these variables beside the server's, which they replace.
    pub(super) fn serving(entry: &Arc<Entry>, added: BTreeMap<String, String>) -> Self {
        let mut environment = entry.environment.clone();
        environment.extend(added);
        Self { entry: entry.clone(), environment, purpose: Purpose::Serve }
    }

    /// To fetch packages.
    pub(super) fn fetching(entry: &Arc<Entry>) -> Self {
        Self { entry: entry.clone(), environment: entry.environment.clone(), purpose: Purpose::Fetch }
    }

    pub(super) fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The server to be started.
    pub fn server(&self) -> &ServerName {
        &self.entry.name
    }

    /// What this has in common with others that start the very same process, for whomever.
    pub fn process(&self) -> Fingerprint {
        Fingerprint::of_nobodys(self)
    }

    /// The protocol era that the server speaks; `None` if that is to be found out.
    pub fn era(&self) -> Option<Era> {
        self.entry.era
    }

    /// The absolute path of the program.
    pub fn program(&self) -> &PathBuf {
        &self.entry.program
    }

    /// The arguments, the program's name first.
    pub fn argv(&self) -> &[String] {
        match (self.purpose, &self.entry.recipe) {
            (Purpose::Fetch, Some(recipe)) => recipe.argv(),
            _ => &self.entry.argv,
        }
    }

    /// The variables beyond the base: the server's, the tenant's, the client's; later ones have won.
    pub fn environment(&self) -> impl Iterator<Item = (&String, &String)> {
        self.environment.iter()
    }

    /// Present if this finds its packages fetched.
    pub fn recipe(&self) -> Option<&Recipe> {
        self.entry.recipe.as_ref().filter(|_| self.purpose == Purpose::Serve)
    }

    /// What fetches the packages of this server.
    pub fn fetch(&self) -> Self {
        Self::fetching(&self.entry)
    }

    /// By what the packages that this fetches are found, if it does.
    pub fn fetch_key(&self) -> Option<&str> {
        self.entry.recipe.as_ref().filter(|_| self.purpose == Purpose::Fetch).map(Recipe::key)
    }

    /// What it may read beside what every session may.
    pub fn readable(&self) -> &[PathBuf] {
        &self.entry.readable
    }

    /// What the command was found to need to read, if it is known.
    pub fn needed(&self) -> Option<Arc<[PathBuf]>> {
        self.entry.needed.get().filter(|_| self.purpose == Purpose::Serve).cloned()
    }

    /// The command runs with this to read: that is known until the settings are read again. What has not run
    /// may need more, once that is there.
    pub fn runs_with(&self, needed: Arc<[PathBuf]>) {
        if self.purpose == Purpose::Serve {
            let _ = self.entry.needed.set(needed);
        }
    }

    /// What it may write to beside its private directory.
    pub fn writable(&self) -> &[PathBuf] {
        match self.purpose {
            Purpose::Serve => &self.entry.writable,
            Purpose::Fetch => &[],
        }
    }

    /// Present if the command starts a container, which is no descendant of it: it has to be labelled, and
    /// removed by its label. Such a command needs the daemon's socket, so it runs as the gateway's user.
    pub fn container(&self) -> Option<&ContainerRun> {
        self.entry.container.as_ref()
    }
}
