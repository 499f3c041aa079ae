//! `lockgate doctor`.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;

use super::{SettingsArgs, harden};
use crate::doctor::{Doctor, Finding, Health, Host, Kind, Report, State, Step};
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

/// How a line begins.
#[derive(Clone, Copy, Debug)]
enum Mark {
    Ok,
    Missing,
    Failed,
    Off,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Columns of a line for people.
const WIDTH: usize = 100;
/// Where the text of a line begins.
const INDENT: usize = 24;
const EXIT_UNWELL: u8 = 1;

pub(super) fn run(args: &SettingsArgs, json: bool, starts: bool) -> anyhow::Result<ExitCode> {
    let settings = args.load()?;
    harden::harden();
    let host = Host::look();
    let page = Page { shown: !json, coloured: !json && is_colourful() };
    page.host(&host);
    let doctor = Doctor::new(&settings);
    let refusal = doctor.refusal().or_else(|| doctor.allowlist().err());
    page.sandbox(doctor.report(), refusal.as_deref());
    let servers = servers(&doctor, &settings, starts, &page)?;
    let ok = refusal.is_none() && servers.iter().all(Finding::is_fine);
    let findings =
        Findings { version: VERSION, host, sandbox: doctor.report().cloned(), refusal, servers, ok };
    if json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    }
    page.summary(&findings);
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::from(EXIT_UNWELL) })
}

fn is_colourful() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// One after the other, so that none is slow because of another.
fn servers(
    doctor: &Doctor<'_>,
    settings: &Settings,
    starts: bool,
    page: &Page,
) -> anyhow::Result<Vec<Finding>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("no runtime can be made")?.block_on(async {
        let mut findings = Vec::new();
        page.print("\nServers");
        for name in settings.servers.keys() {
            let finding = doctor.server(name, starts).await;
            page.server(&finding);
            findings.push(finding);
        }
        Ok(findings)
    })
}

/// What people see, as it comes.
struct Page {
    shown: bool,
    coloured: bool,
}

impl Page {
    fn host(&self, host: &Host) {
        let Host { uid, user, capabilities, kernel, architecture, .. } = host;
        let user = user.as_deref().unwrap_or("a user without a name");
        let rights = match (capabilities.len(), host.lacks.len()) {
            (0, _) => "no capabilities".to_owned(),
            (_, 0) => "all capabilities".to_owned(),
            (held, lacking) if lacking < held => format!("all capabilities but {}", host.lacks.join(", ")),
            (held, _) => format!("{held} capabilities: {}", capabilities.join(", ")),
        };
        let container = host.container.map(|sort| format!(", it seems {sort}")).unwrap_or_default();
        self.print(&format!("lockgate {VERSION}"));
        self.line(&format!("  {:<22} ", "user"), &format!("{user} (uid {uid}), {rights}"));
        self.line(&format!("  {:<22} ", "host"), &format!("Linux {kernel} {architecture}{container}"));
    }

    fn sandbox(&self, report: Option<&Report>, refusal: Option<&str>) {
        let asked = report.map(|report| format!(", profile \"{}\"", report.profile));
        self.print(&format!("\nSandbox{}", asked.unwrap_or_default()));
        for item in report.iter().flat_map(|report| &report.items) {
            match &item.state {
                State::InForce(form) => {
                    self.row(item.name, Mark::Ok, &[&format!("{} ({form})", item.purpose)]);
                }
                State::NotWanted => {
                    self.row(item.name, Mark::Off, &[&format!("{}: not asked for", item.purpose)]);
                }
                State::Missing(lack) => self.row(
                    item.name,
                    Mark::Missing,
                    &[
                        item.purpose,
                        &format!("because: {}", lack.reason),
                        &format!("remedy: {}", lack.remedy),
                    ],
                ),
            }
        }
        if let Some(refusal) = refusal {
            self.row("start", Mark::Failed, &["the gateway would not start", &format!("because: {refusal}")]);
        }
    }

    fn server(&self, finding: &Finding) {
        let is_remote = finding.kind == Kind::Remote;
        let (mark, mut lines) = match &finding.health {
            Health::Answered { name, version, era, seconds } => {
                let named = name.iter().chain(version).map(|text| printable(text)).collect::<Vec<_>>();
                let who = if named.is_empty() { "it".to_owned() } else { named.join(" ") };
                let era = format!("{era:?}").to_lowercase();
                let reached = if is_remote { " was reached, and" } else { "" };
                (Mark::Ok, vec![format!("{who}{reached} answered after {seconds:.1} s ({era} era)")])
            }
            Health::NotStarted(reason) => {
                let step = if is_remote { "not tried" } else { "not started" };
                (Mark::Off, vec![format!("{step}: {reason}")])
            }
            Health::Failed { step, reason, last_line } => {
                let step = match step {
                    Step::Settings => "it cannot be used",
                    Step::Start => "it cannot be started",
                    Step::Answer if is_remote => "no session can be begun with it",
                    Step::Answer => "it does not answer",
                };
                let last = last_line.iter().map(|line| format!("its last line: {line}"));
                (
                    Mark::Failed,
                    [step.to_owned(), format!("because: {reason}")].into_iter().chain(last).collect(),
                )
            }
        };
        lines.extend(finding.barrier.iter().map(|barrier| format!("out of reach: {barrier}")));
        let mark = if finding.is_fine() { mark } else { Mark::Failed };
        lines.push(format!("{}: {}", if is_remote { "url" } else { "command" }, finding.run));
        self.row(&finding.name, mark, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    }

    fn summary(&self, findings: &Findings) {
        let missing = findings.sandbox.as_ref().map_or(0, |report| report.missing().count());
        let unwell = findings.servers.iter().filter(|finding| !finding.is_fine()).count();
        let servers = match unwell {
            0 => "Every server that was tried works".to_owned(),
            count => format!("{count} of {} servers cannot be used", findings.servers.len()),
        };
        let sandbox = match missing {
            0 => "the sandbox has every part that is asked for".to_owned(),
            1 => "the sandbox lacks one part".to_owned(),
            count => format!("the sandbox lacks {count} parts"),
        };
        let start = if findings.refusal.is_some() { "; the gateway would not start" } else { "" };
        self.print(&format!("\n{servers}; {sandbox}{start}."));
    }

    /// A name, what is to be thought of it, and why: each text on lines of its own.
    fn row(&self, name: &str, mark: Mark, texts: &[&str]) {
        let (word, colour) = match mark {
            Mark::Ok => ("ok", "32"),
            Mark::Missing => ("MISSING", "33"),
            Mark::Failed => ("FAILED", "31"),
            Mark::Off => ("off", "2"),
        };
        let word = format!("{word:<8}");
        let word = if self.coloured { format!("\x1b[{colour}m{word}\x1b[0m") } else { word };
        let mut head = format!("  {name:<13} {word} ");
        for text in texts {
            self.line(&head, text);
            head = " ".repeat(INDENT + 1);
        }
    }

    /// Text behind a head, broken where it is too long.
    fn line(&self, head: &str, text: &str) {
        let mut line = head.to_owned();
        let mut width = INDENT + 1;
        for word in text.split(' ') {
            if width + word.chars().count() > WIDTH && width > INDENT + 3 {
                self.print(line.trim_end());
                line = " ".repeat(INDENT + 3);
                width = INDENT + 3;
            }
            line.push_str(word);
            line.push(' ');
            width += word.chars().count() + 1;
        }
        self.print(line.trim_end());
    }

    fn print(&self, text: &str) {
        if self.shown {
            println!("{text}");
        }
    }
}

/// What a server says of itself must not move the cursor.
fn printable(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
