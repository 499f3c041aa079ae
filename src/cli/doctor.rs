//! `lockgate doctor`.

mod page;

use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;

use self::page::Page;
use super::print::print_json;
use super::progress::{self, Progress};
use super::{Manner, SettingsArgs, harden};
use crate::doctor::{Doctor, Finding, Health, Host, Report};
use crate::settings::Settings;

/// Everything that was found out.
#[derive(Debug, Serialize)]
struct Findings {
    version: &'static str,
    host: Host,
    /// `None` if it did not come to that.
    sandbox: Option<Report>,
    /// Why a gateway would not start.
    refusal: Option<String>,
    servers: Vec<Finding>,
    /// Everything that the settings ask for works.
    ok: bool,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
const EXIT_UNWELL: u8 = 1;

pub(super) fn run(args: &SettingsArgs, manner: Manner, starts: bool) -> anyhow::Result<ExitCode> {
    let settings = args.load()?;
    harden::harden();
    let page = match manner {
        Manner { json: true, .. } => Page::Nothing,
        Manner { quiet: true, .. } => Page::Wrong,
        Manner { .. } => Page::Everything,
    };
    let host = Host::look();
    page.host(&host)?;
    let doctor = Doctor::new(&settings);
    let refusal = doctor.refusal().or_else(|| doctor.allowlist().err());
    page.sandbox(doctor.report(), refusal.as_deref())?;
    let servers = servers(&doctor, &settings, starts, page)?;
    let ok = refusal.is_none() && servers.iter().all(Finding::is_fine);
    let findings =
        Findings { version: VERSION, host, sandbox: doctor.report().cloned(), refusal, servers, ok };
    if manner.json {
        print_json(&findings)?;
    }
    page.summary(&findings)?;
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::from(EXIT_UNWELL) })
}

/// One after the other, so that none is slow because of another.
fn servers(
    doctor: &Doctor<'_>,
    settings: &Settings,
    starts: bool,
    page: Page,
) -> anyhow::Result<Vec<Finding>> {
    let progress = Progress::new(page == Page::Everything && starts);
    progress.begin(settings.servers.keys().map(String::as_str));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("no runtime can be made")?.block_on(async {
        let mut findings = Vec::new();
        for name in settings.servers.keys() {
            progress.set(name, progress::State::Underway("starting"));
            let finding = doctor.server(name, starts).await;
            progress.done(name, state(&finding), || page.server(&finding))?;
            findings.push(finding);
        }
        Ok(findings)
    })
}

fn state(finding: &Finding) -> progress::State {
    match &finding.health {
        _ if !finding.is_fine() => progress::State::Bad("failed".into()),
        Health::Answered { seconds, .. } => progress::State::Good(format!("answered in {seconds:.1} s")),
        Health::NotStarted(_) | Health::Failed { .. } => progress::State::Left,
    }
}
