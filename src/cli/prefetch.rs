//! `lockgate prefetch`.

use std::process::ExitCode;

use bytesize::ByteSize;
use serde::Serialize;

use super::colour::{self, BAD, HEADING};
use super::print::{Unprinted, print, print_json, say};
use super::progress::{Progress, State};
use super::{Manner, SettingsArgs};
use crate::gateway::{Fetch, Prefetch};

/// What came of every server.
#[derive(Debug, Serialize)]
struct Fetches {
    servers: Vec<Fetched>,
    /// Every one of them has its packages.
    ok: bool,
}

/// What came of one.
#[derive(Debug, Serialize)]
struct Fetched {
    name: String,
    seconds: f64,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Outcome {
    Kept { bytes: u64, entries: u64 },
    Failed { error: String },
}

pub(super) fn run(args: &SettingsArgs, manner: Manner, servers: &[String]) -> anyhow::Result<ExitCode> {
    let settings = args.load()?;
    let progress = Progress::new(!manner.json && !manner.quiet);
    let log = progress.clone();
    let level = std::env::var("LOG_LEVEL").unwrap_or_else(|_| "warn".into());
    crate::telemetry::start_log(&level, settings.telemetry.log, colour::on_stderr(), move || log.clone())
        .map_err(anyhow::Error::msg)?;
    super::harden::harden();
    let prefetch = Prefetch::build(&settings, servers)?;
    progress.begin(prefetch.servers());
    let mut fetches = Fetches { servers: Vec::new(), ok: true };
    // That nobody reads is no reason to leave packages out.
    let mut printed = Ok(());
    let tell = |name: &str, fetch| match fetch {
        Fetch::Begun => progress.set(name, State::Underway("fetching")),
        Fetch::Done { outcome, took } => {
            let outcome = match outcome {
                Ok(amount) => Outcome::Kept { bytes: amount.bytes, entries: amount.entries },
                Err(error) => Outcome::Failed { error: error.to_string() },
            };
            let fetched = Fetched { name: name.to_owned(), seconds: took.as_secs_f64(), outcome };
            let shown = progress.done(name, fetched.state(), || fetched.show(manner));
            printed = std::mem::replace(&mut printed, Ok(())).and(shown);
            fetches.ok &= matches!(fetched.outcome, Outcome::Kept { .. });
            fetches.servers.push(fetched);
        }
    };
    actix_web::rt::System::new().block_on(prefetch.run(tell));
    printed?;
    if manner.json {
        print_json(&fetches)?;
    }
    Ok(if fetches.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Fetched {
    fn state(&self) -> State {
        match self.outcome {
            Outcome::Kept { .. } => State::Good(format!("fetched in {:.1} s", self.seconds)),
            Outcome::Failed { .. } => State::Bad("failed".into()),
        }
    }

    /// For people; what failed is told whatever they want to see.
    fn show(&self, manner: Manner) -> Result<(), Unprinted> {
        let Self { name, seconds, outcome } = self;
        match outcome {
            Outcome::Kept { .. } if manner.json || manner.quiet => Ok(()),
            Outcome::Kept { bytes, entries } => print(format_args!(
                "{HEADING}{name}{HEADING:#}: {}, {entries} files and directories, in {seconds:.1} s",
                ByteSize::b(*bytes)
            )),
            Outcome::Failed { error } => {
                say(format_args!("{BAD}lockgate{BAD:#}: {name}: {error}"));
                Ok(())
            }
        }
    }
}
