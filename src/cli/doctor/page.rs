//! What people see of the findings, as they come.

use anstyle::Style;

use super::{Findings, VERSION};
use crate::cli::colour::{BAD, FAINT, GOOD, HEADING, LACKING};
use crate::cli::print::{Unprinted, print};
use crate::doctor::{Finding, Health, Host, Kind, Report, State, Step};

/// How much of it somebody wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Everything,
    /// What is wrong only.
    Wrong,
    Nothing,
}

/// How a line begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Ok,
    Missing,
    Failed,
    Off,
}

/// Columns of a line.
const WIDTH: usize = 100;
/// Where the text of a line begins.
const INDENT: usize = 24;

impl Page {
    pub(super) fn host(self, host: &Host) -> Result<(), Unprinted> {
        if self == Self::Wrong {
            return Ok(());
        }
        let Host { uid, user, capabilities, kernel, architecture, .. } = host;
        let user = user.as_deref().unwrap_or("a user without a name");
        let rights = match (capabilities.len(), host.lacks.len()) {
            (0, _) => "no capabilities".to_owned(),
            (_, 0) => "all capabilities".to_owned(),
            (held, lacking) if lacking < held => format!("all capabilities but {}", host.lacks.join(", ")),
            (held, _) => format!("{held} capabilities: {}", capabilities.join(", ")),
        };
        let container = host.container.map(|sort| format!(", it seems {sort}")).unwrap_or_default();
        self.heading(&format!("lockgate {VERSION}"))?;
        self.line(&format!("  {:<22} ", "user"), &format!("{user} (uid {uid}), {rights}"))?;
        self.line(&format!("  {:<22} ", "host"), &format!("Linux {kernel} {architecture}{container}"))
    }

    pub(super) fn sandbox(self, report: Option<&Report>, refusal: Option<&str>) -> Result<(), Unprinted> {
        let asked = report.map(|report| format!(", profile \"{}\"", report.profile));
        self.heading(&format!("\nSandbox{}", asked.unwrap_or_default()))?;
        for item in report.iter().flat_map(|report| &report.items) {
            match &item.state {
                State::InForce(form) => {
                    self.row(item.name, Mark::Ok, &[&format!("{} ({form})", item.purpose)])
                }
                State::NotWanted => {
                    self.row(item.name, Mark::Off, &[&format!("{}: not asked for", item.purpose)])
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
            }?;
        }
        if let Some(refusal) = refusal {
            self.row(
                "start",
                Mark::Failed,
                &["the gateway would not start", &format!("because: {refusal}")],
            )?;
        }
        self.heading("\nServers")
    }

    pub(super) fn server(self, finding: &Finding) -> Result<(), Unprinted> {
        let is_remote = finding.kind == Kind::Remote;
        let (mark, mut lines) = match &finding.health {
            Health::Answered { name, version, era, tools, seconds } => {
                let named = name.iter().chain(version).map(|text| printable(text)).collect::<Vec<_>>();
                let who = if named.is_empty() { "it".to_owned() } else { named.join(" ") };
                let era = format!("{era:?}").to_lowercase();
                let reached = if is_remote { " was reached, and" } else { "" };
                let tools = match tools {
                    None => "no tools".to_owned(),
                    Some(1) => "1 tool".to_owned(),
                    Some(count) => format!("{count} tools"),
                };
                (Mark::Ok, vec![format!("{who}{reached} answered after {seconds:.1} s ({era} era), {tools}")])
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
                    Step::Tools => "it does not tell its tools",
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
        self.row(&finding.name, mark, &lines.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub(super) fn summary(self, findings: &Findings) -> Result<(), Unprinted> {
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
        self.heading(&format!("\n{servers}; {sandbox}{start}."))
    }

    /// A name, what is to be thought of it, and why: each text on lines of its own.
    fn row(self, name: &str, mark: Mark, texts: &[&str]) -> Result<(), Unprinted> {
        if self == Self::Wrong && matches!(mark, Mark::Ok | Mark::Off) {
            return Ok(());
        }
        let (style, word) = mark.look();
        let mut head = format!("  {name:<13} {style}{word:<8}{style:#} ");
        for text in texts {
            self.line(&head, text)?;
            head = " ".repeat(INDENT + 1);
        }
        Ok(())
    }

    /// What only those see who want everything.
    fn heading(self, text: &str) -> Result<(), Unprinted> {
        if self != Self::Everything {
            return Ok(());
        }
        let (before, text) = text.split_at(text.len() - text.trim_start().len());
        print(format!("{before}{HEADING}{text}{HEADING:#}"))
    }

    /// Text behind a head, broken where it is too long.
    fn line(self, head: &str, text: &str) -> Result<(), Unprinted> {
        if self == Self::Nothing {
            return Ok(());
        }
        let mut line = head.to_owned();
        let mut width = INDENT + 1;
        for word in text.split(' ') {
            if width + word.chars().count() > WIDTH && width > INDENT + 3 {
                print(line.trim_end())?;
                line = " ".repeat(INDENT + 3);
                width = INDENT + 3;
            }
            line.push_str(word);
            line.push(' ');
            width += word.chars().count() + 1;
        }
        print(line.trim_end())
    }
}

impl Mark {
    fn look(self) -> (Style, &'static str) {
        match self {
            Self::Ok => (GOOD, "ok"),
            Self::Missing => (LACKING, "MISSING"),
            Self::Failed => (BAD, "FAILED"),
            Self::Off => (FAINT, "off"),
        }
    }
}

/// What a server says of itself must not move the cursor.
fn printable(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
