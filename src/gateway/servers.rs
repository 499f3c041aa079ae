//! What is done for servers before a session wants them: at the start for all of them, at a reload for those that
//! it brings or changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::access::Operator;
use crate::backend::Starter;
use crate::catalog::{Catalog, Means, Trial};
use crate::settings::Server;

/// The servers of the settings, by name.
pub(super) type Servers = BTreeMap<String, Server>;

/// Has packages fetched ahead, children started ahead, and containers looked for that a killed gateway has left,
/// in the background; what is done already is not done again. Resolves once it is told what keeps sessions from
/// servers that are not as they were `before`, and which of those tell secrets to whoever listens.
pub(super) async fn look_after(starter: Arc<Starter>, catalog: &Catalog, before: &Servers, now: &Servers) {
    starter.provide_ahead(catalog.fetches().into_values());
    starter.sweep_containers(catalog.engines());
    starter.keep_warm(catalog.warm());
    let differs = |name: &str| before.get(name) != now.get(name);
    for server in catalog.in_the_clear().into_iter().filter(|server| differs(server.as_str())) {
        tracing::warn!(
            "servers.{server}: what it is told goes over the network in the clear, credentials among it; use an \
             https:// URL"
        );
    }
    let mut trials = catalog.trials(&Operator::at_the_command_line());
    trials.retain(|trial| differs(trial.server.as_str()));
    let launches = |trial: Trial| match trial.means {
        Ok(Means::Launch(launch)) => Some(launch),
        _ => None,
    };
    let plans = trials.into_iter().filter_map(launches).collect();
    for (server, barrier) in starter.barriers(plans).await {
        tracing::warn!("servers.{server}: {barrier}");
    }
}
