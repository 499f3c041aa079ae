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
/// servers that are not as they were `before`.
pub(super) async fn look_after(starter: Arc<Starter>, catalog: &Catalog, before: &Servers, now: &Servers) {
    starter.provide_ahead(catalog.fetches().into_values());
    starter.sweep_containers(catalog.engines());
    starter.keep_warm(catalog.warm());
    let mut trials = catalog.trials(&Operator::at_the_command_line());
    trials.retain(|trial| {
        let name = trial.server.as_str();
        before.get(name) != now.get(name)
    });
    let launches = |trial: Trial| match trial.means {
        Ok(Means::Launch(launch)) => Some(launch),
        _ => None,
    };
    let plans = trials.into_iter().filter_map(launches).collect();
    for (server, barrier) in starter.barriers(plans).await {
        tracing::warn!("servers.{server}: {barrier}");
    }
}
