//! Colours, and who sees them: terminals, unless somebody says otherwise.
//!
//! `--color` decides; with `auto`, `NO_COLOR` (no-color.org), `CLICOLOR` and `CLICOLOR_FORCE` (bixense.com/clicolors)
//! and `TERM=dumb` do. Texts hold their colours in any case, and `print` takes them out again.

use std::io::{stderr, stdout};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// What stands above other lines, or is looked for first.
pub(super) const HEADING: Style = Style::new().bold();
/// What works.
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
/// What is not as it could be.
pub(super) const LACKING: Style = AnsiColor::Yellow.on_default();
/// What does not work.
pub(super) const BAD: Style = AnsiColor::Red.on_default();
/// What is of no interest now.
pub(super) const FAINT: Style = Style::new().dimmed();

/// Holds from now on for all that is printed.
pub(super) fn choose(choice: clap::ColorChoice) {
    let choice = match choice {
        clap::ColorChoice::Auto => ColorChoice::Auto,
        clap::ColorChoice::Always => ColorChoice::Always,
        clap::ColorChoice::Never => ColorChoice::Never,
    };
    choice.write_global();
}

/// Whether standard error is read by somebody who sees colours.
pub(super) fn on_stderr() -> bool {
    AutoStream::choice(&stderr()) != ColorChoice::Never
}

/// The same of standard output.
pub(super) fn on_stdout() -> bool {
    AutoStream::choice(&stdout()) != ColorChoice::Never
}
