//! `lockgate top`: what the operator sees of a gateway that serves, in a terminal.
//!
//! `source` asks the gateway, `overview` is what is read of its answer and `figures` what two of them come to; `page`
//! makes lines of that with the help of `table`, `screen` is the terminal.
//!
//! Not `ratatui`, nor `crossterm`: there are a few lines of text and four keys, which `rustix` and the runtime do
//! already.

mod figures;
mod overview;
mod page;
mod screen;
mod source;
mod table;

use std::io::{self, IsTerminal};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use self::figures::Figures;
use self::overview::Overview;
use self::page::Page;
use self::screen::{Key, Keys, Screen};
use self::source::Source;
use super::arguments::TopArgs;
use super::conceal::Secrets;
use super::print::{print, print_bytes, say};
use super::{colour, harden};

/// How often the gateway is asked.
const EVERY: Duration = Duration::from_secs(1);
/// The gateway does not answer as it should.
const EXIT_UNANSWERED: u8 = 1;

pub(super) fn run(args: &TopArgs, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    harden::harden();
    let source = match Source::new(args, secrets)? {
        Ok(source) => source,
        Err(reason) => return Ok(unanswered(&reason)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("no runtime can be made")?.block_on(async {
        let live = !args.once && !args.json && io::stdin().is_terminal() && io::stdout().is_terminal();
        if args.json {
            return Ok(match source.document().await {
                Ok(document) => {
                    print_bytes(format!("{}\n", document.trim_end()).as_bytes())?;
                    ExitCode::SUCCESS
                }
                Err(reason) => unanswered(&reason),
            });
        }
        let first = match source.overview().await {
            Ok(read) => Figures::new(read, Instant::now(), None),
            Err(reason) => return Ok(unanswered(&reason)),
        };
        if live { watch(&source, first).await } else { once(&source, first).await }
    })
}

fn unanswered(reason: &str) -> ExitCode {
    say(format_args!("lockgate: {reason}"));
    ExitCode::from(EXIT_UNANSWERED)
}

/// One table, of two readings: there are no rates in one.
async fn once(source: &Source, first: Figures) -> anyhow::Result<ExitCode> {
    let second = match later(source).await {
        Ok(read) => Figures::new(read, Instant::now(), Some(&first)),
        Err(reason) => return Ok(unanswered(&reason)),
    };
    print(Page::new(false).whole(&second).join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Until somebody wants no more of it.
async fn watch(source: &Source, mut figures: Figures) -> anyhow::Result<ExitCode> {
    let mut resized = signal(SignalKind::window_change())?;
    let mut ended = signal(SignalKind::terminate())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    let mut keys = Keys::listen().context("this terminal cannot be read; try --once")?;
    let mut screen = Screen::enter().context("this terminal cannot be used; try --once")?;
    let mut page = Page::new(colour::on_stdout());
    // Goes on while keys are pressed.
    let mut reading = pin!(later(source));
    loop {
        screen.show(&page.lines(&figures, Screen::size()))?;
        tokio::select! {
            key = keys.next() => match key? {
                Key::Quit => break,
                Key::Sort => page.sort_by_the_next(),
                Key::Up => page.scroll_up(),
                Key::Down => page.scroll_down(),
                Key::Other => {}
            },
            read = &mut reading => {
                page.fault = read.map(|read| figures = Figures::new(read, Instant::now(), Some(&figures))).err();
                reading.set(later(source));
            }
            _ = resized.recv() => {}
            _ = ended.recv() => break,
            _ = hung_up.recv() => break,
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The next reading, when it is time for it.
async fn later(source: &Source) -> Result<Overview, String> {
    sleep(EVERY).await;
    source.overview().await
}
