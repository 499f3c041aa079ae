//! What a backend is started with: everything of a server that its process gets to see.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::command::Command;
use super::{ContainerRun, Fingerprint, Recipe};
use crate::ids::ServerName;

/// What a child is started with. For a client it is part of a [`LaunchPlan`](super::LaunchPlan); the
/// catalog makes others for the operator, who fetches packages or tries servers.
#[derive(Clone, Debug)]
pub struct Launch {
    server: ServerName,
    command: Arc<Command>,
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
    pub(super) fn serving(
        server: &ServerName,
        command: &Arc<Command>,
        added: BTreeMap<String, String>,
    ) -> Self {
        let mut launch = Self::fetching(server, command);
        launch.environment.extend(added);
        Self { purpose: Purpose::Serve, ..launch }
    }

    /// To fetch packages.
    pub(super) fn fetching(server: &ServerName, command: &Arc<Command>) -> Self {
        let environment = command.environment.clone();
        Self { server: server.clone(), command: command.clone(), environment, purpose: Purpose::Fetch }
    }

    /// The server to be started.
    pub fn server(&self) -> &ServerName {
        &self.server
    }

    /// What this has in common with others that start the very same process, for whomever.
    pub fn process(&self) -> Fingerprint {
        Fingerprint::of_nobodys(self)
    }

    /// The absolute path of the program.
    pub fn program(&self) -> &PathBuf {
        &self.command.program
    }

    /// The arguments, the program's name first.
    pub fn argv(&self) -> &[String] {
        match (self.purpose, &self.command.recipe) {
            (Purpose::Fetch, Some(recipe)) => recipe.argv(),
            _ => &self.command.argv,
        }
    }

    /// The variables beyond the base: the server's, the tenant's, the client's; later ones have won.
    pub fn environment(&self) -> impl Iterator<Item = (&String, &String)> {
        self.environment.iter()
    }

    /// Present if this finds its packages fetched.
    pub fn recipe(&self) -> Option<&Recipe> {
        self.command.recipe.as_ref().filter(|_| self.purpose == Purpose::Serve)
    }

    /// What fetches the packages of this server.
    pub fn fetch(&self) -> Self {
        Self::fetching(&self.server, &self.command)
    }

    /// By what the packages that this fetches are found, if it does.
    pub fn fetch_key(&self) -> Option<&str> {
        self.command.recipe.as_ref().filter(|_| self.purpose == Purpose::Fetch).map(Recipe::key)
    }

    /// What it may read beside what every session may.
    pub fn readable(&self) -> &[PathBuf] {
        &self.command.readable
    }

    /// What the command was found to need to read, if it is known.
    pub fn needed(&self) -> Option<Arc<[PathBuf]>> {
        self.command.needed.get().filter(|_| self.purpose == Purpose::Serve).cloned()
    }

    /// The command runs with this to read: that is known until the settings are read again. What has not run
    /// may need more, once that is there.
    pub fn runs_with(&self, needed: Arc<[PathBuf]>) {
        if self.purpose == Purpose::Serve {
            let _ = self.command.needed.set(needed);
        }
    }

    /// What it may write to beside its private directory.
    pub fn writable(&self) -> &[PathBuf] {
        match self.purpose {
            Purpose::Serve => &self.command.writable,
            Purpose::Fetch => &[],
        }
    }

    /// Present if the command starts a container, which is no descendant of it: it has to be labelled, and
    /// removed by its label. Such a command needs the daemon's socket, so it runs as the gateway's user.
    pub fn container(&self) -> Option<&ContainerRun> {
        self.command.container.as_ref()
    }
}
