//! `lockgate serve`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};

use super::conceal::{Hidden, Secrets};
use super::print::{Unprinted, print};
use super::{SettingsArgs, colour, harden};
use crate::access::Secret;
use crate::gateway::{AdminListener, Gateway, Outcome};
use crate::settings::{AdminAddress, Settings};
use crate::telemetry;

/// The secrets that were made because none is configured.
#[derive(Debug)]
struct OneTime {
    tenant: Secret,
    /// `None` if the operator has one, or looks in from elsewhere or not at all.
    operator: Option<Secret>,
}

pub(super) fn run(args: &SettingsArgs, mut secrets: Secrets) -> anyhow::Result<ExitCode> {
    let settings = args.load()?;
    let level = std::env::var("LOG_LEVEL").unwrap_or_else(|_| "info".into());
    telemetry::start_log(&level, settings.telemetry.log, colour::on_stderr(), std::io::stderr)
        .map_err(anyhow::Error::msg)?;
    harden::harden();
    let headers = secrets.collector.as_ref().map(Hidden::reveal);
    let exporting = telemetry::start_export(&settings.telemetry, headers).map_err(anyhow::Error::msg)?;
    let unconfigured = secrets.tenant.is_none() && settings.tenants.is_empty();
    let one_time = if unconfigured { Some(OneTime::draw(&settings, &secrets)?) } else { None };
    let mut admin = AdminListener::Needed;
    if let Some(OneTime { tenant, operator }) = &one_time {
        secrets.tenant = Some(tenant.clone());
        if let Some(operator) = operator {
            (secrets.admin, admin) = (Some(operator.clone()), AdminListener::Offered);
        }
    }
    let again = args.clone();
    let store = secrets.open_store(&settings)?;
    let load = Arc::new(move || again.load());
    let gateway = Gateway::build(&settings, secrets.given(), store, admin, load)?;
    if let Some(one_time) = &one_time {
        one_time.show(&gateway, &settings)?;
    }
    let outcome: anyhow::Result<Outcome> = actix_web::rt::System::new().block_on(gateway.run());
    exporting.finish();
    Ok(outcome?.into())
}

impl OneTime {
    fn draw(settings: &Settings, given: &Secrets) -> anyhow::Result<Self> {
        let address = settings.listen.address;
        if !address.ip().is_loopback() {
            bail!(
                "no secret is configured, and {address} can be reached by others; set LOCKGATE_SECRET (`lockgate secret` \
                 prints one), or add a [tenants.<name>] table to the settings"
            );
        }
        let looks_in =
            matches!(settings.admin.address, AdminAddress::At(address) if address.ip().is_loopback());
        let draw = || Secret::draw().context("no random numbers for a secret");
        let operator = if looks_in && given.admin.is_none() { Some(draw()?) } else { None };
        Ok(Self { tenant: draw()?, operator })
    }

    /// What somebody sees who has just built this: where everything is, and a line that shows a real reply and ends.
    fn show(&self, gateway: &Gateway, settings: &Settings) -> Result<(), Unprinted> {
        let server = settings.servers.keys().next().map_or("demo", String::as_str);
        let url = format!("http://{}{}/{server}/mcp", gateway.address(), settings.listen.base_path);
        let secret = self.tenant.reveal();
        let page = self.page(gateway, settings);
        print(format_args!(
            "No secret is configured, so these hold for this run only.\n\n  \
             clients   {url}\n            Authorization: Bearer {secret}\n{page}\n\
             To see a reply, paste this into another terminal:\n\n{}\n",
            crate::snippets::curl(&url, secret)
        ))
    }

    /// Where the operator's page is.
    fn page(&self, gateway: &Gateway, settings: &Settings) -> String {
        match (gateway.admin_address(), &self.operator, settings.admin.address) {
            (Some(address), Some(secret), _) => {
                format!("  operator  http://{address}/admin\n            secret {}\n", secret.reveal())
            }
            (Some(address), None, _) => {
                format!(
                    "  operator  http://{address}/admin\n            secret as in LOCKGATE_ADMIN_SECRET\n"
                )
            }
            (None, Some(_), AdminAddress::At(taken)) => {
                format!(
                    "  operator  no page: {taken} is taken; LOCKGATE__ADMIN__ADDRESS=127.0.0.1:0 finds another\n"
                )
            }
            _ => String::new(),
        }
    }
}
