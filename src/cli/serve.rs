//! `lockgate serve`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};

use super::conceal::Secrets;
use super::{SettingsArgs, harden};
use crate::access::Secret;
use crate::gateway::{Gateway, Outcome};
use crate::settings::Settings;

pub(super) fn run(args: &SettingsArgs, mut secrets: Secrets) -> anyhow::Result<ExitCode> {
    let settings = args.load()?;
    crate::telemetry::start(&std::env::var("LOG_LEVEL").unwrap_or_else(|_| "info".into()))
        .map_err(anyhow::Error::msg)?;
    harden::harden();
    let invented = secrets.tenant.is_none() && settings.tenants.is_empty();
    if invented {
        secrets.tenant = Some(one_time_secret(&settings)?);
    }
    let again = args.clone();
    let gateway = Gateway::build(&settings, secrets.given(), Arc::new(move || again.load()))?;
    if let Some(secret) = secrets.tenant.as_ref().filter(|_| invented) {
        greet(&gateway, &settings, secret);
    }
    let outcome: Outcome = actix_web::rt::System::new().block_on(gateway.run())?;
    Ok(outcome.into())
}

fn one_time_secret(settings: &Settings) -> anyhow::Result<Secret> {
    let address = settings.listen.address;
    if !address.ip().is_loopback() {
        bail!(
            "no secret is configured, and {address} can be reached by others; set LOCKGATE_SECRET (`lockgate secret` \
             prints one), or add a [tenants.<name>] table to the settings"
        );
    }
    Secret::draw().context("no random numbers for a secret")
}

/// What somebody sees who has just built this: a secret, and a line that shows a real reply and ends.
fn greet(gateway: &Gateway, settings: &Settings, secret: &Secret) {
    let url = format!("http://{}{}", gateway.address(), settings.listen.base_path);
    let server = settings.servers.keys().next().map_or("demo", String::as_str);
    println!("No secret is configured, so here is one for this run:\n\n    {}\n", secret.reveal());
    println!("A client connects to {url}/{server}/mcp with the header Authorization: Bearer <secret>.");
    println!("To see a reply, paste this into another terminal:\n");
    println!("{}\n", super::url::try_it(&format!("{url}/{server}/mcp"), secret.reveal()));
}
